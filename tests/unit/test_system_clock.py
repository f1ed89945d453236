"""The clock of what is recorded with a time: it can be set back for a rehearsal, and never forward."""

import datetime
import threading
from pathlib import Path

import pytest

from dnapredict.data.system_clock import set_back, utc_now
from dnapredict.registry.decision_ledger import Decisions, NewEntry
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.plan.working_days import local_today

SUMMER = datetime.datetime(2026, 6, 30, 23, 30, tzinfo=datetime.UTC)


def test_the_clock_stops_at_a_time_in_the_past_and_goes_on_afterwards() -> None:
    with set_back(SUMMER):
        assert utc_now() == SUMMER
        assert local_today() == datetime.date(2026, 7, 1)  # half past midnight in London
        assert ListIdentity.new().scored_at == SUMMER
    assert utc_now() > SUMMER + datetime.timedelta(days=30)


def test_the_future_and_a_time_without_a_zone_are_refused() -> None:
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    for moment in (tomorrow, SUMMER.replace(tzinfo=None)):
        with pytest.raises(ValueError, match="expected a time in the past, with a time zone"), set_back(moment):
            pass
    assert utc_now() < tomorrow


def test_after_an_error_the_clock_is_the_present_again() -> None:
    with pytest.raises(RuntimeError), set_back(SUMMER):
        raise RuntimeError
    assert utc_now() > SUMMER + datetime.timedelta(days=30)


def test_another_thread_keeps_the_present() -> None:
    seen: list[datetime.datetime] = []
    with set_back(SUMMER):
        other = threading.Thread(target=lambda: seen.append(utc_now()))
        other.start()
        other.join()
    assert seen[0] > SUMMER + datetime.timedelta(days=30)


def test_a_clock_that_is_set_back_makes_no_entry_of_the_ledger_older_than_the_last(tmp_path: Path) -> None:
    ledger = Decisions(tmp_path / "home")
    with set_back(SUMMER):
        ledger.create([NewEntry("training", {"version": "1", "model": "m"})])
    now = ledger.append("audit", {"version": "1"}).at
    with set_back(SUMMER):
        last = ledger.append("promotion", {"version": "1"}).at
    assert [entry.at for entry in ledger.entries()] == [SUMMER.isoformat(timespec="seconds"), now, last]
    assert last == now
