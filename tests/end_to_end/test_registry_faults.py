"""The registry gone, and a challenger that is damaged: the service goes on with the model that it has."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust

from dnapredict import pipeline
from dnapredict.registry import CHAMPION, MODEL_NAME, Registry
from dnapredict.service import app
from dnapredict.service.api import smoke_test
from dnapredict.service.api.champion import Champion, ExpectedModel


@pytest.fixture
def home(trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trust's home, named as the one that is served."""
    home = tmp_path / "home"
    shutil.copytree(trust.home, home)
    monkeypatch.setenv("DNAPREDICT_HOME", str(home))
    return home


@pytest.fixture
def champion(home: Path) -> Iterator[Champion]:
    champion = app.champion_of(home)
    champion.refresh()
    yield champion
    champion.stop()


def answers(champion: Champion, trust: Trust) -> list[float]:
    worklist = champion.require().score(pq.read_table(trust.weekly).slice(0, 20), capacity=None, reasons=True)
    return worklist["probability"].to_pylist()


def troubles(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_while_the_registry_is_gone_the_last_model_answers_and_later_the_new_one(
    champion: Champion, home: Path, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    before = answers(champion, trust)
    for place in home.glob("mlflow.db*"):
        place.rename(place.with_name("away-" + place.name))
    with caplog.at_level(logging.ERROR):
        champion.refresh()
        champion.refresh()
    assert answers(champion, trust) == before
    assert len(troubles(caplog)) == 1
    for place in home.glob("mlflow.db*"):
        place.unlink()
    for place in home.glob("away-mlflow.db*"):
        place.rename(place.with_name(place.name.removeprefix("away-")))
    champion.refresh()
    assert answers(champion, trust) == before


def test_a_damaged_challenger_is_tried_out_elsewhere_and_never_answers(
    home: Path, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    named = ["1"]
    champion = Champion(
        expected=lambda: ExpectedModel(named[0]),
        open_scorer=lambda _: pipeline.open_scorer(home, model="1"),
        run_smoke_test=lambda _: smoke_test.run_smoke_test("1"),
    )
    champion.refresh()
    before = answers(champion, trust)
    model = max(Registry(home).folder("1").iterdir(), key=lambda place: place.stat().st_size)
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])  # so cut, LightGBM ends its process
    named[0] = "2"
    with caplog.at_level(logging.ERROR):
        champion.refresh()
        champion.refresh()
    assert answers(champion, trust) == before
    assert len(troubles(caplog)) == 1
    assert "failed when it was tried out; the model before it stays in use" in caplog.text


def copied_and_named_champion(home: Path) -> str:
    """What anybody can do who opens MLflow's page: another version, audited by its tags, named champion."""
    import mlflow

    address = f"sqlite:///{home / 'mlflow.db'}"
    mlflow.set_tracking_uri(address)  # by which MLflow finds the files that a version is copied from
    client = mlflow.MlflowClient(address, address)
    first = client.get_model_version(MODEL_NAME, "1")
    tags = first.tags | {"audit_verdict": "PASS", "promoted_at": "2026-01-01T00:00:00+00:00"}
    made = client.create_model_version(MODEL_NAME, first.source, first.run_id, tags=tags)
    client.set_registered_model_alias(MODEL_NAME, CHAMPION, made.version)
    return str(made.version)


def test_an_alias_that_was_set_by_hand_changes_no_answer_and_is_told_once(
    champion: Champion, home: Path, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    before = answers(champion, trust)
    version = copied_and_named_champion(home)
    with caplog.at_level(logging.ERROR):
        champion.refresh()
        champion.refresh()
    assert champion.require().model_version == "1"
    assert answers(champion, trust) == before
    assert len(troubles(caplog)) == 1
    assert f"names version {version}, and version 1 was put in use" in caplog.text
    fresh = app.champion_of(home)  # a worker that starts now
    fresh.refresh()
    fresh.stop()
    assert fresh.require().model_version == "1"


def test_score_refuses_what_promote_did_not_put_in_use_and_says_what_to_do(
    dnapredict, home: Path, trust: Trust, tmp_path: Path
) -> None:
    version, out = copied_and_named_champion(home), tmp_path / "out.csv"
    for words in ((), ("--model", version), ("--model", "challenger")):
        copied = words != ("--model", "challenger")
        done = dnapredict("score", trust.weekly, "--out", out, "--home", home, *words)
        assert done.returncode == (12 if copied else 0), done.stderr
        # A version without a training in the ledger cannot be promoted either: nobody knows what it was tested on.
        what_to_do = "`dnapredict train EXTRACT` makes a version" if words else "dnapredict promote 1"
        assert not copied or what_to_do in done.stderr
        assert out.exists() != copied
    refused = dnapredict("promote", version, "--home", home)
    assert (refused.returncode, f"Version {version} was not trained in this home" in refused.stderr) == (12, True)
    assert dnapredict("promote", "1", "--home", home).returncode == 0
    assert dnapredict("score", trust.weekly, "--out", out, "--home", home).returncode == 0


def test_a_version_that_is_rejected_scores_no_list_and_exits_13(
    dnapredict, home: Path, trust: Trust, tmp_path: Path
) -> None:
    who = ("--name", "A. Reviewer", "--role", "Equality lead", "--reason", "Review in May.")
    report = tmp_path / "report"
    audited = dnapredict("audit", trust.extract, "--model", "1", "--home", home, "--out", report)
    assert audited.returncode in (0, 13), audited.stderr
    assert dnapredict("sign", report, *who, "--decision", "reject", "--home", home).returncode == 0
    for words in ((), ("--model", "1")):
        done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home, *words)
        assert done.returncode == 13
        assert "A. Reviewer (Equality lead) rejected it" in done.stderr
    assert dnapredict("serve", "--home", home).returncode == 13
    assert not (tmp_path / "out.csv").exists()
