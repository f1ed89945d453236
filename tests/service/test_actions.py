"""What was done about an appointment: recorded as a further entry, found again, counted by the week."""

import datetime
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.service.test_lists import CSV, upload

from dnapredict.service.call_actions import (
    Actions,
    ClinicCalls,
    ListedAppointments,
    OutcomeChanged,
    RecordedAction,
)
from dnapredict.service.call_outcomes import WORDS, Barrier, CallDetails, Offer, Outcome
from dnapredict.service.log.action_feed import RecordedAppointments
from dnapredict.service.log.answer_entries import REQUESTED_BY, Hashes
from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

MONDAY = datetime.datetime(2026, 6, 29, 9, tzinfo=datetime.UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScoringLog]:
    database = request.getfixturevalue("postgres_database") if request.param == "postgresql" else None
    log = ScoringLog(tmp_path, database)
    log.upgrade()
    yield log
    log.close()


@pytest.fixture
def actions(log: ScoringLog, tmp_path: Path) -> Actions:
    return Actions(log, Hashes(tmp_path))


def line(appointment: str, clinic: str | None = "ENT1") -> dict[str, Any]:
    return {"appointment_id": appointment, "clinic_code": clinic, "site_code": None}


def test_the_last_action_counts_and_the_one_before_stays_on_record(actions: Actions, log: ScoringLog) -> None:
    actions.record("l1", line("a"), Outcome.NO_ANSWER)
    taken = actions.record("l2", line("a"), Outcome.CONFIRMED)
    assert actions.latest(["a", "b"]) == {"a": taken}
    assert [entry.outcome for entry in log.query(select(ACTIONS))] == ["no_answer", "confirmed"]
    assert log.verify().entries == 2


def test_one_that_was_recorded_by_mistake_is_as_if_nothing_was_done(actions: Actions) -> None:
    actions.record("l", line("a"), Outcome.CONFIRMED)
    actions.record("l", line("a"), Outcome.WITHDRAWN)
    assert actions.latest(["a"]) == {}


def test_many_appointments_are_asked_about_at_once(actions: Actions) -> None:
    actions.record("l", line("1999"), Outcome.REBOOKED)
    assert list(actions.latest(str(number) for number in range(2_000))) == ["1999"]


def test_what_another_worker_records_is_found_among_many(actions: Actions, log: ScoringLog, tmp_path: Path) -> None:
    """Of a long list a worker looks up only those about which something was recorded: it must hear of all of them."""
    listed = ListedAppointments(str(number) for number in range(2_000))
    other_worker = Actions(log, Hashes(tmp_path))
    for appointment in ("1999", "7", "7", "not listed", "8"):
        other_worker.record("l", line(appointment), Outcome.NO_ANSWER, seen=None, details=CallDetails(Barrier.OTHER))
        actions.record("l", line(appointment), Outcome.CONFIRMED)
        assert actions.entries(listed) == other_worker.entries(listed) == Actions(log, Hashes(tmp_path)).entries(listed)
        assert actions.entries(listed) == actions.entries(list(listed))
    assert sorted(actions.entries(listed)) == ["1999", "7", "8"]


def test_a_log_that_was_put_back_from_a_backup_is_read_again(tmp_path: Path) -> None:
    listed = [str(number) for number in range(2_000)]
    found = []
    for place in ("first", "restored"):
        log = ScoringLog(tmp_path / place)
        for appointment in ("1", "2") if place == "first" else ("3", "4", "5"):
            Actions(log, Hashes(tmp_path)).record("l", line(appointment), Outcome.CONFIRMED)
        found.append(log)
    recorded = RecordedAppointments(found[0])
    hashes = Hashes(tmp_path)
    assert recorded.hashes() == {hashes.of("appointment", each) for each in "12"}
    recorded._log = found[1]
    assert recorded.hashes() == {hashes.of("appointment", each) for each in "345"}
    assert list(Actions(found[1], hashes).latest(listed)) == ["3", "4", "5"]
    for log in found:
        log.close()


