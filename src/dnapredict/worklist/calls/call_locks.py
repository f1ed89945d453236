"""Locks on appointments that somebody is calling about, shared by the worker processes of a home.

A lock prevents two colleagues from calling the same patient at the same time. It never refuses an outcome, and it
expires. It belongs to an appointment, on any list, and is stored under the appointment's keyed hash.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import RootModel

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.json_records import read_record
from dnapredict.errors import StoreError

SECONDS: Final = 15 * 60
"""How long a lock lasts unless it is released."""

_FILE: Final = Path("lists") / "calling.json"
_SECONDS_TO_WAIT: Final = 2.0
# A page that is opened again within so many seconds does not renew its lock.
_RENEWED_AFTER: Final = 60


@dataclass(frozen=True)
class CallLock:
    """The lock of a caller: their session, the id of their key, and its end (Unix time)."""

    caller: str
    key_id: str
    until: float


_StoredLocks = RootModel[dict[str, CallLock]]
"""The content of the file: the lock of each appointment, by its keyed hash."""


class CallLocks:
    """The locks of one home. Safe for any number of threads and processes."""

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Read and write nothing yet."""
        self._path = home / _FILE
        self._clock = clock

    def held(self) -> Mapping[str, CallLock]:
        """The locks that have not ended, by appointment. An unreadable file holds none."""
        now = self._clock()
        try:
            stored = self._stored()
        except StoreError:
            return {}
        locks = {} if stored is None else stored.root
        return {appointment: lock for appointment, lock in locks.items() if now < lock.until <= now + SECONDS}

    def damage(self) -> str:
        """A sentence where the file cannot be read, "" otherwise."""
        try:
            self._stored()
        except StoreError as error:
            return str(error)
        return ""

    def discard(self) -> None:
        """Remove the file: the locks in it end by themselves within `SECONDS`.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        with self._exclusive():
            self._path.unlink(missing_ok=True)

    def take(self, appointment: str, *, caller: str, key_id: str) -> CallLock:
        """Lock an appointment for `caller` and release their other locks; return the current lock of the appointment.

        That is a colleague's lock if the colleague was first.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        mine = CallLock(caller, key_id, self._clock() + SECONDS)
        with self._exclusive():
            held = self.held()
            before = held.get(appointment)
            if before is not None and (before.caller != caller or before.until > mine.until - _RENEWED_AFTER):
                return before
            others = {key: lock for key, lock in held.items() if lock.caller != caller}
            self._write({**others, appointment: mine})
        return mine

    def release(self, caller: str) -> None:
        """Release the lock of `caller`, if there is one.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        if all(lock.caller != caller for lock in self.held().values()):
            return
        with self._exclusive():
            self._write({key: lock for key, lock in self.held().items() if lock.caller != caller})

    def _stored(self) -> _StoredLocks | None:
        return read_record(self._path, _StoredLocks, advice="Remove it: locks end by themselves.")

    def _write(self, locks: Mapping[str, CallLock]) -> None:
        # Not flushed to the disk: after a power cut nobody is calling, and each patient would wait for it.
        write_private(self._path, _StoredLocks(dict(locks)).model_dump_json(), durable=False)

    def _exclusive(self) -> AbstractContextManager[None]:
        busy = f"{self._path}: is locked by another process."
        path = self._path.with_suffix(".lock")
        return locked(path, busy_message=busy, seconds=_SECONDS_TO_WAIT, make_folder=True)
