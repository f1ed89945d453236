"""What a wrong clock deletes: nothing. A specification for information governance and operations.

Each table is a home in time order: a reading of the machine's clock in days since the first, and whether what is past its
retention period may be deleted then.
"""

import datetime
import logging
from pathlib import Path

import pytest
from tests.spec.test_retention_rules import keep

from dnapredict.config.service_config import Retention
from dnapredict.data import retention_clock
from dnapredict.data.retention_clock import confirm_clock, has_jumped_ahead, is_clock_believed
from dnapredict.service.auth import sessions
from dnapredict.service.auth.sessions import SESSION_SECONDS, Sessions
from dnapredict.service.log.retention import RetentionThread
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import contact_details, list_store
from dnapredict.worklist.files.contact_table import ContactDetails

READINGS = """
    days    | delete | why
    0       |        | the first reading in a home may be a wrong one
    1       |        | two days have not passed
    2       | yes    | the clock has gone on for two days
    9       | yes    | a home that is used once a week
    409     |        | 400 days ahead
    409.5   |        | still ahead
    9.6     | yes    | the clock was set right
    7.6     | yes    | two days back: less is deleted, and nothing too early
    10      | yes    | right again
    40      |        | a month without a service
    41      |        | its clock is doubted for two days
    42      | yes    | it has gone on for two days
    442     |        | 400 days ahead, for two moments
    42.5    | yes    | right again
    444.5   |        | ahead again: doubt begins anew
    445     |        | still in doubt

    0       |        | the first reading is 400 days ahead
    -399    |        | set right: doubt begins anew
    -398    |        | a day later
    -397    | yes    | two days later
"""
START = datetime.datetime(2026, 10, 23, 8, tzinfo=datetime.UTC)


class Clock:
    """The machine's clock, which a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        monkeypatch.setattr(retention_clock, "_now", lambda: self.now)
        monkeypatch.setattr(sessions.time, "time", lambda: self.now.timestamp())  # noqa: PLW0108
        monkeypatch.setattr(contact_details, "_today", lambda: self.now.date())  # noqa: PLW0108

    def set(self, days: float) -> None:
        self.now = START + datetime.timedelta(days=days)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def homes() -> list[list[tuple[float, bool, str]]]:
    blocks = "\n".join(READINGS.strip().splitlines()[1:]).split("\n\n")
    return [[_reading(line) for line in block.splitlines()] for block in blocks]


def _reading(line: str) -> tuple[float, bool, str]:
    days, delete, why = (cell.strip() for cell in line.split("|"))
    return float(days), delete == "yes", why


@pytest.mark.parametrize("readings", homes())
def test_nothing_is_deleted_by_a_clock_that_jumped_ahead(
    tmp_path: Path, clock: Clock, readings: list[tuple[float, bool, str]]
) -> None:
    for days, delete, why in readings:
        clock.set(days)
        assert is_clock_believed(tmp_path) is delete, (days, why)


JUMPS = """
    days  | ahead | why
    0     |       | no reading before it
    9     |       | a home that is used once a week
    409   | yes   | 400 days ahead
    410   | yes   | still ahead
    9.5   |       | the clock was set right
    412.5 | yes   | ahead again
    414.5 |       | it has gone on for two days
    400   |       | back
    800   | yes   | 400 days ahead
