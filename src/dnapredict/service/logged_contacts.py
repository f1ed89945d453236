"""Contacts in the scoring log: who was reached and who opted out of calls, for the scorer."""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from dnapredict.data.files.digests import SecretError
from dnapredict.errors import StoreError
from dnapredict.service.call_outcomes import CallDetails, Outcome
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACTIONS, ANCHORS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls.known_contacts import Contact
from dnapredict.worklist.calls.recorded_calls import RecordedCall, ScoredAnswer
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

# Built once: building the query takes longer than running it, and every single score needs it.
_FROM: Final = select(ACTIONS).where(ACTIONS.c.number >= bindparam("number")).order_by(ACTIONS.c.number)

# A year of an integrated care board is too much for memory at once.
_ANSWERS: Final = (
    select(ANSWERS)
    .where(ANSWERS.c.number > bindparam("number"), ANSWERS.c.list.is_(None), ANSWERS.c.probability.is_not(None))
    .order_by(ANSWERS.c.number)
    .limit(50_000)
)


class LoggedContacts:
    """The actions of a scoring log as contacts, in the order of recording."""

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
        except StoreError:  # a list is scored even if the log cannot be read
            return self._hashes.unchecked(kind, value)

    def after(self, number: int, seal: str) -> Iterable[Contact]:
        """Contacts after the entry `number` with that `seal`; all contacts if the log has no such entry.

        An entry with another seal means that the database was replaced, so that numbers mean other entries.

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

    def holds(self, number: int, seal: str) -> bool:
        """Whether the log has the entry `number` with that `seal`, or retention has removed it.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        rows = self._log.query(_FROM.limit(1), {"number": number})
        return (bool(rows) and (rows[0].number, rows[0].seal) == (number, seal)) or self._was_removed(number)

    def calls(self) -> Sequence[RecordedCall]:
        """Every recorded call that the log still holds, in the order of recording.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        return [_recorded_call(row) for row in self._from(0)]

    def answers(self) -> Iterator[ScoredAnswer]:
        """Every answer about a single appointment, which is on no list, that the log still holds.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        number = 0
        while rows := self._log.query(_ANSWERS, {"number": number}):
            yield from map(_scored_answer, rows)
            number = rows[-1].number

    def _from(self, number: int) -> Sequence[Row[Any]]:
        return self._log.query(_FROM, {"number": number})

    def _was_removed(self, number: int) -> bool:
        """Whether retention removed the entry."""
        kept_from = select(ANCHORS.c.kept_from).order_by(ANCHORS.c.number.desc()).limit(1)
        rows = self._log.query(kept_from)
        return bool(rows) and rows[0].kept_from > number


def logged_contacts(home: Path, database: str | None = None) -> LoggedContacts:
    """The contacts in the log of `home`, or of the address `database`; nothing is opened yet."""
    log = ScoringLog(home, database)
    return LoggedContacts(log, Hashes(home, log))


def _recorded_call(row: Row[Any]) -> RecordedCall:
    outcome, details = Outcome(row.outcome), CallDetails.of_entry(row)
    at = _utc(row.at)
    return RecordedCall(
        row.number, row.appointment, row.patient, at, row.outcome, outcome.effect, details.barrier, details.offered
    )


def _scored_answer(row: Row[Any]) -> ScoredAnswer:
    at = _utc(row.at)
    selected = None if row.selected is None else bool(row.selected)
    return ScoredAnswer(row.appointment, row.patient, at, row.model_version, row.probability, row.rank, selected)


def _utc(at: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(at).astimezone(datetime.UTC).replace(tzinfo=None)


def _contact(row: Row[Any]) -> Contact:
    outcome = Outcome(row.outcome)
    day = datetime.datetime.fromisoformat(row.at).astimezone(LOCAL_ZONE).date()
    return Contact(row.number, row.seal, row.appointment, row.patient, row.clinic, day, row.outcome, outcome.effect)
