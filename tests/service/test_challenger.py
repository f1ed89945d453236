"""The challenger scores what was answered: after the answer, in a thread, and never to anybody's harm."""

import datetime
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.service.conftest import TestClient, wait_until_ready
from tests.service.double import steady_champion
from tests.service.pages import week

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.errors import ModelError
from dnapredict.service.app import build
from dnapredict.service.background import challenger_thread
from dnapredict.service.background.challenger_thread import ChallengerThread
from dnapredict.worklist.files.kept_list import ListIdentity

AT = datetime.datetime(2026, 11, 2, 9, tzinfo=datetime.UTC)


class Rival:
    """A scorer that says a half of everything, and remembers what it was asked to record."""

    def __init__(self, version: str = "8", *, fails: Callable[[pa.Table], bool] = lambda _: False) -> None:
        self.model_version = version
        self.recorded: list[tuple[str, list[str]]] = []
        self._fails = fails

    def with_mapping(self, mapping: Mapping) -> "Rival":  # noqa: ARG002
        return self

    def risks(self, appointments: pa.Table) -> pa.Table:
        if self._fails(appointments):
            raise RuntimeError("MARKED value of a patient")
        half = pa.array([0.5] * appointments.num_rows)
        return pa.table({"appointment_id": appointments["appointment_id"], "probability": half})

    def record_risks(self, scored: list[tuple[pa.Table, ListIdentity]]) -> None:
        for risks, identity in scored:
            self.recorded.append((identity.list_id, risks["appointment_id"].to_pylist()))


def thread(rival: Any, *, version: str = "8", smoke: Callable[[str], None] = lambda _: None) -> ChallengerThread:
    return ChallengerThread(version=lambda: version, open_challenger=lambda _: rival, run_smoke_test=smoke)


def listed(*names: str) -> pa.Table:
    return pa.table({"appointment_id": list(names)})


def test_it_scores_each_list_and_each_answer_as_it_was_answered() -> None:
    rival = Rival()
    challenger = thread(rival)
    challenger.submit(listed("a", "b"), identity=ListIdentity("1" * 16, AT))
    challenger.submit(listed("c"), identity=ListIdentity("", AT))
    assert rival.recorded == []  # nothing happens on the request's path
    assert challenger.score_waiting()
    assert sorted(rival.recorded) == [("", ["c"]), ("1" * 16, ["a", "b"])]


def test_without_a_challenger_what_waits_is_dropped() -> None:
    rival = Rival()
    challenger = thread(rival, version="")
    challenger.submit(listed("a"), identity=ListIdentity("1" * 16, AT))
    assert challenger.score_waiting()
    assert rival.recorded == []


def test_a_challenger_that_fails_is_logged_without_a_value_and_not_loaded_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = []

    def smoke(version: str) -> None:
        tried.append(version)
        raise ModelError(f"Version {version} failed when it was tried out.")

    challenger = thread(Rival(), smoke=smoke)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            challenger.submit(listed("a"), identity=ListIdentity("1" * 16, AT))
            challenger.score_waiting()
    assert tried == ["8"]
    assert caplog.messages == [
        "The challenger does not score now; no answer is affected. Version 8 failed when it was tried out."
    ]


def test_an_error_of_one_list_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    rival = Rival(fails=lambda table: "bad" in table["appointment_id"].to_pylist())
    challenger = thread(rival)
    challenger.submit(listed("bad"), identity=ListIdentity("1" * 16, AT))
    challenger.submit(listed("good"), identity=ListIdentity("2" * 16, AT))
    assert not challenger.score_waiting()
    challenger.submit(listed("later"), identity=ListIdentity("3" * 16, AT))
    assert challenger.score_waiting()
    assert rival.recorded == [("2" * 16, ["good"]), ("3" * 16, ["later"])]
    assert "MARKED" not in caplog.text


def test_a_full_queue_drops_what_comes_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenger_thread, "_MOST_WAITING", 2)
    rival = Rival()
    challenger = thread(rival)
    for number in range(5):
        challenger.submit(listed(str(number)), identity=ListIdentity(f"{number:016x}", AT))
    challenger.score_waiting()
    assert [names for _, names in rival.recorded] == [["0"], ["1"]]
    challenger.submit(listed("9"), identity=ListIdentity("9" * 16, AT))
    challenger.score_waiting()
    assert rival.recorded[-1] == ("9" * 16, ["9"])


@pytest.mark.parametrize("is_broken", [True, False])
def test_the_service_answers_the_same_with_a_broken_challenger(home: Path, is_broken: bool) -> None:
    rival = Rival(fails=lambda _: is_broken)
    challenger, champion = thread(rival), steady_champion()
    app = build(home, champion, mapping=IDENTITY, challenger=challenger).to_asgi()
    with TestClient(app, base_url="http://127.0.0.1") as client:
        wait_until_ready(client)
        challenger.stop()
        appointments = [{"appointment_id": "a", "age_years": 40, "booked_at": "2026-11-02", "starts_at": "2026-12-02"}]
        scored = client.post("/v1/score", json={"appointments": appointments})
        uploaded = client.post("/v1/lists", files={"file": ("week.csv", week())})
        assert (scored.status_code, uploaded.status_code) == (200, 200)
        assert scored.json()["results"][0]["probability"] == 0.4
        assert challenger.score_waiting() is not is_broken
        again = client.post("/v1/score", json={"appointments": appointments})
        assert again.json()["results"] == scored.json()["results"]
    champion.stop()
    assert {list_id for list_id, _ in rival.recorded} == (set() if is_broken else {"", uploaded.json()["list_id"]})
