"""New actions in the scoring log since a page was shown, and the appointments that have any action.

All workers and hosts record in one log, so that an open page can show an entry wherever it was made. A worker reads the
log at most once a second, however many pages are open.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, func, select

from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACTIONS
from dnapredict.service.log.scoring_log import ScoringLog

_SECONDS_REMEMBERED: Final = 1.0
# A page that missed more entries than this is loaded again as a whole.
_MOST_CHANGES: Final = 1_000
VALUES_AT_ONCE: Final = 500
"""Values of one statement: below the limit on its parameters in any SQLite (999)."""


@dataclass(frozen=True)
class Changes:
    """The appointments, by their keyed hash, about which something was recorded up to the action `number`.

    `is_complete` is False if there were too many to name.
    """

    number: int
    appointments: frozenset[str]
    is_complete: bool


class ActionFeed:
    """The new actions of a scoring log."""

    def __init__(self, log: ScoringLog, hashes: Hashes, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read nothing yet."""
        self._log = log
        self._hashes = hashes
        self._clock = clock
        self._last = 0
        self._read_at = -float("inf")
        self._reading = threading.Lock()

    def last_number(self) -> int:
        """The number of the last action now; 0 where there is none.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        rows = self._log.query(select(func.max(ACTIONS.c.number).label("last")))
        return int(rows[0].last or 0) if rows else 0

    @property
    def known_number(self) -> int:
        """The number of the last action as it was when the log was last read."""
        return self._last

    @property
    def is_stale(self) -> bool:
        """Whether the log was last read more than a second ago."""
        return self._clock() - self._read_at >= _SECONDS_REMEMBERED

    def refresh(self) -> None:
        """Read the number of the last action, unless another thread has just done so.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        with self._reading:
            if self.is_stale:
                self._last, self._read_at = self.last_number(), self._clock()

    def since(self, number: int) -> Changes:
        """The actions after `number`.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        later = select(ACTIONS.c.number, ACTIONS.c.appointment).where(ACTIONS.c.number > number)
        rows = self._log.query(later.order_by(ACTIONS.c.number.desc()).limit(_MOST_CHANGES))
        last = rows[0].number if rows else number
        return Changes(last, frozenset(row.appointment for row in rows), len(rows) < _MOST_CHANGES)

    def hash_of(self, appointment_id: str) -> str:
        """The keyed hash under which an appointment is recorded.

        Raises
        ------
        StoreError
            If the secret cannot be read.
        """
        return self._hashes.of("appointment", appointment_id)


@dataclass(frozen=True)
class LogPosition:
    """A place in the log up to which its actions were read: number and seal of the last one, and the oldest number."""

    number: int
    seal: str
    oldest: int


class RecordedAppointments:
    """The appointments with actions, by keyed hash: read once by a worker, and then only what was added.

    Retention removes actions without a word here: such an appointment stays among them, and has no entry in the log.
    """

    def __init__(self, log: ScoringLog) -> None:
        """Read nothing yet."""
        self._log = log
        self._hashes: frozenset[str] = frozenset()
        self._last = (0, "")
        self._reading = threading.Lock()

    def hashes(self) -> frozenset[str]:
        """The hashes of all appointments about which something was recorded.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        with self._reading:
            rows = self._since(self._last[0])
            # Another log than before, such as one from a backup, or one whose last action retention has removed.
            if self._last[0] and (not rows or (rows[0].number, rows[0].seal) != self._last):
                self._hashes, rows = frozenset(), self._since(0)
            if rows and (rows[-1].number, rows[-1].seal) != self._last:
                self._hashes |= {row.appointment for row in rows}
                self._last = (rows[-1].number, rows[-1].seal)
            return self._hashes

    def added(self, before: LogPosition | None) -> tuple[LogPosition | None, Sequence[Row[Any]] | None]:
        """The end of the log now, and the actions after `before`, oldest first.

        None in place of the actions if all have to be read again: nothing was read before, this is another log, or
        retention has removed actions since. The position is None where the log has no action.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        oldest = next(iter(self._log.query(select(func.min(ACTIONS.c.number).label("oldest")))), None)
        if oldest is None or oldest.oldest is None:
            return None, None
        query = select(ACTIONS).order_by(ACTIONS.c.number)
        if before is not None and before.oldest == oldest.oldest:
            rows = self._log.query(query.where(ACTIONS.c.number >= before.number))
            if rows and (rows[0].number, rows[0].seal) == (before.number, before.seal):
                return LogPosition(rows[-1].number, rows[-1].seal, oldest.oldest), rows[1:]
        (last,) = self._log.query(query.order_by(None).order_by(ACTIONS.c.number.desc()).limit(1))
        return LogPosition(last.number, last.seal, oldest.oldest), None

    def about(self, hashes: Collection[str], *, up_to: LogPosition | None) -> list[Row[Any]]:
        """The actions about these appointments up to a position, oldest first within each appointment.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        if up_to is None:
            return []
        some = list(hashes) if len(hashes) <= VALUES_AT_ONCE else list(self.hashes().intersection(hashes))
        return [row for row in self.of(some) if row.number <= up_to.number]

    def of(self, hashes: Sequence[str]) -> Iterator[Row[Any]]:
        """The actions about these appointments, oldest first within each appointment.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        for some in in_parts(hashes):
            about = select(ACTIONS).where(ACTIONS.c.appointment.in_(some))
            yield from self._log.query(about.order_by(ACTIONS.c.number))

    def _since(self, number: int) -> Sequence[Row[Any]]:
        """The actions from `number` on."""
        columns = select(ACTIONS.c.number, ACTIONS.c.seal, ACTIONS.c.appointment)
        return self._log.query(columns.where(ACTIONS.c.number >= number).order_by(ACTIONS.c.number))


_WEEKS_KEPT: Final = 4
_OF_A_WEEK: Final = (
    ACTIONS.c.at,
    ACTIONS.c.appointment,
    ACTIONS.c.list,
    ACTIONS.c.clinic,
    ACTIONS.c.site,
    ACTIONS.c.outcome,
    ACTIONS.c.barrier,
)


@dataclass(frozen=True)
class LastAction:
    """What was recorded last about an appointment within a period; the appointment is a keyed hash."""

    appointment: str
    list_id: str
    clinic: str | None
    site: str | None
    outcome: str
    barrier: str | None

    @classmethod
    def of(cls, row: Row[Any]) -> "LastAction":
        """The action of a row of the log."""
        return cls(row.appointment, row.list, row.clinic, row.site, row.outcome, row.barrier)


class LastActions:
    """The last action about each appointment within a period, such as a week, for the last few periods.

    The actions of a period are read once by a worker, and then only what was added to the log: in the middle of a week
    there are thousands, and each page shows the progress of the week.
    """

    def __init__(self, log: ScoringLog, recorded: RecordedAppointments) -> None:
        """Read nothing yet; `recorded` tells what was added to `log`."""
        self._log = log
        self._recorded = recorded
        self._read: dict[tuple[str, str], tuple[LogPosition | None, Mapping[str, LastAction]]] = {}
        self._reading = threading.Lock()

    def within(self, since: str, until: str) -> Mapping[str, LastAction]:
        """The last action about each appointment that was recorded from `since` to before `until` (UTC, ISO format).

        The same object as before if nothing was added in the period.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        with self._reading:
            before, known = self._read.pop((since, until), (None, {}))
            position, added = self._recorded.added(before)
            if added is None:
                during = select(*_OF_A_WEEK).where(ACTIONS.c.at >= since, ACTIONS.c.at < until)
                last = position.number if position else 0
                known, added = {}, self._log.query(during.where(ACTIONS.c.number <= last).order_by(ACTIONS.c.number))
            new = {row.appointment: LastAction.of(row) for row in added if since <= row.at < until}
            known = {**known, **new} if new else known
            self._read[since, until] = (position, known)
            while len(self._read) > _WEEKS_KEPT:
                del self._read[next(iter(self._read))]
            return known


def in_parts(hashes: Sequence[str]) -> Iterator[Sequence[str]]:
    """The hashes, at most `VALUES_AT_ONCE` in each part."""
    return (hashes[start : start + VALUES_AT_ONCE] for start in range(0, len(hashes), VALUES_AT_ONCE))
