"""Any file of a home damaged in any way: a list is scored to the same bytes, or refused with a sentence."""

import datetime
import json
import logging
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.home_faults import DAMAGES, damaged
from tests.end_to_end.world import Trust

from dnapredict import pipeline
from dnapredict.config.training_config import Setting
from dnapredict.errors import DnapredictError, ModelError, StoreError
from dnapredict.service import app
from dnapredict.service.api.champion import Champion
from dnapredict.worklist.files import list_store
from dnapredict.worklist.files.kept_list import Counts, Heading, KeptList

# Files that no score rests on: they may be damaged, and the score stays the same.
BESIDE = (
    *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "pyfunc_model.py"),
    *("input_example.json", "serving_input_example.json", "calls.db"),
)


@pytest.fixture
def home(trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trust's home, named as the one that is served."""
    home = tmp_path / "home"
    shutil.copytree(trust.home, home)
    monkeypatch.setenv("DNAPREDICT_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def twenty(trust: Trust) -> pa.Table:
    return pq.read_table(trust.weekly).slice(0, 20)


def outcome(home: Path, appointments: pa.Table) -> list[float] | DnapredictError:
    """The risks that the home gives, or how it is refused."""
    try:
        return risks(home, appointments)
    except DnapredictError as error:
        return error


def risks(home: Path, appointments: pa.Table) -> list[float]:
    risk: list[float] = pipeline.open_scorer(home).score(appointments)["probability"].to_pylist()
    return risk


def store_of(home: Path) -> Path:
    name = (home / "history" / "CURRENT").read_text(encoding="ascii").split("\n")[0]
    return home / "history" / name


@pytest.mark.cases(1)
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_that_a_score_rests_on_is_refused_when_it_is_damaged(
    trust: Trust, tmp_path: Path, twenty: pa.Table, damage: str
) -> None:
    before = risks(trust.home, twenty)
    tops = [trust.home / "history", trust.home / "mlruns" / "models", trust.home / "mlflow.db"]
    files = [path for top in tops for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()]
    assert len(files) > 10
    for number, path in enumerate(sorted(files)):
        home = tmp_path / str(number)
        shutil.copytree(trust.home, home, copy_function=os.link, ignore=shutil.ignore_patterns("*.db"))
        shutil.copy(trust.home / "mlflow.db", home)
        name = path.relative_to(trust.home)
        damaged(home / name, damage, random.Random(number), home=home)  # noqa: S311 - any damage will do
        found = outcome(home, twenty)
        if isinstance(found, DnapredictError):
            assert found.exit_code in (12, 14), (name, found)
            assert str(home) in str(found), (name, found)
        else:
            assert found == before, name
            assert path.name in (*BESIDE, "mlflow.db") or not changed(home / name, path), name
        shutil.rmtree(home)


def changed(one: Path, other: Path) -> bool:
    return not one.exists() or one.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("counts.arrow", r"counts\.arrow: is damaged; its SHA-256 is not the one in store\.json"),
        ("store.json", r"store\.json: is damaged; its SHA-256 is not the one in CURRENT"),
    ],
)
def test_a_damaged_history_names_the_file_and_how_to_mend_it(
    home: Path, trust: Trust, tmp_path: Path, dnapredict: Callable[..., object], name: str, says: str
) -> None:
    path = store_of(home) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 14
    assert re.search(says, done.stderr), done.stderr
    assert "Run 'dnapredict refresh EXTRACT'" in done.stderr
    assert not (tmp_path / "out.csv").exists()
    assert dnapredict("refresh", trust.extract, "--home", home).returncode == 0
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 0, done.stderr


def test_without_current_a_history_is_refused_and_not_read_as_none(home: Path, twenty: pa.Table) -> None:
    (home / "history" / "CURRENT").unlink()
    with pytest.raises(StoreError, match=r"CURRENT: is missing\. Run 'dnapredict refresh EXTRACT'"):
        risks(home, twenty)


def test_a_home_that_had_a_history_is_not_scored_without_one(home: Path, twenty: pa.Table) -> None:
    shutil.rmtree(home / "history")
    with pytest.raises(StoreError, match=r"the history of this home is missing\. Run 'dnapredict refresh"):
        risks(home, twenty)


def test_a_home_that_never_had_a_history_works_as_before(home: Path, twenty: pa.Table) -> None:
    shutil.rmtree(home / "history")
    (home / "history.json").unlink()
    assert None not in risks(home, twenty)


def written_before_digests(home: Path) -> Path:
    """The history as an earlier version of dnapredict wrote it."""
    store = store_of(home)
    about = json.loads((store / "store.json").read_text())
    del about["files"]
    (store / "store.json").write_text(json.dumps(about))
    (home / "history" / "CURRENT").write_text(store.name)
    (home / "history.json").unlink()
    return store


