"""The scoring log's database: SQLite in the home, or PostgreSQL at an address.

SQLite is migrated to the newest schema when it is opened, in a separate transaction. On PostgreSQL several hosts
may run different releases, and the service's role need not be allowed to change tables: there `dnapredict log
upgrade` migrates, and a database with another schema is refused.

Connections to SQLite stay open, and writing through one to a file that was deleted raises no error: entries would
be lost. So the identity of the files is checked before each use.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from dnapredict.data.files.atomic_write import private_folder
from dnapredict.data.files.drafts import new_draft
from dnapredict.data.files.loss_marks import is_lost, loss_message, mark_made, mark_of
from dnapredict.data.files.newest_marks import NewestMark, NewestState
from dnapredict.errors import ConfigurationError, StoreError
from dnapredict.service.log.log_tables import Link, holds_entry

ADDRESS_VARIABLE: Final = "DNAPREDICT_DATABASE"
FILE: Final = "scoring-log.db"
VERSION_TABLE: Final = "dnapredict_log_version"
"""The database may also hold tables of another program, and its `alembic_version`."""

REVISION: Final = "r0005"
"""The newest migration; a test compares it with the folder of migrations."""

_WITHOUT_BACKUP: Final = "and a new log is begun"
_MARK: Final = "scoring-log"
_LOSES: Final = "entries since then are lost"
# Every answer writes an entry; a mark for each would cost more than it tells.
_SECONDS_BETWEEN_MARKS: Final = 1.0
_OLDER: Final = ("", "r0001", "r0002", "r0003", "r0004")
_LOG: Final = logging.getLogger("dnapredict.service")
_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_WRITES: Final = "dnapredict_writes"
# FULL: a logged answer survives a power cut.
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "trusted_schema=OFF")
# The files that SQLite has next to the database while it is open.
_SIDE_FILES: Final = ("-wal", "-shm")
# The last byte of an extended error code of SQLite is the primary code.
_PRIMARY_CODE: Final = 0xFF
_REASONS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: make room on it",
    sqlite3.SQLITE_IOERR: "the disk is full or fails: make room on it, or see the system's log",
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_READONLY: "it may not be written: see its owner and mode",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: see its owner and mode",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a backup",
    sqlite3.SQLITE_NOTADB: "it is damaged: restore it from a backup",
}
_SECONDS_TO_CONNECT: Final = 3
# Every answer waits for its log entry, so that no statement may hang.
_POSTGRES: Final = (
    "-c synchronous_commit=on -c statement_timeout=10000 -c lock_timeout=10000 "
    "-c idle_in_transaction_session_timeout=30000"
)


class Database:
    """One log's database, opened at the first use; safe for any number of threads and processes."""

    def __init__(self, home: Path, address: str | None = None) -> None:
        """Connect at the first use only.

        Parameters
        ----------
        home
            Where the SQLite file lies if there is no address.
        address
            Such as `postgresql://log@db.example/dnapredict`; `DNAPREDICT_DATABASE` has precedence.

        Raises
        ------
        ConfigurationError
            If the address is not one of PostgreSQL. It may hold a password and is not quoted.
        """
        given = os.environ.get(ADDRESS_VARIABLE) or address
        self._url = _postgres(given) if given else None
        self._path = home / FILE
        self._newest = NewestMark(home, _MARK, "the scoring log", _LOSES)
        self._noted_at = -float("inf")
        self._engine: Engine | None = None
        self._files: tuple[_Identity, ...] = ()
        self._opening = threading.Lock()
        # Threads of a process queue here, since SQLite waits for its own lock by sleeping and polling.
        self._writing = threading.Lock()

    @property
    def name(self) -> str:
        """Its name in messages: the file, or the address without its password."""
        return str(self._path) if self._url is None else self._url.render_as_string(hide_password=True)

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite in the home."""
        return self._url is None

    @property
    def exists(self) -> bool:
        """Whether anything was ever written, also where the file was deleted since: using it then raises."""
        return self._url is not None or self._engine is not None or self._path.exists() or is_lost(self._path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that excludes other writers; durable when it ends.

        Raises
        ------
        StoreError
            If anything in the transaction fails; nothing was written.
        """
        with (
            self._store_errors("written"),
            self._writing,
            self._opened().execution_options(**{_WRITES: True}).begin() as connection,
        ):
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only snapshot of the log, which does not block writers.

        Raises
        ------
        StoreError
            If anything in it fails.
        """
        with self._store_errors("read"):
            engine = self._opened()
            if self._url is not None:
                # One snapshot for all tables of the chain: with PostgreSQL's default, an entry that is added
                # between two queries would look like a gap.
                engine = engine.execution_options(isolation_level="REPEATABLE READ")
            with engine.begin() as connection:
                yield connection

    def note_newest(self, link: Link) -> None:
        """Note the last entry outside the database, so that an older copy of it is recognised; at most once a second.

        After a crash, entries of the last second may lack a mark. They are in the log all the same.
        """
        now = time.monotonic()
        if now - self._noted_at >= _SECONDS_BETWEEN_MARKS:
            self._noted_at = now
            state = NewestState(number=link.number, seal=link.seal, of=self._server)
            self._newest.note(state, durable=False)

    @property
    def _server(self) -> str:
        """What tells the database from another one; "" for the file of the home."""
        return "" if self._url is None else f"{self._url.host}:{self._url.port or ''}/{self._url.database}"

    def _require_newest(self, engine: Engine) -> None:
        """Refuse a database that lacks the last entry that was noted, unless retention has removed it.

        Raises
        ------
        StoreError
        """
        state = self._newest.read()
        if state is None or state.of != self._server:
            return
        with engine.connect() as connection:
            if not holds_entry(connection, Link(state.number, state.seal)):
                raise self._newest.older(self.name, or_other=True)

    def upgrade(self) -> str:
        """Migrate the database to the newest schema, and return which revision it had ("" for an empty one).

        Raises
        ------
        StoreError
            If that cannot be done; the database is as it was.
        """
        with self._store_errors("upgraded"), self._opening:
            engine = self._engine or self._new_engine()
            revision = _migrate(engine)
            self._engine, self._files = engine, _identities(self._path)
            self._mark()
            return revision

    def close(self) -> None:
        """Close every connection; the next use opens it again."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is not None and self._url is None:
                self._close_if_replaced(self._engine)
            if self._engine is None:
                engine = self._new_engine()
                with engine.connect() as connection:
                    revision = _revision(connection)
                if revision != REVISION:
                    self._require_revision(engine, revision)
                self._require_newest(engine)
                self._engine = engine
                self._files = _identities(self._path)
                self._mark()
            return self._engine

    def _mark(self) -> None:
        """Mark that the home has a log; one that may only be read needs no mark to be read."""
        if self._url is None:
            with contextlib.suppress(StoreError):
                mark_made(self._path)

    def _close_if_replaced(self, engine: Engine) -> None:
        """Close the log where a side file is not the one that was opened; it is then opened again.

        Raises
        ------
        StoreError
            If the log itself was removed or replaced: a new one would hide that entries are lost, and SQLite
            would take the side files of the old one for its own.
        """
        identities = _identities(self._path)
        if identities[0] != self._files[0]:
            raise StoreError(
                f"{self._path}: the scoring log was removed or replaced while it was in use; until it is back there "
                f"is no answer. {self._advice()}"
            )
        if identities == self._files:
            return
        _LOG.error("%s: a side file of the scoring log was removed or replaced. The log is opened again.", self._path)
        # The last entries are only in the deleted write-ahead log, which this connection still has open.
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(FULL)")
        engine.dispose()
        self._engine = None

    def _advice(self) -> str:
        side_files = " and ".join(f"{self._path.name}{end}" for end in _SIDE_FILES)
        return (
            f"Stop the service, remove {side_files}, and put the log back from a backup; without a backup a new log is "
            f"begun once {mark_of(self._path).name} is removed too."
        )

    def _require_revision(self, engine: Engine, revision: str) -> None:
        if self._url is None and revision in _OLDER:
            _migrate(engine)
            return
        state = f"is of form '{revision}'" if revision else "holds no scoring log"
        advice = "Run `dnapredict log upgrade`." if revision in _OLDER else "Install the newer dnapredict."
        raise StoreError(f"{self.name}: {state}, and this release works with '{REVISION}'. {advice}")

    def _new_engine(self) -> Engine:
        if self._url is not None:
            return _postgres_engine(self._url)
        if not self._path.exists():
            if is_lost(self._path):
                raise StoreError(loss_message(self._path, what="the scoring log", without_backup=_WITHOUT_BACKUP))
            self._make_file()
        elif _is_empty(self._path):
            raise StoreError(
                f"{self._path}: the scoring log is empty: its entries are lost. Restore it from a backup; if "
                f"there is none, move the file and {mark_of(self._path).name} away, and a new log is begun."
            )
        return _sqlite_engine(self._path)

    def _make_file(self) -> None:
        """Make the database under another name, then link it: no process ever opens an empty one.

        Only SQLite may open the file: closing a descriptor would drop the locks that this process holds on it.
        """
        private_folder(self._path.parent)
        if any(_identities(self._path)[1:]) and not self._path.exists():
            raise StoreError(f"{self._path}: the scoring log is missing, but its side files exist. {self._advice()}")
        draft = new_draft(self._path.parent)
        try:
            engine = _sqlite_engine(draft)
            _migrate(engine)
            engine.dispose()
            with contextlib.suppress(FileExistsError):  # another process was first
                self._newest.forget()  # the mark of a lost log, which a new, empty one replaces
                os.link(draft, self._path)
        finally:
            draft.unlink()

    @contextlib.contextmanager
    def _store_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"{self.name}: the scoring log cannot be {verb} ({_reason(error)}).") from None


