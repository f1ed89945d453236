"""The calls database of a home, `lists/calls.db` (SQLite): planned calls, and events copied from the scoring log.

Rows of the table `events` are only added. A sum of their hashes shows whether a value was changed: a changed hash of a
patient would lose an opt-out without any sign.

Rules of access, since the locks of SQLite belong to the process, and closing any descriptor of the file
drops them:

- Only SQLite opens the file. It is made under another name and put into place when it is whole, so that
  an empty file is always a damaged one.
- A connection lives for one transaction. Writers wait for each other; readers wait for nobody (WAL).
- A damaged file is renamed, never deleted, and the rows that can be read are copied.
  Meanwhile nobody else has the database open: connections share the lock `calls.db.lock`, and replacing
  the file needs it alone. (SQLite would take the `-wal` of the old file for that of the new one.)
"""

import contextlib
import datetime
import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from dnapredict.data.files.atomic_write import private_folder
from dnapredict.data.files.drafts import new_draft
from dnapredict.data.files.file_lock import wait_for_lock

REBUILT: Final = "rebuilt"
"""The setting with the time and cause of the last rebuild."""

_FILE: Final = Path("lists") / "calls.db"
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_SECONDS_TO_WAIT: Final = 5.0
_FORM: Final = 5
# Form 4 differs only in that it has no index of `listed` by patient.
_FIRST_FORM_OF_EVENTS: Final = 4
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# SQLite's extended codes hold the primary code in the last byte.
_PRIMARY_CODE: Final = 0xFF
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_LOCKED: "another program has locked it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it may not be read",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
}
# `calls`: planned calls, as in the first release. `events`: entries of the scoring log about calls, in the order of
# copying. `listed`: the patient of each appointment on a list.
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS calls (
        list TEXT NOT NULL, appointment TEXT NOT NULL, patient TEXT NOT NULL, clinic TEXT NOT NULL,
        call_by TEXT NOT NULL, planned_on TEXT NOT NULL, PRIMARY KEY (list, appointment)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY, number INTEGER NOT NULL, appointment TEXT NOT NULL, patient TEXT, clinic TEXT,
        day TEXT NOT NULL, outcome TEXT NOT NULL, effect TEXT NOT NULL, UNIQUE (number, appointment, effect)
    )""",
    "CREATE INDEX IF NOT EXISTS events_of_appointment ON events (appointment, patient)",
    "CREATE INDEX IF NOT EXISTS events_of_patient ON events (patient, appointment)",
    "CREATE INDEX IF NOT EXISTS opt_outs ON events (appointment) WHERE effect = 'opted out'",
    """CREATE TABLE IF NOT EXISTS listed (
        appointment TEXT PRIMARY KEY, patient TEXT NOT NULL, day TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS listed_of_patient ON listed (patient)",
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
# Until form 3 there was one row for each appointment, with its last outcome; `opted_out` is 1 if that was an opt-out,
# and 2 if it came after one.
_CONTACTS: Final = """CREATE TABLE IF NOT EXISTS contacts (
    appointment TEXT PRIMARY KEY, patient TEXT, clinic TEXT, day TEXT NOT NULL, outcome TEXT NOT NULL,
    reached INTEGER NOT NULL, settled INTEGER NOT NULL, opted_out INTEGER NOT NULL
) WITHOUT ROWID"""
_CONVERSION: Final = (
    """INSERT INTO events (number, appointment, patient, clinic, day, outcome, effect)
    SELECT 0, appointment, patient, clinic, day, 'no_calls_wished', 'opted out' FROM contacts
    WHERE opted_out ORDER BY day""",
    """INSERT INTO events (number, appointment, patient, clinic, day, outcome, effect)
    SELECT 0, appointment, patient, clinic, day, outcome,
        CASE WHEN settled THEN 'reached' WHEN reached THEN 'rebooked'
        WHEN outcome IN ('wrong_number', 'call_back') THEN replace(outcome, '_', ' ') ELSE 'not reached' END
    FROM contacts WHERE opted_out <> 1 ORDER BY day""",
    "DROP TABLE contacts",
    "DROP TABLE IF EXISTS attempts",
)
_SET_FORM: Final = f"PRAGMA user_version = {_FORM}"
_READ_LOG_AGAIN: Final = "DELETE FROM settings WHERE name LIKE 'log %'"
# This form was never released: its rows are incomplete, and its log still has every entry.
_INCOMPLETE_FORM: Final = 3
_TABLES: Final = ("calls", "events", "listed", "contacts")
_MODULUS: Final = 1 << 128

Result = TypeVar("Result")
_checked: Final[set[tuple[str, int, int]]] = set()
_checking: Final = threading.Lock()


def refusal_of_disk(error: sqlite3.Error) -> str:
    """Why the system refuses a database that may be sound, such as a full disk, in words; "" for another error."""
    return _REASONS.get(_code(error), "")


class UnusableError(Exception):
    """The database cannot be used now; the message says why."""


class _DamagedError(Exception):
    """The file is not a valid calls database."""


class CallsDatabase:
    """One home's calls database. Safe for any number of threads and processes."""

    def __init__(self, home: Path, *, was_used: Callable[[], bool]) -> None:
        """Open nothing yet; `was_used` says whether the home had the database, so that a missing file is a loss."""
        self.path = home / _FILE
        self._was_used = was_used

    def run(self, work: Callable[[sqlite3.Connection], Result], *, writes: bool) -> Result:
        """Run `work` in one transaction. A missing or damaged database is rebuilt first.

        Raises
        ------
        UnusableError
            If it cannot be opened, written or replaced, or is locked for longer than five seconds.
        """
        with _unusable():
            try:
                return self._run(work, writes=writes)
            except (FileNotFoundError, _DamagedError):
                self._rebuild()
                return self._run(work, writes=writes)

    def inspect(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Check the whole file and run `work` on it as it is: nothing is rebuilt or upgraded, as `run` would.

        Returns None where the home never had the database.

        Raises
        ------
        UnusableError
            If it is missing, damaged or cannot be opened; `run` rebuilds one that is missing or damaged.
        """
        if not self.path.exists():
            if self._was_used():
                raise UnusableError("it is missing")
            return None
        with _unusable(), self._damage_detected(), self._locked(shared=True), self._opened() as connection:
            _require_whole(connection)
            if _form(connection) >= _FIRST_FORM_OF_EVENTS and not is_unchanged(connection):
                raise _DamagedError
            return work(connection)

    def _run(self, work: Callable[[sqlite3.Connection], Result], *, writes: bool) -> Result:
        with self._damage_detected(), self._locked(shared=True), self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                result = work(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")
            return result

    @contextlib.contextmanager
    def _locked(self, *, shared: bool) -> Iterator[None]:
        private_folder(self.path.parent)
        lock = self.path.with_name(f"{self.path.name}.lock")
        with wait_for_lock(lock, seconds=_SECONDS_TO_WAIT, shared=shared):
            yield

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file. The first one of a process checks the whole file."""
        state = self.path.stat()
        with self._opened() as connection:
            file = (str(self.path), state.st_dev, state.st_ino)
            if file not in _checked:
                with _checking:
                    self._check(connection)
                    _checked.add(file)
            yield connection

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self.path.stat().st_size:
            raise _DamagedError
        address = f"{self.path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=_SECONDS_TO_WAIT, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Check every page and row, and upgrade a database of an earlier release."""
        _require_whole(connection)
        if _form(connection) < _FORM:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have upgraded it meanwhile.
            if (form := _form(connection)) < _FORM:
                _upgrade(connection, form)
            connection.execute("COMMIT")
        if not is_unchanged(connection):
            raise _DamagedError

    def _rebuild(self) -> None:
        """Replace a missing or damaged database by a new one, unless another process just did."""
        with self._locked(shared=False):
            aside, why = None, f"{self.path.name} was missing" if self._was_used() else ""
            if self.path.exists():
                if self._is_sound():
                    return
                aside = self._rename_damaged()
                why = f"{self.path.name} was damaged and is kept as {aside.name}"
            self._move_side_files(aside)
            os.replace(self._new(aside, why), self.path)

    def _is_sound(self) -> bool:
        try:
            with self._damage_detected(), self._connected() as connection:
                self._check(connection)
        except _DamagedError:
            return False
        return True

    def _rename_damaged(self) -> Path:
        now = datetime.datetime.now(datetime.UTC)
        aside = self.path.with_name(f"{self.path.name}.damaged-{now:%Y%m%dT%H%M%S%f}")
        self.path.rename(aside)
        return aside

    def _move_side_files(self, aside: Path | None) -> None:
        """Move or remove the files that SQLite kept for the old database, together with it."""
        for end in _SIDE_FILES:
            side_file = self.path.with_name(self.path.name + end)
            with contextlib.suppress(FileNotFoundError):
                if aside is None:
                    side_file.unlink()
                else:
                    side_file.rename(aside.with_name(aside.name + end))

    def _new(self, aside: Path | None, why: str) -> Path:
        """A new database under another name, with what can be read of the one that was set aside."""
        draft = new_draft(self.path.parent)
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN")
            _run(connection, (*_SCHEMA, _CONTACTS))
            if aside is not None:
                _save_rows(aside, connection)
            _convert(connection)
            if why:
                now = datetime.datetime.now(datetime.UTC)
                write_settings(connection, {REBUILT: f"{now.isoformat()} {why}"})
            connection.execute("COMMIT")
        return draft

    @contextlib.contextmanager
    def _damage_detected(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if _code(error) in _CORRUPT or "no such table" in str(error) or "no such column" in str(error):
                raise _DamagedError from None
            raise


@contextlib.contextmanager
def _unusable() -> Iterator[None]:
    """Raise what goes wrong with the file as an `UnusableError`."""
    try:
        yield
    except _DamagedError:
        raise UnusableError("it is damaged") from None
    except TimeoutError:
        raise UnusableError("another process is replacing it") from None
    except (OSError, sqlite3.Error) as error:
        raise UnusableError(_reason(error)) from None


def _require_whole(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        raise _DamagedError
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'calls'").fetchone():
        raise _DamagedError


def in_memory() -> sqlite3.Connection:
    """An empty in-memory calls database of this process, to be used under a lock."""
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    _run(connection, _SCHEMA)
    return connection


def is_unchanged(connection: sqlite3.Connection, table: str = "events") -> bool:
    """Whether the rows are as they were written."""
    return _recorded_sum(connection, table) == _sum_of(connection.execute(f"SELECT * FROM {table}"))


def accept_rows(connection: sqlite3.Connection) -> None:
    """Make `is_unchanged` hold for the present events."""
    _write_sum(connection, _sum_of(connection.execute("SELECT * FROM events")))


def accept_new_rows(connection: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Make `is_unchanged` hold if the events are those before and these."""
    _write_sum(connection, _recorded_sum(connection, "events") + _sum_of(rows))


def setting(connection: sqlite3.Connection, name: str) -> str:
    """A setting of the database; "" where there is none."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def write_settings(connection: sqlite3.Connection, values: dict[str, str]) -> None:
    """Write settings, replacing earlier values."""
    connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())


def _form(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _upgrade(connection: sqlite3.Connection, form: int) -> None:
    if form == _FIRST_FORM_OF_EVENTS:
        _run(connection, (*_SCHEMA, _SET_FORM))
        return
    _run(connection, (*_SCHEMA, _CONTACTS))
    if not is_unchanged(connection, "contacts"):
        raise _DamagedError
    _convert(connection)
    if form == _INCOMPLETE_FORM:
        connection.execute(_READ_LOG_AGAIN)


def _convert(connection: sqlite3.Connection) -> None:
    """Replace rows of earlier releases by events."""
    _run(connection, (*_CONVERSION, _SET_FORM))
    accept_rows(connection)


def _run(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    """Run each of the statements; `executescript` would commit those before it."""
    for each in statements:
        connection.execute(each)


def _recorded_sum(connection: sqlite3.Connection, table: str) -> int:
    return int(setting(connection, f"{table} sum") or "0", 16)


def _write_sum(connection: sqlite3.Connection, total: int) -> None:
    write_settings(connection, {"events sum": f"{total % _MODULUS:032x}"})


def _sum_of(rows: Iterable[tuple[object, ...]]) -> int:
    """The sum of the rows' hashes modulo 2**128: rows can be added to it, whatever their order."""
    digests = (hashlib.sha256(repr(row).encode()).digest() for row in rows)
    return sum(int.from_bytes(digest[:16], "big") for digest in digests) % _MODULUS


def _save_rows(aside: Path, connection: sqlite3.Connection) -> None:
    """Copy the rows that can still be read of a damaged database.

    Of its settings only fingerprints of secrets are kept: the scoring log is read from the beginning.
    """
    address = f"{aside.absolute().as_uri()}?mode=ro"
    queries = [(table, f"SELECT * FROM {table}") for table in _TABLES]
    queries.append(("settings", "SELECT * FROM settings WHERE name LIKE 'secret %'"))
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(address, uri=True)) as old:
        for table, sql in queries:
            with contextlib.suppress(sqlite3.Error):
                for row in old.execute(sql):  # one at a time: those before a damaged page are kept
                    marks = ", ".join("?" * len(row))
                    connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE


def _reason(error: Exception) -> str:
    """The cause of the failure, without content of the database."""
    if isinstance(error, sqlite3.Error):
        return _REASONS.get(_code(error), f"SQLite refuses it ({type(error).__name__})")
    return f"its folder cannot be used ({getattr(error, 'strerror', '') or type(error).__name__})"
