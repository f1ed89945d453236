"""Contacts of the scoring log, for the scorer: who was reached and who opted out of calls."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from dnapredict.data.files.secret_files import SecretError
from dnapredict.errors import StoreError
from dnapredict.service.call_actions import Outcome
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACTIONS, ANCHORS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls.contacts import Contact, Effect
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

# Built once: a single score uses it, and building a query takes longer than running it.
_FROM: Final = select(ACTIONS).where(ACTIONS.c.number >= bindparam("number")).order_by(ACTIONS.c.number)
_EFFECTS: Final[dict[Outcome, Effect]] = {
    Outcome.OPTED_OUT: "opted out",
    Outcome.REBOOKED: "rebooked",
    Outcome.WITHDRAWN: "withdrawn",
}


class LoggedContacts:
    """The actions of a scoring log, in the order in which they were recorded."""

    def __init__(self, log: ScoringLog, hashes: Hashes) -> None:
        """Read `log`, whose appointments and patients are hashed with `hashes`."""
        self._log = log
        self._hashes = hashes

    def hashed(self, kind: str, value: str) -> str:
        """The keyed hash under which the log holds an appointment or a patient.

        Raises
        ------
        SecretError
            If the secret is missing, damaged or not that of the log.
        """
        try:
            return self._hashes.of(kind, value)
        except SecretError:
            raise
        except StoreError:  # a log that cannot be read stops no list
            return self._hashes.unchecked(kind, value)

    def after(self, number: int, seal: str) -> Iterable[Contact]:
        """Contacts after the entry `number` with that `seal`; all of them where the log has no such entry.

        That is so where the database was replaced by another one, whose numbers mean other entries.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        rows = self._from(number)
        if number and rows and (rows[0].number, rows[0].seal) == (number, seal):
            return map(_contact, rows[1:])
        if number and not self._was_removed(number):
            rows = self._from(0)
        return map(_contact, rows)

    def _from(self, number: int) -> Sequence[Row[Any]]:
        return self._log.query(_FROM, {"number": number})

    def _was_removed(self, number: int) -> bool:
        """Whether the entry was removed when its time was up."""
        kept_from = select(ANCHORS.c.kept_from).order_by(ANCHORS.c.number.desc()).limit(1)
        found = self._log.query(kept_from)
        return bool(found) and found[0].kept_from > number


def logged_contacts(home: Path, database: str | None = None) -> LoggedContacts:
    """Those of the log of `home`; nothing is opened yet. `database` is as in `record.database`."""
    log = ScoringLog(home, database)
    return LoggedContacts(log, Hashes(home, log))


def _contact(row: Row[Any]) -> Contact:
    outcome = Outcome(row.outcome)
    day = datetime.datetime.fromisoformat(row.at).astimezone(LOCAL_ZONE).date()
    effect = _EFFECTS.get(outcome, "reached" if outcome.reached else "not reached")
    return Contact(row.number, row.seal, row.appointment, row.patient, row.clinic, day, row.outcome, effect)