_Identity = tuple[int, int] | None
"""Device and number of a file; None where there is none."""


def _identities(path: Path) -> tuple[_Identity, ...]:
    """Identity of the database and its side files, without opening them: closing one would drop SQLite's locks."""
    return tuple(map(_identity, (path, *(path.with_name(path.name + end) for end in _SIDE_FILES))))


def _identity(path: Path) -> _Identity:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino


def _reason(error: Exception) -> str:
    """The cause for an operator, without any content of the log."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & _PRIMARY_CODE
    return _REASONS.get(code, type(error).__name__)


def _is_empty(path: Path) -> bool:
    """Whether the file of a database and its write-ahead log are both empty."""
    wal = path.with_name(f"{path.name}-wal")
    return not path.stat().st_size and not (wal.exists() and wal.stat().st_size)


def _sqlite_engine(path: Path) -> Engine:
    # Parameters belong to patients, and SQLAlchemy would put them into its errors.
    engine = create_engine(f"sqlite:///{path.as_posix()}", hide_parameters=True)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _postgres(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        raise ConfigurationError(f"{ADDRESS_VARIABLE}: is no address of a database.") from None
    if url.get_backend_name() != "postgresql":
        raise ConfigurationError(
            f"{ADDRESS_VARIABLE}: expected postgresql://USER@HOST/DATABASE. Without it the log is SQLite."
        )
    return url.set(drivername="postgresql+psycopg")


def _postgres_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _SECONDS_TO_CONNECT, "options": _POSTGRES},
        )
    except ImportError:
        raise StoreError(
            "A log in PostgreSQL needs its driver. Install it with `pip install 'dnapredict[postgres]'`."
        ) from None


def _set_pragmas(connection: Any, _: Any) -> None:
    """Configure SQLite as an audit log; `_begin` starts the transactions."""
    # Python's sqlite3 would begin transactions by itself, deferred, and two writers could read the same last seal.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Start a transaction; writers lock at once, since two that read the same last seal would fork the chain."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection) -> str:
    """The revision of the database's schema, "" where it has no table of ours or none was recorded."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return str(revision or "")


def _migrate(engine: Engine) -> str:
    """Run all missing migrations in one transaction, while other processes wait; return the revision before."""
    from alembic import command
    from alembic.config import Config

    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several hosts may start at once after an upgrade; the others wait and then find nothing to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('dnapredict log upgrade'))"))
        revision = _revision(connection)
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, "head")
    return revision
