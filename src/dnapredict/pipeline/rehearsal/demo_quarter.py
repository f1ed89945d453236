"""A quarter of the demo: 13 weekly lists with calls and outcomes, 12 of them in a randomised trial of the calls.

Each step runs on its own day, with the clock set back (`data.system_clock`), by the functions that a trust uses: a list
is scored on the Monday of the week before its appointments, and the team returns it filled in on the Friday. Once a
month the history is refreshed, which brings outcomes back.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dnapredict.config.training_config import Setting
from dnapredict.config.trial_config import TrialConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.system_clock import set_back
from dnapredict.pipeline.in_use.trial_planning import plan_trial
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.pipeline.scoring import ScoredList, refresh, score_list
from dnapredict.synthetic.made_up_calls import SyntheticRecords
from dnapredict.worklist.calls.known_contacts import RecordedContacts
from dnapredict.worklist.calls.recorded_calls import CallRecords
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

TRIAL_NAME: Final = "Synthetic demo calls"
_WEEKS: Final = 13
_WEEKS_BETWEEN_REFRESHES: Final = 4
# A small trial finds the made-up effect in nearly every demo; which patients are held out differs in each home.
_SHARE_HELD_OUT: Final = 0.3
_A_WEEK: Final = datetime.timedelta(weeks=1)
_SCORED_AT: Final = datetime.time(8)
_RETURNED_AT: Final = datetime.time(16)
# Days from the Monday on which a list is scored.
_FRIDAY: Final = datetime.timedelta(days=4)
_WEDNESDAY: Final = datetime.timedelta(days=2)


class LoggedCalls(RecordedContacts, CallRecords, Protocol):
    """The interface to the scoring log, which is in a higher layer."""


@dataclass(frozen=True)
class CallLog:
    """The scoring log of a home.

    Attributes
    ----------
    contacts
        What was recorded in it.
    record
        Records the outcomes of a filled worklist, a CSV file with `appointment_id` and `outcome`, on the list of that
        id.
    """

    contacts: LoggedCalls
    record: Callable[[Path, str], object]


class DemoQuarter:
    """The quarter before the present week.

    Attributes
    ----------
    drawn
        Midnight of the Monday of this week, local and without a zone: outcomes are known up to then.
    trained_at
        The same of the day on which the model was trained, the Wednesday before the first list is scored.
    """

    def __init__(
        self, home: Path, *, folder: Path, records: SyntheticRecords, log: CallLog, next_list: datetime.date
    ) -> None:
        """Run nothing yet. Files go to `folder`; `next_list` is the first day of the list of next week."""
        self.home = home
        self.folder = folder
        self.records = records
        self._log = log
        this_week = next_list - _A_WEEK
        # The first list is of the appointments 13 weeks ago, and scored a week before them.
        self._first = this_week - (_WEEKS + 1) * _A_WEEK
        self.drawn = _midnight(this_week)
        self.trained_at = _midnight(self._first - _A_WEEK + _WEDNESDAY)
        self._refreshed = self.trained_at

    @property
    def moment_of_training(self) -> datetime.datetime:
        """When the model was trained, audited and promoted."""
        return _at(self.trained_at.date(), _SCORED_AT)

    @property
    def words(self) -> str:
        """The quarter in words."""
        first, last = self._first + _A_WEEK, self._first + _WEEKS * _A_WEEK
        return (
            f"{_WEEKS} weekly lists, for the weeks of {first.day} {first:%B %Y} to {last.day} {last:%B %Y}; from the "
            f"second on a trial holds out {_SHARE_HELD_OUT:.0%} of the patients to be called"
        )

    def run(self) -> Iterator[str]:
        """Score the lists, register the trial, record the calls and bring outcomes back; yield sentences on it."""
        calls = 0
        plain = worklist_config()
        in_trial = plain.model_copy(update={"trial": self._trial()})
        for week in range(_WEEKS):
            monday = self._first + week * _A_WEEK
            if week and not week % _WEEKS_BETWEEN_REFRESHES:
                with set_back(_at(monday, _SCORED_AT)):
                    self._refresh(_midnight(monday))
            calls += self._worked_on(monday, worklist=in_trial if week else plain)
            if not week:
                with set_back(_at(monday + _WEDNESDAY, _SCORED_AT)):
                    planned = plan_trial(self.home, worklist=in_trial)
                yield f"The trial is registered before its first call: {planned.file}"
        yield f"{calls:,} calls are made and recorded. Their outcomes come back:"
        yield from self._refresh(self.drawn)

    def _worked_on(self, monday: datetime.date, *, worklist: WorklistConfig) -> int:
        """Score the list that is due on that Monday, make its calls and record them; return their number."""
        name = f"synthetic-list-{monday + _A_WEEK}"
        path, out = self.folder / f"{name}.parquet", self.folder / f"{name}-worklist.csv"
        pq.write_table(self.records.week(monday + _A_WEEK, at=_midnight(monday)), path)
        with set_back(_at(monday, _SCORED_AT)):
            scored = score_list(path, out=out, home=self.home, recorded=self._log.contacts, worklist=worklist)
        filled = self.folder / f"{name}-filled.csv"
        said = self._called(out)
        pa_csv.write_csv(said, filled)
        with set_back(_at(monday + _FRIDAY, _RETURNED_AT)):
            self._log.record(filled, _id_of(scored))
        return int(said.num_rows)

    def _called(self, worklist: Path) -> pa.Table:
        """The calls of a written worklist, and what is recorded of each."""
        rows = pa_csv.read_csv(worklist)
        return self.records.call(rows.filter(rows["selected"])["appointment_id"].to_pylist())

    def _refresh(self, at: datetime.datetime) -> list[str]:
        """Add what is new to the history, and bring outcomes back; return sentences on the outcomes."""
        path = self.folder / f"synthetic-extract-{at.date()}.parquet"
        self.records.write(path, at=at, since=self._refreshed)
        said: list[str] = []
        refresh(path, home=self.home, setting=Setting(), append=True, say=said.append, records=self._log.contacts)
        self._refreshed = at
        return said[1:]

    def _trial(self) -> TrialConfig:
        """The trial of the quarter: from the second list to the Sunday after the last one is scored."""
        start = self._first + _A_WEEK
        return TrialConfig(
            name=TRIAL_NAME,
            share_held_out=_SHARE_HELD_OUT,
            start=start,
            end=start + (_WEEKS - 1) * _A_WEEK - datetime.timedelta(days=1),
            approved_by="Nobody: a demonstration with made-up patients",
            why_ethical="No patient is real, so that nobody is called and nobody is held out.",
        )


def _midnight(day: datetime.date) -> datetime.datetime:
    """The beginning of a day by the clock of the clinics, which synthetic extracts give without a zone."""
    return datetime.datetime.combine(day, datetime.time())


def _at(day: datetime.date, time: datetime.time) -> datetime.datetime:
    return datetime.datetime.combine(day, time, LOCAL_ZONE)


def _id_of(scored: ScoredList) -> str:
    assert scored.identity is not None  # noqa: S101 - `score_list` keeps every list
    return scored.identity.list_id
