"""New actions in the scoring log since a page was shown.

All workers and hosts record in one log, so that an open page can show an entry wherever it was made. A worker reads the
log at most once a second, however many pages are open.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ACTIONS
from dnapredict.service.log.scoring_log import ScoringLog

_SECONDS_REMEMBERED: Final = 1.0
# A page that missed more entries than this is loaded again as a whole.
_MOST_CHANGES: Final = 1_000


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