def test_a_history_of_an_earlier_version_is_opened_with_a_warning(
    home: Path, trust: Trust, twenty: pa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    written_before_digests(home)
    with caplog.at_level(logging.WARNING):
        assert risks(home, twenty) == risks(trust.home, twenty)
    assert "earlier version of dnapredict and has no digests" in caplog.text
    assert "Run 'dnapredict refresh EXTRACT' once" in caplog.text


@pytest.mark.cases(2)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_history_of_an_earlier_version_ends_no_process(home: Path, twenty: pa.Table, damage: str) -> None:
    store = written_before_digests(home)
    for name in ("appointments.arrow", "counts.arrow", "patients.arrow", "minutes.arrow", "store.json"):
        whole = (store / name).read_bytes()
        damaged(store / name, damage, random.Random(name), home=home)  # noqa: S311 - any damage will do
        found = outcome(home, twenty)
        assert isinstance(found, list) or "refresh" in str(found), name
        (store / name).write_bytes(whole)


@pytest.fixture
def champion(home: Path) -> Champion:
    champion = app.champion_of(home)
    champion.refresh()
    return champion


def answers(champion: Champion, appointments: pa.Table) -> list[float]:
    worklist = champion.require().score(appointments, capacity=None, reasons=True)
    risk: list[float] = worklist["probability"].to_pylist()
    return risk


def troubles(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def new_history(home: Path, trust: Trust, *, rows: int) -> Path:
    """A refresh with fewer appointments, so that its risks are others."""
    extract = home.parent / "newer.parquet"
    table = pq.read_table(trust.extract)
    pq.write_table(table.slice(0, rows), extract)
    scorer = pipeline.open_scorer(home)
    pipeline.refresh(extract, home=home, setting=Setting(scorer.mapping, scorer.stored.manifest.provenance.config))
    return store_of(home)


def test_a_service_that_meets_a_damaged_history_keeps_the_one_before_and_says_so(
    champion: Champion, home: Path, trust: Trust, twenty: pa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    before = answers(champion, twenty)
    damaged(new_history(home, trust, rows=20_000) / "counts.arrow", "zeroed", random.Random(1), home=home)  # noqa: S311
    with caplog.at_level(logging.ERROR):
        champion.refresh()
        champion.refresh()
    assert answers(champion, twenty) == before
    (trouble,) = troubles(caplog)
    assert "counts.arrow: is damaged" in trouble
    assert "The model that was loaded before stays in use" in trouble
    new_history(home, trust, rows=20_000)
    champion.refresh()
    assert answers(champion, twenty) != before


def test_a_service_that_starts_with_a_damaged_history_is_not_ready_and_says_why(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(store_of(home) / "minutes.arrow", "emptied", random.Random(1), home=home)  # noqa: S311
    champion = app.champion_of(home)
    with caplog.at_level(logging.ERROR):
        champion.refresh()
    assert champion.scorer is None  # by which /readyz answers 503
    with pytest.raises(ModelError, match="No model is loaded yet"):
        champion.require()
    assert "minutes.arrow: is damaged; it holds 0 bytes" in caplog.text
    assert "Run 'dnapredict refresh EXTRACT'" in caplog.text


def test_a_request_is_answered_from_one_history_while_others_are_written(
    champion: Champion, home: Path, trust: Trust, twenty: pa.Table
) -> None:
    before = answers(champion, twenty)
    scorer = pipeline.open_scorer(home)
    store = scorer.history()
    assert store is not None
    store.verify()
    for rows in (20_000, 10_000):  # the second removes the folder that is in use
        new_history(home, trust, rows=rows)
    assert not store.folder.exists()
    assert answers(champion, twenty) == before
    assert replace(scorer, history=lambda: store).score(twenty)["probability"].to_pylist() == before


def test_a_history_that_is_damaged_while_it_is_in_use_is_refused_until_it_is_written_anew(
    champion: Champion, home: Path, trust: Trust, twenty: pa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    with (store_of(home) / "appointments.arrow").open("rb+") as file:
        file.truncate(100)  # under the eyes of a process that has mapped it
    with pytest.raises(StoreError, match=r"appointments\.arrow: is damaged; it holds 100 bytes"):
        answers(champion, twenty)
    with caplog.at_level(logging.ERROR):
        champion.refresh()
    assert champion.scorer is None
    assert "appointments.arrow: is damaged" in caplog.text
    new_history(home, trust, rows=20_000)
    champion.refresh()
    assert None not in answers(champion, twenty)


@pytest.mark.cases(2)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_lost_kept_list_is_refused_and_told(
    home: Path, trust: Trust, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    worklist = pipeline.open_scorer(home).score(pq.read_table(trust.weekly))
    others = [heading.list_id for heading in list_store.headings(home)]
    for number in range(2):
        keep_list(home, worklist.slice(number), list_id=str(number) * 16)
    path = home / "lists" / f"{'0' * 16}.parquet"
    damaged(path, damage, random.Random(5), home=home / "lists")  # noqa: S311
    sentence = r"the list (is damaged|cannot be read|does not say|scored on 2026-11-23 is lost)"
    with pytest.raises(StoreError, match=sentence):
        list_store.find(home, "0" * 16)
    assert {heading.list_id for heading in list_store.headings(home)} == {*others, "1" * 16}
    assert re.search(f"{'0' * 16}.parquet: {sentence}", caplog.text)


def keep_list(home: Path, worklist: pa.Table, *, list_id: str) -> None:
    heading = Heading(
        list_id=list_id,
        name="week-47.csv",
        created_at=datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
        model_version="1",
        synthetic=True,
        counts=Counts.of(worklist),
    )
    list_store.keep(home, KeptList(heading, worklist))


def test_a_registry_that_is_lost_or_empty_is_not_taken_for_a_home_without_models(
    home: Path, dnapredict: Callable[..., object], trust: Trust, tmp_path: Path
) -> None:
    words = ("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    (home / "mlflow.db").write_bytes(b"")
    for _ in range(2):
        done = dnapredict(*words)
        assert (done.returncode, "mlflow.db: is missing or empty" in done.stderr) == (14, True), done.stderr
    assert (home / "mlflow.db").read_bytes() == b""
    (home / "mlflow.db").unlink()
    done = dnapredict(*words)
    assert (done.returncode, "Restore it from a backup" in done.stderr) == (14, True), done.stderr
