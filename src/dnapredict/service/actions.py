"""Actions taken on a list: record one, and tell what was done and how far the week has come."""

import datetime
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select

from dnapredict.errors import StoreError
from dnapredict.lists.calls_database import UnusableError
from dnapredict.lists.ledger import Ledger
from dnapredict.service.hashes import Hashes
from dnapredict.service.logbook import ASKED_BY
from dnapredict.service.outcomes import Outcome
from dnapredict.service.record.tables import ACTIONS, ANSWERS
from dnapredict.service.store import ScoringLog

__all__ = ["Actions", "ClinicCalls", "TakenAction", "week_of"]

_LOG: Final = logging.getLogger("dnapredict.service")
_LOCAL: Final = ZoneInfo("Europe/London")
_DAYS_A_WEEK: Final = 7
# As many values as any SQLite takes in one statement, with room to spare.
_ASKED_AT_ONCE: Final = 500


@dataclass(frozen=True)
class TakenAction:
    """What was done last about an appointment, when (UTC) and by whose key."""

    outcome: Outcome
    at: datetime.datetime
    asked_by: str


@dataclass(frozen=True)
class ClinicCalls:
    """How many appointments of a clinic were worked on, and at how many the patient was reached."""

    clinic: str
    worked_on: int
    reached: int
    by_outcome: Mapping[Outcome, int]
    site: str = ""


class Actions:
    """Actions in the scoring log, each a further entry: nothing that was recorded is changed."""

    def __init__(self, log: ScoringLog, hashes: Hashes, ledger: Ledger | None = None) -> None:
        """Read and write `log`, and hash with `hashes`; `ledger` is told who was reached."""
        self._log = log
        self._hashes = hashes
        self._ledger = ledger

    def record(self, list_id: str, line: Mapping[str, Any], outcome: Outcome) -> TakenAction:
        """Put on record what was done about one line of a kept list.

        Parameters
        ----------
        line
            The line's `appointment_id`, and its `clinic_code` and `site_code` where it has them.

        Raises
        ------
        StoreError
            If the log cannot be written: then nothing was recorded.
        """
        at = datetime.datetime.now(datetime.UTC)
        appointment = self._hash(line["appointment_id"])
        self._log.write_action(
            {
                "at": at.isoformat(),
                "asked_by": ASKED_BY.get(),
                "list": list_id,
                "appointment": appointment,
                "patient": self._patient_of(appointment),
                "clinic": line.get("clinic_code"),
                "site": line.get("site_code"),
                "outcome": outcome.value,
            }
        )
        self._tell_ledger()
        return TakenAction(outcome, at, ASKED_BY.get())

    def latest(self, appointment_ids: Iterable[str]) -> dict[str, TakenAction]:
        """What was done last about each appointment, on whatever list; those without an action are left out.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        by_hash = {self._hash(appointment): appointment for appointment in appointment_ids}
        found = {by_hash[row.appointment]: row for row in self._of(list(by_hash))}
        taken = {appointment: _taken(row) for appointment, row in found.items()}
        return {key: action for key, action in taken.items() if action.outcome is not Outcome.WITHDRAWN}

    def of_week(self, day: datetime.date) -> tuple[ClinicCalls, ...]:
        """What came of the calls in the week (Monday to Sunday, local time) of `day`, by clinic and site.

        An appointment counts once, with what was recorded last in that week. Appointments whose list
        names no clinic or site count under "".

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        since, until = (moment.isoformat() for moment in week_of(day))
        during = select(ACTIONS).where(ACTIONS.c.at >= since, ACTIONS.c.at < until)
        last = {row.appointment: row for row in self._log.ask(during.order_by(ACTIONS.c.number))}
        places: dict[tuple[str, str], Counter[Outcome]] = {}
        for row in last.values():
            places.setdefault((row.clinic or "", row.site or ""), Counter())[Outcome(row.outcome)] += 1
        return tuple(_calls(*place, places[place]) for place in sorted(places))

    def _of(self, hashes: Sequence[str]) -> Iterable[Row[Any]]:
        """Entries about these appointments, oldest first within each appointment."""
        for start in range(0, len(hashes), _ASKED_AT_ONCE):
            asked = hashes[start : start + _ASKED_AT_ONCE]
            about = select(ACTIONS).where(ACTIONS.c.appointment.in_(asked))
            yield from self._log.ask(about.order_by(ACTIONS.c.number))

    def _patient_of(self, appointment: str) -> str | None:
        """Whose appointment it is, as the log was told when it was scored last."""
        scored = select(ANSWERS.c.patient).where(ANSWERS.c.appointment == appointment)
        found = self._log.ask(scored.order_by(ANSWERS.c.number.desc()).limit(1))
        if found and found[0].patient is not None:
            return str(found[0].patient)
        # A list that was scored as a file is not in the log.
        return None if self._ledger is None else self._ledger.patient_of(appointment)

    def _tell_ledger(self) -> None:
        """Bring it into the calls database, so that a list that is scored elsewhere knows it."""
        try:
            notices = () if self._ledger is None else self._ledger.catch_up()
        except (UnusableError, StoreError) as error:
            notices = (str(error),)
        for notice in notices:
            _LOG.error("The calls database was not brought up to date: %s", notice)

    def _hash(self, appointment_id: str) -> str:
        return self._hashes.of("appointment", appointment_id)


def week_of(day: datetime.date) -> tuple[datetime.datetime, datetime.datetime]:
    """The moments (UTC) at which the week of `day` begins and ends in England.

    >>> [str(moment) for moment in week_of(datetime.date(2026, 7, 1))]
    ['2026-06-28 23:00:00+00:00', '2026-07-05 23:00:00+00:00']
    """
    monday = day - datetime.timedelta(days=day.weekday())
    ends = (monday, monday + datetime.timedelta(days=_DAYS_A_WEEK))
    start, end = (datetime.datetime.combine(each, datetime.time(), _LOCAL) for each in ends)
    return start.astimezone(datetime.UTC), end.astimezone(datetime.UTC)


def _taken(row: Row[Any]) -> TakenAction:
    return TakenAction(Outcome(row.outcome), datetime.datetime.fromisoformat(row.at), row.asked_by)


def _calls(clinic: str, site: str, outcomes: Counter[Outcome]) -> ClinicCalls:
    done: dict[Outcome, int] = {**outcomes}
    done.pop(Outcome.WITHDRAWN, None)
    reached = sum(count for outcome, count in done.items() if outcome.reached)
    return ClinicCalls(clinic, sum(done.values()), reached, done, site)
