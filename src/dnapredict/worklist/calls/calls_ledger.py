"""The calls of a home: planned calls, patients who were reached, and patients who opted out.

A patient who was reached is not called again for the same clinic within the mute period; a planned call
alone changes nothing. A patient who opted out is not called until that is withdrawn. The database holds patients
and appointments as keyed hashes (HMAC-SHA-256).

The events in it are a copy of the scoring log, brought up to date before each use. If the database cannot be used, the
log is read into memory; if neither can be read, the list is scored without this knowledge. In both cases a notice
says so.
"""

import contextlib
import datetime
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final

import pyarrow as pa

from dnapredict.data.files.digests import SecretError, keyed_hash, read_or_make
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError
from dnapredict.worklist.calls.calls_database import (
    REBUILT,
    CallsDatabase,
    UnusableError,
    in_memory,
    setting,
    write_settings,
)
from dnapredict.worklist.calls.known_contacts import (
    Contact,
    Hashed,
    KnownContacts,
    PatientsOf,
    RecordedContacts,
    add,
    contacts_of,
    opted_out,
    read_up_to,
    recorded_events,
)
from dnapredict.worklist.calls.recorded_calls import CallRecords, RecordedCall
from dnapredict.worklist.calls.stated_opt_outs import LOG_SECRET, StatedOptOuts

_CALLS_SECRET: Final = Path("lists") / "calls.secret"

# Kept for so many days after the call was due or the appointment was listed.
_KEPT_DAYS: Final = 400
_NOTICE_DAYS: Final = 1
_LOG: Final = logging.getLogger("dnapredict.worklist")
_DATABASE: Final = "The calls database (lists/calls.db)"
_CHECK_FIRST: Final = (
    "It is not known on this list who was reached lately and who asked not to be called. Check both before each call."
)
_READ_FROM_LOG: Final = "Who was reached and who asked not to be called is known from the scoring log."
_LOG_UNREADABLE: Final = (
    "The scoring log cannot be read. What was recorded lately may not be known on this list: check before each call."
)


@dataclass(frozen=True)
class PlannedCall:
    """A call about an appointment, due by a day."""

    appointment_id: str
    patient_id: str
    clinic_code: str
    call_by: datetime.date