"""


def test_a_clock_that_jumped_ahead_is_noticed_without_a_reading_of_its_own(tmp_path: Path, clock: Clock) -> None:
    """What is to be recorded for ever, such as that a deadline passed, waits until the clock is believed."""
    for line in JUMPS.strip().splitlines()[1:]:
        days, ahead, why = _reading(line)
        clock.set(days)
        before = sorted(tmp_path.iterdir())
        assert has_jumped_ahead(tmp_path) is ahead, (days, why)
        assert sorted(tmp_path.iterdir()) == before
        is_clock_believed(tmp_path)


def test_a_person_confirms_the_clock(tmp_path: Path, clock: Clock) -> None:
    assert not is_clock_believed(tmp_path)
    confirm_clock(tmp_path)
    assert is_clock_believed(tmp_path)
    clock.set(400)
    assert not is_clock_believed(tmp_path)
    confirm_clock(tmp_path)
    assert is_clock_believed(tmp_path)


def test_a_jump_is_logged_with_both_days_and_what_to_do(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    confirm_clock(tmp_path)
    clock.set(400)
    with caplog.at_level(logging.ERROR):
        assert not is_clock_believed(tmp_path)
    (line,) = (record.getMessage() for record in caplog.records)
    assert "clock says 2027-11-27, and said 2026-10-23" in line
    assert "`dnapredict log prune`" in line


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"believed": "soon"}', b'{"believed": "2026-10-23T08:00:00"}', b"\xff"]
)
def test_with_a_damaged_record_of_the_clock_nothing_is_deleted(
    tmp_path: Path, clock: Clock, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    confirm_clock(tmp_path)
    (tmp_path / "clock.json").write_bytes(content)
    clock.set(1)
    assert not is_clock_believed(tmp_path)
    assert f"{tmp_path / 'clock.json'}: is damaged" in caplog.text
    clock.set(2.5)
    assert not is_clock_believed(tmp_path)
    clock.set(3)
    assert is_clock_believed(tmp_path)


def test_a_service_whose_clock_runs_ahead_keeps_lists_and_contact_details(tmp_path: Path, clock: Clock) -> None:
    row = {"list": "a", "over": "", "days old": "1"}
    list_id, log = keep(tmp_path, row), ScoringLog(tmp_path)
    until = START.date() + datetime.timedelta(days=20)
    contact_details.keep(tmp_path, list_id, {1: ContactDetails(name="Alex Sample")}, until)
    confirm_clock(tmp_path)
    clock.set(400)
    thread = RetentionThread(tmp_path, log, Retention(list_days=1))
    thread.watch()
    assert not thread.run_once()  # which `/metrics` counts as a failure
    clock.set(1)
    assert list_store.find(tmp_path, list_id) is not None
    assert contact_details.read(tmp_path, list_id)[1].name == "Alex Sample"
    clock.set(21)
    assert not thread.run_once()
    clock.set(23)
    assert thread.run_once()
    assert contact_details.read(tmp_path, list_id) == {}
    assert not list((tmp_path / "lists").glob("*.contacts*"))
    log.close()


@pytest.mark.parametrize("day", ["2026-10-25", "2027-03-28"])
def test_on_the_day_of_a_change_of_daylight_saving_contact_details_are_kept_to_its_end_in_england(
    tmp_path: Path, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = datetime.date.fromisoformat(day)
    list_id = keep(tmp_path, {"list": "a", "over": "", "days old": "1"})
    contact_details.keep(tmp_path, list_id, {1: ContactDetails(name="Alex Sample")}, last)
    # In October the day ends at midnight UTC, and in March, by then in summer time, an hour before it.
    end = datetime.datetime.combine(last, datetime.time(23 if last.month == 3 else 0), datetime.UTC)
    end += datetime.timedelta(days=0 if last.month == 3 else 1)
    for seconds, is_kept in ((-1, True), (0, False)):
        moment = end + datetime.timedelta(seconds=seconds)
        monkeypatch.setattr(contact_details, "_now", lambda moment=moment: moment)
        assert contact_details.remove_due(tmp_path) == (not is_kept), moment
        assert bool(list((tmp_path / "lists").glob("*.contacts"))) is is_kept


def test_a_session_of_a_clock_that_was_ahead_does_not_last_until_that_day(tmp_path: Path, clock: Clock) -> None:
    kept = Sessions(tmp_path / "keys")
    clock.set(400)
    session = kept.start("0123abcd")
    assert kept.holder(session) == "0123abcd"
    clock.set(0)
    assert kept.holder(session) is None


def test_a_session_that_was_ended_stays_ended_when_the_clock_was_ahead_for_a_moment(
    tmp_path: Path, clock: Clock
) -> None:
    kept = Sessions(tmp_path / "keys")
    confirm_clock(tmp_path)
    session, other = kept.start("0123abcd"), kept.start("0123abcd")
    kept.end(session)
    clock.set(400)
    kept.end(kept.start("0123abcd"))
    clock.set(SESSION_SECONDS / 86_400 / 24)
    assert kept.holder(session) is None
    assert kept.holder(other) == "0123abcd"