def test_a_list_whose_actions_were_read_forgets_those_that_are_gone_from_the_log(tmp_path: Path) -> None:
    """After a restore from a backup, and after retention; a list keeps its actions between two patients."""
    listed, hashes = ListedAppointments(str(number) for number in range(2_000)), Hashes(tmp_path)
    first, restored = ScoringLog(tmp_path / "first"), ScoringLog(tmp_path / "restored")
    for appointment in ("1", "2"):
        Actions(first, hashes).record("l", line(appointment), Outcome.CONFIRMED)
    assert list(Actions(first, hashes).entries(listed)) == ["1", "2"]
    for appointment, day in (("3", "2020-01-06"), ("4", "2026-01-06"), ("5", "2026-01-06")):
        entry = {
            "at": f"{day}T09:00:00+00:00",
            "asked_by": "key",
            "list": "l",
            "appointment": hashes.of("appointment", appointment),
            "patient": None,
            "clinic": None,
            "site": None,
            "outcome": "confirmed",
            **CallDetails().columns,
        }
        restored.write_action(entry)
    assert sorted(Actions(restored, hashes).entries(listed)) == ["3", "4", "5"]
    assert restored.remove_before(datetime.date(2025, 1, 1)) == 1
    assert sorted(Actions(restored, hashes).entries(listed)) == ["4", "5"]
    assert restored.remove_before(datetime.date(2026, 6, 1)) == 2
    assert Actions(restored, hashes).entries(listed) == {}
    Actions(restored, hashes).record("l", line("6"), Outcome.CONFIRMED)
    assert list(Actions(restored, hashes).entries(listed)) == ["6"]
    first.close()
    restored.close()


def test_barrier_offer_and_call_back_are_kept_as_codes(actions: Actions, log: ScoringLog) -> None:
    afternoon = datetime.datetime(2026, 12, 1, 15, tzinfo=LOCAL_ZONE)
    details = CallDetails(Barrier.LETTER, Offer.TIME, afternoon)
    taken = actions.record("l", line("a"), Outcome.CALL_BACK, details=details)
    (entry,) = log.query(select(ACTIONS))
    assert (entry.barrier, entry.offered) == ("letter_not_received", "another_time")
    assert entry.call_back_at == "2026-12-01T15:00:00+00:00"
    assert actions.latest(["a"]) == {"a": taken}
    assert log.verify().entries == 1


def test_a_second_click_with_another_barrier_is_an_entry_of_its_own(actions: Actions, log: ScoringLog) -> None:
    actions.record("l", line("a"), Outcome.NO_ANSWER, seen=None)
    actions.record("l", line("a"), Outcome.NO_ANSWER, seen=None, details=CallDetails(Barrier.OTHER))
    assert outcomes_of(log) == ["no_answer", "no_answer"]


def at_of(taken: RecordedAction) -> str:
    return taken.at.isoformat()


def outcomes_of(log: ScoringLog) -> list[str]:
    return [entry.outcome for entry in log.query(select(ACTIONS).order_by(ACTIONS.c.number))]


def test_an_outcome_that_was_not_seen_is_not_replaced(actions: Actions, log: ScoringLog) -> None:
    first = actions.record("l", line("a"), Outcome.CONFIRMED, seen="")
    for seen in ("", "2026-01-01T09:00:00+00:00"):
        with pytest.raises(OutcomeChanged) as found:
            actions.record("l", line("a"), Outcome.NO_ANSWER, seen=seen)
        assert found.value.last == first
    assert outcomes_of(log) == ["confirmed"]
    second = actions.record("l", line("a"), Outcome.NO_ANSWER, seen=at_of(first))
    assert second.replaced == first
    assert actions.entries(["a", "b"]) == {"a": (first, second)}


def test_what_was_taken_back_is_in_nobodys_way(actions: Actions) -> None:
    first = actions.record("l", line("a"), Outcome.CONFIRMED, seen="")
    actions.record("l", line("a"), Outcome.WITHDRAWN, seen=at_of(first))
    for seen in ("", at_of(first)):
        assert actions.record("l", line("a"), Outcome.REBOOKED, seen=seen).replaced is None


