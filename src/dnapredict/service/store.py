"""The scoring log: every answer that was given, who asked, and which model gave it.

Written before the answer is sent; where it cannot be written, there is no answer. Rows are only
ever added (the database refuses to change or remove one) and each is sealed with the seal of the
row before it, so that a row that was changed, removed or slipped in afterwards is found.

Appointments, patients and inputs stand in it as keyed hashes: with the home's secret, a person who
holds an appointment number can find its rows; without it, nobody can tell whose they are.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from dnapredict.errors import StoreError

__all__ = ["COLUMNS", "ScoringLog"]

_FILE: Final = "scoring-log.db"
_FIRST_SEAL: Final = "0" * 64
_WRITES: Final = "dnapredict_writes"
_ROWS_AT_ONCE: Final = 10_000
# FULL: an answer that was acknowledged is in the log even after a power cut.
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "trusted_schema=OFF")

_LOG: Final = Table(
    "scores",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("appointment", Text, nullable=False, index=True),
    Column("patient", Text, index=True),
    Column("inputs", Text, nullable=False),
    Column("probability", Float),
    Column("band", Text),
    Column("rank", Integer),
    Column("selected", Boolean),
    Column("reasons", Text),
    Column("action", Text),
    Column("error", Text),
    Column("seal", Text, nullable=False),
)
COLUMNS: Final = tuple(column.name for column in _LOG.columns if column.name not in ("number", "seal"))
"""What a caller gives for each row; its number and its seal are the log's own."""

_APPEND_ONLY: Final = tuple(
    f"CREATE TRIGGER IF NOT EXISTS no_{verb.lower()} BEFORE {verb} ON scores "
    "BEGIN SELECT RAISE(ABORT, 'the scoring log is only ever added to'); END"
    for verb in ("UPDATE", "DELETE")
)


class ScoringLog:
    """The log of one home. Any number of processes may write to it; they take turns."""

    def __init__(self, home: Path) -> None:
        """Open nothing yet; the first row that is written makes the log."""
        self._path = home / _FILE
        self._engine: Engine | None = None

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add `rows`, all or none, on disk when this returns. Each has the keys of `COLUMNS`.

        Raises
        ------
        StoreError
            If they cannot be written; nothing was.
        """
        try:
            with self._opened().execution_options(**{_WRITES: True}).begin() as connection:
                number, seal = _last(connection)
                sealed = list(_sealed(rows, number=number, seal=seal))
                if sealed:
                    connection.execute(insert(_LOG), sealed)
        except (SQLAlchemyError, OSError) as error:
            raise self._trouble("written", error) from None

    def verify(self) -> int:
        """Read the whole log and check every seal.

        Returns
        -------
        How many rows there are. Keep it, with the date: rows that were cut off the end leave a
        log that is sound in itself and shorter than it was.

        Raises
        ------
        StoreError
            If a row is not as it was written; the message names the first such row.
        """
        seal, number = _FIRST_SEAL, 0
        for row in self._rows():
            number += 1
            seal = _seal_of(row, before=seal)
            if row["number"] != number or row["seal"] != seal:
                raise StoreError(
                    f"{self._path}: row {number:,} is not as it was written, or rows before it are missing. "
                    "Keep this file and compare it with a backup."
                )
        return number

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        if not self._path.exists():
            return
        try:
            with self._opened().connect() as connection:
                found = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
                    select(_LOG).order_by(_LOG.c.number)
                )
                yield from (dict(row) for row in found.mappings())
        except (SQLAlchemyError, OSError) as error:
            raise self._trouble("read", error) from None

    def _opened(self) -> Engine:
        if self._engine is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            # Parameters belong to patients, and SQLAlchemy would put them into its errors.
            engine = create_engine(f"sqlite:///{self._path.as_posix()}", hide_parameters=True)
            event.listen(engine, "connect", _settle)
            event.listen(engine, "begin", _take_turns)
            with engine.execution_options(**{_WRITES: True}).begin() as connection:
                _LOG.metadata.create_all(connection)
                for trigger in _APPEND_ONLY:
                    connection.execute(text(trigger))
            self._engine = engine
        return self._engine

    def _trouble(self, what: str, error: Exception) -> StoreError:
        return StoreError(f"{self._path}: the scoring log cannot be {what} ({type(error).__name__}).")


def _settle(connection: Any, _: Any) -> None:
    """SQLite as an audit log needs it; SQLAlchemy begins transactions itself."""
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _take_turns(connection: Connection) -> None:
    """Writers lock at the start: two that read the same last seal would fork the chain. Readers do not."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _last(connection: Connection) -> tuple[int, str]:
    found = connection.execute(select(_LOG.c.number, _LOG.c.seal).order_by(_LOG.c.number.desc()).limit(1))
    row = found.first()
    return (0, _FIRST_SEAL) if row is None else (row.number, row.seal)


def _sealed(rows: Sequence[Mapping[str, Any]], *, number: int, seal: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        number += 1
        numbered = {**row, "number": number}
        seal = _seal_of(numbered, before=seal)
        yield numbered | {"seal": seal}


def _seal_of(row: Mapping[str, Any], *, before: str) -> str:
    """SHA-256 of the row's own columns, in the table's order, and of the seal before it."""
    values = [row["number"], *(row[name] for name in COLUMNS)]
    return hashlib.sha256((before + json.dumps(values, allow_nan=False)).encode()).hexdigest()