class Ledger:
    """The calls and contacts of one home. Safe for any number of threads and processes."""

    def __init__(self, home: Path, recorded: RecordedContacts | None = None) -> None:
        """Open nothing yet.

        Parameters
        ----------
        recorded
            The scoring log; without it only the calls database is used.
        """
        self._home = home
        self._recorded = recorded
        self._secret = b""
        self._database = CallsDatabase(home, was_used=self._was_used)
        self._memory: sqlite3.Connection | None = None
        self._memory_lock = threading.Lock()

    def known(self, listed: pa.Table) -> KnownContacts:
        """What is known about the rows of a list with `appointment_id`, `patient_id` and `clinic_code`.

        Raises
        ------
        SecretError
            If a secret is missing, damaged or replaced. Any other problem becomes a notice.
        """
        look = partial(self._look, listed=listed)
        try:
            # Usually nothing new was recorded: then one connection and one transaction are enough for both.
            while (known := self._database.run(look, writes=False)) is None:
                self.catch_up()
        except UnusableError as error:
            return self._from_memory(listed, f"{_DATABASE} cannot be used: {error}.")
        return known

    def catch_up(self) -> tuple[str, ...]:
        """Copy new entries of the scoring log into the calls database; return notices about failures.

        Raises
        ------
        UnusableError
            If the database cannot be used.
        SecretError
            If a secret is missing, damaged or another one.
        """
        if self._recorded is None:
            return ()
        while True:
            last = self._database.run(read_up_to, writes=False)
            new, notices = self._recorded_after(last)
            if not new:
                return notices
            # The log is read outside the write lock, so that `_add` checks that nobody was faster; if so, read again.
            if self._database.run(partial(self._add, after=last, new=new), writes=True):
                return ()

    def verify(self) -> tuple[int, str]:
        """Check database and secrets, and change nothing; return number and seal of the last entry copied from the log.

        (0, "") where nothing was copied.

        Raises
        ------
        UnusableError
            If the database is missing, damaged or cannot be opened; `catch_up` rebuilds one that is missing or damaged.
        SecretError
            If a secret is missing, damaged or another one.
        """
        return self._database.inspect(self._verified) or (0, "")

    def _verified(self, connection: sqlite3.Connection) -> tuple[int, str]:
        if (self._home / _CALLS_SECRET).exists() or _has_rows(connection, "calls"):
            self._planned_with(connection, writes=False)
        if _has_rows(connection, "events"):
            self._hashed_with(connection)
        return read_up_to(connection)

    def plan(
        self, name: str, calls: Iterable[PlannedCall], *, listed: Iterable[tuple[str, str]] = ()
    ) -> tuple[str, ...]:
        """Record the calls of the list with the digest `name`, replacing those planned for it earlier.

        Parameters
        ----------
        listed
            Appointment and patient of each row on which people may record outcomes.

        Returns
        -------
        Notices if the calls cannot be recorded; earlier ones then stay.

        Raises
        ------
        SecretError
            If a secret is missing, damaged or another one.
        """
        try:
            self._database.run(partial(self._plan, name=name, calls=calls, listed=listed), writes=True)
        except SecretError:
            raise
        except UnusableError as error:
            return (f"{_DATABASE} cannot be used: {error}. The calls of this list are not recorded in it.",)
        except StoreError as error:  # a secret that cannot be created yet
            return (f"The calls of this list are not recorded: {error}",)
        return ()

    def patient_of(self, appointment: str) -> str | None:
        """Hash of the patient of an appointment, by its hash; None where no list had it."""
        sql = "SELECT patient FROM listed WHERE appointment = ?"
        try:
            row = self._database.run(lambda c: c.execute(sql, (appointment,)).fetchone(), writes=False)
        except UnusableError:
            return None
        return None if row is None else str(row[0])

    def opted_out(self, appointments: Collection[str], *, patients_of: PatientsOf) -> frozenset[str]:
        """The appointments whose patient has opted out; all are hashes.

        Parameters
        ----------
        patients_of
            Gives the patient of appointments, at least of those that belong to the patients who opted out; it is asked
            only where somebody did.

        Raises
        ------
        UnusableError
            If the database cannot be used.
        SecretError
            If a secret is missing, damaged or another one.
        """
        try:
            stated = self.stated.patients()
        except StoreError as error:  # opt-outs recorded in calls are still known
            _LOG.error("%s", error)
            stated = frozenset()

        def look(connection: sqlite3.Connection) -> frozenset[str] | None:
            if self._recorded_after(read_up_to(connection))[0]:
                return None
            return opted_out(appointments, connection, patients_of=patients_of, stated=stated)

        # Usually nothing new was recorded: then one connection and one transaction are enough for both.
        while (out := self._database.run(look, writes=False)) is None:
            self.catch_up()
        return out

    def all_calls(self, records: CallRecords | None = None) -> list[RecordedCall]:
        """Every recorded call, in order: those of the scoring log `records`, and those that it holds no more.

        Of the latter only the day is known. If the calls database cannot be used, the log alone says who was called.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        logged = [] if records is None else list(records.calls())
        numbers = {each.number for each in logged}
        with contextlib.suppress(UnusableError):
            if self._database.path.exists():
                copied = self._database.run(recorded_events, writes=False)
                logged += [each for each in copied if each.number not in numbers]
        return sorted(logged, key=attrgetter("number"))

    @property
    def stated(self) -> StatedOptOuts:
        """The opt-outs that lists of this home stated in a column."""
        return StatedOptOuts(self._home, self.hashed)

    def knows_patients(self) -> bool:
        """Whether anything is recorded here that decides whether some patient is called: a call, or an opt-out.

        True also if the calls database cannot be read.

        Raises
        ------
        StoreError
            If the opt-outs that lists stated are damaged.
        SecretError
            If a secret is missing, damaged or another one.
        """
        if self.stated.patients():
            return True
        try:
            self.catch_up()
            return self._database.path.exists() and self._database.run(
                lambda connection: _has_rows(connection, "events"), writes=False
            )
        except UnusableError:
            return True

    def hashed(self, kind: str, value: str) -> str:
        """The keyed hash of an appointment or a patient, as in the scoring log.

        Raises
        ------
        SecretError
            If the secret is missing, damaged or another one.
        """
        if self._recorded is not None:
            return self._recorded.hashed(kind, value)
        # Read once: for each value of a long list, reading took four fifths of the time of recording it.
        self._secret = self._secret or read_or_make(self._home / LOG_SECRET)
        return keyed_hash(self._secret, kind, value)

    def _recorded_after(self, last: tuple[int, str]) -> tuple[list[Contact], tuple[str, ...]]:
        """Contacts after the entry `last` of the scoring log, and notices about read failures."""
        if self._recorded is None:
            return [], ()
        try:
            new = list(self._recorded.after(*last))
        except StoreError:
            return [], (_LOG_UNREADABLE,)
        # A log that does not find its own last entry returns all of them, and would be read for ever.
        is_copied = bool(new) and (new[-1].number, new[-1].seal) == last
        return [] if is_copied else new, ()

    def _was_used(self) -> bool:
        return (self._home / _CALLS_SECRET).exists()

    def _add(self, connection: sqlite3.Connection, *, after: tuple[int, str], new: Sequence[Contact]) -> bool:
        """Add the contacts after the entry `after`; False if another process was faster."""
        # Another process has copied these entries meanwhile: adding them twice would apply a withdrawal twice.
        if read_up_to(connection) != after:
            return False
        self._hashed_with(connection, writes=True)
        add(connection, new)
        return True

    def _look(self, connection: sqlite3.Connection, *, listed: pa.Table) -> KnownContacts | None:
        """What is known about the rows; None if new entries of the log must be copied first."""
        new, notices = self._recorded_after(read_up_to(connection))
        if new:
            return None
        if (self._home / _CALLS_SECRET).exists() or _has_rows(connection, "calls"):
            self._planned_with(connection, writes=False)
        notices = (*self._rebuilt(connection), *notices)
        if not _has_rows(connection, "events"):
            return KnownContacts(notices=notices)
        return contacts_of(listed, connection, hashed=self._hashed_with(connection), notices=notices)

    def _from_memory(self, listed: pa.Table, problem: str) -> KnownContacts:
        """The same from the scoring log alone."""
        if self._recorded is None:
            return KnownContacts(notices=(f"{problem} {_CHECK_FIRST}",))
        with self._memory_lock:
            self._memory = self._memory or in_memory()
            try:
                add(self._memory, self._recorded.after(*read_up_to(self._memory)))
            except StoreError:
                return KnownContacts(notices=(f"{problem} {_CHECK_FIRST}",))
            notices = (f"{problem} {_READ_FROM_LOG}",)
            return contacts_of(listed, self._memory, hashed=self._recorded.hashed, notices=notices)

    def _rebuilt(self, connection: sqlite3.Connection) -> tuple[str, ...]:
        """A notice, for a day, that the database was rebuilt."""
        at, _, why = setting(connection, REBUILT).partition(" ")
        now = datetime.datetime.now(datetime.UTC)
        if not at or now - datetime.datetime.fromisoformat(at) > datetime.timedelta(days=_NOTICE_DAYS):
            return ()
        known = _CHECK_FIRST if self._recorded is None else _READ_FROM_LOG
        return (f"{_DATABASE} was rebuilt on {at[:10]}: {why}. {known}",)

    def _plan(
        self,
        connection: sqlite3.Connection,
        *,
        name: str,
        calls: Iterable[PlannedCall],
        listed: Iterable[tuple[str, str]],
    ) -> None:
        today = utc_now().date()
        forgotten = (today - datetime.timedelta(days=_KEPT_DAYS)).isoformat()
        hashed = self._planned_with(connection, writes=True)
        key = hashed("list", name)
        rows = ((key, *_columns(call, hashed), today.isoformat()) for call in calls)
        connection.execute("DELETE FROM calls WHERE list = ? OR max(call_by, planned_on) < ?", (key, forgotten))
        connection.executemany("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?)", rows)
        hashed = self._hashed_with(connection, writes=True)
        people = ((hashed("appointment", a), hashed("patient", p), today.isoformat()) for a, p in listed)
        connection.execute("DELETE FROM listed WHERE day < ?", (forgotten,))
        connection.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", people)

    def _planned_with(self, connection: sqlite3.Connection, *, writes: bool) -> Hashed:
        """The hash of planned calls, after comparing its secret with the one used before."""
        path = self._home / _CALLS_SECRET
        used = "planned calls were recorded with it" if _has_rows(connection, "calls") else ""
        hashed = partial(keyed_hash, read_or_make(path, used_for=used))
        _require_same(connection, hashed, path, data="the planned calls", writes=writes)
        return hashed

    def _hashed_with(self, connection: sqlite3.Connection, *, writes: bool = False) -> Hashed:
        """The hash of contacts, after comparing its secret with the one used before."""
        path = self._home / LOG_SECRET
        if self._recorded is None:
            used = "recorded calls were hashed with it" if _has_rows(connection, "events") else ""
            hashed: Hashed = partial(keyed_hash, read_or_make(path, used_for=used))
        else:
            hashed = self._recorded.hashed
        _require_same(connection, hashed, path, data="the recorded calls", writes=writes)
        return hashed


def list_digest(appointment_ids: Iterable[Sequence[str]]) -> str:
    """The digest that identifies a list: of its appointments, in order."""
    digest = hashlib.sha256()
    for chunk in appointment_ids:
        digest.update("".join(f"{name}\0" for name in chunk).encode())
    return digest.hexdigest()


def _columns(call: PlannedCall, hashed: Hashed) -> tuple[str, str, str, str]:
    appointment, patient = hashed("appointment", call.appointment_id), hashed("patient", call.patient_id)
    return appointment, patient, call.clinic_code, call.call_by.isoformat()


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _require_same(connection: sqlite3.Connection, hashed: Hashed, path: Path, *, data: str, writes: bool) -> None:
    """Compare a secret with the one that `data` was hashed with; store its check value if there is none.

    Raises
    ------
    SecretError
        If the secret was replaced.
    """
    name, mark = f"secret {path.name}", hashed("secret", "check")
    expected = setting(connection, name)
    if expected and expected != mark:
        raise SecretError(
            f"{path}: this is another secret than {data} in lists/calls.db were hashed with. Restore that "
            "secret from a backup."
        )
    if writes and not expected:
        write_settings(connection, {name: mark})