def test_a_second_click_is_one_entry(actions: Actions, log: ScoringLog) -> None:
    for seen in ("", None):
        key = f"a{seen}"
        first = actions.record("l", line(key), Outcome.NO_ANSWER, seen=seen)
        assert actions.record("l", line(key), Outcome.NO_ANSWER, seen=seen) == first
        assert len(actions.entries([key])[key]) == 1
    assert log.verify().entries == 2


def test_a_second_attempt_is_an_entry_of_its_own(
    actions: Actions, log: ScoringLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = at_of(actions.record("l", line("a"), Outcome.NO_ANSWER, seen=""))
    actions.record("l", line("a"), Outcome.NO_ANSWER, seen=seen)  # who sees the first one means a second
    monkeypatch.setattr("dnapredict.service.call_actions._RESENT_WITHIN", datetime.timedelta(0))
    actions.record("l", line("a"), Outcome.NO_ANSWER)  # by a program, some time later
    assert outcomes_of(log) == ["no_answer"] * 3


def test_what_another_key_records_is_never_taken_for_a_second_click(actions: Actions) -> None:
    token = REQUESTED_BY.set("key-1")
    actions.record("l", line("a"), Outcome.NO_ANSWER, seen="")
    REQUESTED_BY.set("key-2")
    with pytest.raises(OutcomeChanged):
        actions.record("l", line("a"), Outcome.NO_ANSWER, seen="")
    REQUESTED_BY.reset(token)


def test_of_many_at_once_one_is_recorded_and_the_others_are_told(actions: Actions, log: ScoringLog) -> None:
    every = [outcome for outcome in Outcome if outcome is not Outcome.WITHDRAWN]

    def click(outcome: Outcome) -> bool:
        try:
            actions.record("l", line("a"), outcome, seen="")
        except OutcomeChanged:
            return False
        return True

    with ThreadPoolExecutor(len(every)) as clerks:
        assert sum(clerks.map(click, every)) == 1
    assert len(outcomes_of(log)) == 1
    assert log.verify().entries == 1


def record_at(actions: Actions, monkeypatch: pytest.MonkeyPatch, *done: tuple[datetime.datetime, str, str, str]):
    class Clock(datetime.datetime):
        moment = MONDAY

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return cls.moment.astimezone(tz)

    monkeypatch.setattr("dnapredict.service.call_actions.datetime.datetime", Clock)
    for at, appointment, clinic, outcome in done:
        Clock.moment = at
        actions.record("l", line(appointment, clinic), Outcome(outcome))
    monkeypatch.undo()


def test_the_calls_of_a_week_are_counted_by_clinic(actions: Actions, monkeypatch: pytest.MonkeyPatch) -> None:
    hour, week = datetime.timedelta(hours=1), datetime.timedelta(days=7)
    record_at(
        actions,
        monkeypatch,
        (MONDAY - 11 * hour, "sunday", "ENT1", "confirmed"),  # 22:00 UTC is 23:00 in England, still Sunday
        (MONDAY - 9.5 * hour, "early", "ENT1", "confirmed"),  # 23:30 UTC is half past midnight
        (MONDAY, "a", "ENT1", "no_answer"),
        (MONDAY + hour, "a", "ENT1", "transport_arranged"),
        (MONDAY + hour, "b", "ENT1", "wrong_number"),
        (MONDAY + hour, "c", "EYE", "confirmed"),
        (MONDAY + 2 * hour, "c", "EYE", "withdrawn"),
        (MONDAY + week, "d", "EYE", "confirmed"),
    )
    assert actions.of_week(datetime.date(2026, 7, 5)) == (
        ClinicCalls("ENT1", worked_on=3, reached=2),
        ClinicCalls("EYE", worked_on=0, reached=0),
    )


def test_every_outcome_has_its_words() -> None:
    assert list(WORDS) == list(Outcome)


def act(client: TestClient, list_id: str, **body: Any) -> Response:
    return client.post(f"/v1/lists/{list_id}/actions", json=body)


def test_an_action_goes_on_record_beside_its_answer_and_names_nobody(client: TestClient, home: Path) -> None:
    list_id = upload(client, CSV.replace("old,2026", "zebra-4711,2026")).json()["list_id"]
    answer = act(client, list_id, appointment_id="zebra-4711", outcome="transport_arranged")
    assert answer.status_code == 201
    assert set(answer.json()) == {"list_id", "appointment_id", "outcome", "recorded_at"}
    log = ScoringLog(home)
    (entry,) = log.query(select(ACTIONS))
    scored = {answer.appointment: answer for answer in log.query(select(ANSWERS))}
    assert scored[entry.appointment].probability == 0.8
    assert (entry.outcome, entry.list, scored[entry.appointment].list) == (
        "transport_arranged",
        list_id,
        list_id,
    )
    assert log.verify().entries == 4
    assert b"zebra" not in b"".join(place.read_bytes() for place in home.glob("scoring-log*"))


def test_a_program_that_says_what_it_saw_replaces_nothing_unseen(client: TestClient, home: Path) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    asked = {"appointment_id": "old", "after": None}
    first = act(client, list_id, **asked, outcome="confirmed").json()
    refused = act(client, list_id, **asked, outcome="no_answer")
    assert refused.status_code == 409
    assert refused.json() == {
        "error": "Somebody else recorded 'confirmed' in the meantime; nothing was recorded now.",
        "outcome": "confirmed",
        "recorded_at": first["recorded_at"],
    }
    answer = act(client, list_id, **asked | {"after": first["recorded_at"]}, outcome="no_answer")
    assert answer.status_code == 201
    assert answer.json()["replaced"] == {"outcome": "confirmed", "recorded_at": first["recorded_at"]}
    assert outcomes_of(ScoringLog(home)) == ["confirmed", "no_answer"]


def test_a_program_that_says_nothing_is_told_what_it_replaced(client: TestClient, home: Path) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    first = act(client, list_id, appointment_id="old", outcome="confirmed").json()
    assert "replaced" not in first
    again = act(client, list_id, appointment_id="old", outcome="confirmed").json()
    assert again == first  # sent again, since the answer was lost
    other = act(client, list_id, appointment_id="old", outcome="rebooked").json()
    assert other["replaced"] == {"outcome": "confirmed", "recorded_at": first["recorded_at"]}
    assert outcomes_of(ScoringLog(home)) == ["confirmed", "rebooked"]


@pytest.mark.parametrize("after", ["yesterday", "2026-11-30T09:00:00", 3.5, True, ""])
def test_a_time_that_is_none_is_refused(client: TestClient, after: object) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    answer = act(client, list_id, appointment_id="old", outcome="confirmed", after=after)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("'after': ")


def test_what_is_not_on_the_list_is_not_found(client: TestClient) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    answer = act(client, list_id, appointment_id="zebra-4711", outcome="confirmed")
    assert answer.status_code == 404
    assert answer.json() == {"error": "There is no such appointment on this list."}
    assert act(client, "0" * 16, appointment_id="old", outcome="confirmed").status_code == 404


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"appointment_id": "old"}, "'outcome': Field required."),
        ({"appointment_id": 3, "outcome": "confirmed"}, "'appointment_id': Input should be a valid string."),
        ({"appointment_id": "old", "outcome": "zebra"}, "'outcome': Input should be 'confirmed', 'rebooked'"),
        ({"appointment_id": "old", "outcome": "confirmed", "zebra": 1}, "The request holds an unknown key."),
    ],
)
def test_another_shape_is_refused_in_one_sentence(client: TestClient, body: dict[str, Any], sentence: str) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    answer = act(client, list_id, **body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert "zebra" not in answer.text


def test_an_action_that_cannot_be_put_on_record_is_not_acknowledged(client: TestClient, home: Path) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    for place in home.glob("scoring-log.db*"):
        place.write_bytes(b"not a database" * 100)
    answer = act(client, list_id, appointment_id="old", outcome="confirmed")
    assert answer.status_code == 503
