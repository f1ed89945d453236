"""Which patients lists have planned calls for, so that nobody is called twice for one clinic in a short time.

Patients and appointments stand in it as keyed hashes (HMAC-SHA-256, the home's own secret). What was
planned for a list is replaced when the same list is scored again, so that it is answered alike.
"""

import contextlib
import datetime
import hashlib
import hmac
import os
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import StoreError
from dnapredict.lists.private import written_once

__all__ = ["Ledger", "Planned", "PlannedCall", "list_name"]

_PLACE: Final = Path("lists") / "calls.db"
_SECRET: Final = Path("lists") / "calls.secret"
# Kept for so many days after the call was due.
_KEPT_DAYS: Final = 400
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS calls (
        list TEXT NOT NULL, appointment TEXT NOT NULL, patient TEXT NOT NULL, clinic TEXT NOT NULL,
        call_by TEXT NOT NULL, planned_on TEXT NOT NULL, PRIMARY KEY (list, appointment)
    ) WITHOUT ROWID
"""


@dataclass(frozen=True)
class PlannedCall:
    """A call about an appointment, due by a day."""

    appointment_id: str
    patient_id: str
    clinic_code: str
    call_by: datetime.date


@dataclass(frozen=True)
class Planned:
    """The calls that other lists have planned, as far as they can matter.

    Attributes
    ----------
    calls
        By hashes of patient and clinic: hash of the appointment, when due, when planned.
    """

    calls: dict[tuple[str, str], list[tuple[str, datetime.date, datetime.date]]]
    mute_days: int
    today: datetime.date
    hashed: Callable[[str, str], str]

    def mutes(self, call: PlannedCall) -> bool:
        """Whether the patient was to be called for this clinic within `mute_days` before.

        A call about the same appointment that was planned today is the same call: a list that is
        exported anew in the course of a morning is answered as before.
        """
        if not self.calls:
            return False
        appointment = self.hashed("appointment", call.appointment_id)
        known = self.calls.get((self.hashed("patient", call.patient_id), call.clinic_code), ())
        return any(
            0 <= (call.call_by - due).days <= self.mute_days
            and not (about == appointment and on == self.today)
            for about, due, on in known
        )


@dataclass(frozen=True)
class Ledger:
    """The planned calls of one home."""

    home: Path

    def others(self, name: str, due: NDArray[np.datetime64], *, mute_days: int) -> Planned:
        """The calls that lists other than `name` have planned near the days `due`.

        Raises
        ------
        StoreError
            If they cannot be read.
        """
        today = datetime.datetime.now(datetime.UTC).date()
        found: dict[tuple[str, str], list[tuple[str, datetime.date, datetime.date]]] = defaultdict(list)
        if mute_days and len(due) and (self.home / _PLACE).exists():
            first = due.min().astype(object) - datetime.timedelta(days=mute_days)
            sql = "SELECT * FROM calls WHERE list <> ? AND call_by BETWEEN ? AND ?"
            asked = (self.hashed("list", name), str(first), str(due.max()))
            with self._opened() as connection:
                for _, about, patient, clinic, call_by, on in connection.execute(sql, asked):
                    days = (datetime.date.fromisoformat(call_by), datetime.date.fromisoformat(on))
                    found[patient, clinic].append((about, *days))
        return Planned(dict(found), mute_days, today, self.hashed)

    def plan(self, name: str, calls: Iterable[PlannedCall]) -> None:
        """Put down the calls of the list `name`, in place of what was planned for it before.

        Raises
        ------
        StoreError
            If they cannot be written; what was there stays.
        """
        today = datetime.datetime.now(datetime.UTC).date()
        key = self.hashed("list", name)
        rows = (
            (
                key,
                self.hashed("appointment", call.appointment_id),
                self.hashed("patient", call.patient_id),
                call.clinic_code,
                call.call_by.isoformat(),
                today.isoformat(),
            )
            for call in calls
        )
        forgotten = (today - datetime.timedelta(days=_KEPT_DAYS)).isoformat()
        with self._opened() as connection:
            connection.execute(
                "DELETE FROM calls WHERE list = ? OR max(call_by, planned_on) < ?", (key, forgotten)
            )
            connection.executemany("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?)", rows)

    def hashed(self, kind: str, value: str) -> str:
        """Keyed, since a number of ten digits can be found by trying them all."""
        return hmac.new(self._secret, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

    @cached_property
    def _secret(self) -> bytes:
        return written_once(self.home / _SECRET, secrets.token_hex(32)).encode()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        path = self.home / _PLACE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
                connection.execute(_TABLE)
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot be used ({type(error).__name__}).") from None


def list_name(appointment_ids: Iterable[Sequence[str]]) -> str:
    """What a list is known by: a digest of its appointments, in their order."""
    digest = hashlib.sha256()
    for some in appointment_ids:
        digest.update("".join(f"{name}\0" for name in some).encode())
    return digest.hexdigest()
