"""The registry gone, and a challenger that is damaged: the service goes on with the model that it has."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust

from dnapredict import pipeline
from dnapredict.service import app, trial
from dnapredict.service.champion import Champion, Standing
from dnapredict.tracking import Registry


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
    champion.look()
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
        champion.look()
        champion.look()
    assert answers(champion, trust) == before
    assert len(troubles(caplog)) == 1
    for place in home.glob("mlflow.db*"):
        place.unlink()
    for place in home.glob("away-mlflow.db*"):
        place.rename(place.with_name(place.name.removeprefix("away-")))
    champion.look()
    assert answers(champion, trust) == before


def test_a_damaged_challenger_is_tried_out_elsewhere_and_never_answers(
    home: Path, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    named = ["1"]
    champion = Champion(
        standing=lambda: Standing(named[0]),
        open_scorer=lambda _: pipeline.open_scorer(home, model="1"),
        try_out=lambda _: trial.try_out("1"),
    )
    champion.look()
    before = answers(champion, trust)
    model = max(Registry(home).folder("1").iterdir(), key=lambda place: place.stat().st_size)
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])  # so cut, LightGBM ends its process
    named[0] = "2"
    with caplog.at_level(logging.ERROR):
        champion.look()
        champion.look()
    assert answers(champion, trust) == before
    assert len(troubles(caplog)) == 1
    assert "failed when it was tried out; the model before it goes on answering" in caplog.text
