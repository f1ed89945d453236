"""The scoring log: every answer with its recipient and model, the actions recorded about it, and who saw which list.

An entry is written before the answer is sent; if it cannot be written, no answer is sent. Entries are only
added (the database refuses to change one, or to remove one before its time) and each is sealed with the seal of
the entry before it, so that a change, a removal or an insertion is detected.

Appointments, patients and inputs are stored as keyed hashes: the home's secret and an appointment number together
find its entries; without the secret nobody can tell whose they are.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from dnapredict.data.files.digests import FIRST_SEAL, SecretError
from dnapredict.errors import StoreError
from dnapredict.service.log.log_database import Database
from dnapredict.service.log.log_tables import ANSWER_COLUMNS, ENTRIES, HEAD, SECRET, BrokenChain, append, verify_chain

COLUMNS: Final = ANSWER_COLUMNS
"""The columns that a caller supplies for each answer; the log adds number and seal."""

_RETENTION: Final = "retention"
_REMOVED_AT_ONCE: Final = 20_000


@dataclass(frozen=True)
class Verified:
    """The result of a successful verification: the number of entries, and number and seal of the last one."""

    entries: int
    last: int
    seal: str


class ScoringLog:
    """The log of one home, or of several that share one database. Writers wait for each other."""

    def __init__(self, home: Path, database: str | None = None) -> None:
        """The first entry creates the log. `database` is an address as for `LogDatabase`."""
        self._database = Database(home, database)

    @property
    def name(self) -> str:
        """The file of the log, or the address of its database without the password."""
        return self._database.name

    @property
    def is_file(self) -> bool:
        """Whether the log is a file of the home, and not a database at an address."""
        return self._database.is_file

    @property
    def exists(self) -> bool:
        """Whether anything was ever written, also where the file was deleted since: reading it then raises."""
        return self._database.exists

    def open(self) -> None:
        """Open the database now, so that a fault is reported at start and not at the first request.

        Raises
        ------
        StoreError
            If it cannot be opened, or has a schema that this release does not work with.
        """
        with self._database.reading():
            pass

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add answers, all or none, durably. Each has the keys of `COLUMNS`.

        Raises
        ------
        StoreError
            If they cannot be written; nothing was.
        """
        with self._database.writing() as connection:
            last = append(connection, "answer", rows)
        self._database.note_newest(last)

    def write_action(self, row: Mapping[str, Any], *, first: Callable[[Connection], None] = lambda _: None) -> None:
        """Add an action about an appointment, with the columns of `log_tables.ACTIONS`.

        Parameters
        ----------
        first
            Called in the transaction before the entry is added; if it raises, nothing is written.

        Raises
        ------
        StoreError
            If it cannot be written; nothing was.
        """
        with self._database.writing() as connection:
            # The row lock that makes writers wait on PostgreSQL; on SQLite the transaction itself does.
            connection.execute(select(HEAD.c.number).with_for_update()).one()
            first(connection)
            last = append(connection, "action", [row])
        self._database.note_newest(last)

    def write_accesses(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add accesses, all or none, with the columns of `log_tables.ACCESSES`.

        Raises
        ------
        StoreError
            If they cannot be written; nothing was.
        """
        with self._database.writing() as connection:
            last = append(connection, "access", rows)
        self._database.note_newest(last)

    def query(self, query: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """The rows that `query` selects with its `parameters`; none where nothing was ever written.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        if not self._database.exists:
            return []
        with self._database.reading() as connection:
            return connection.execute(query, parameters).all()

    def require_secret(self, check_of: Callable[[bool], str], *, path: Path) -> None:
        """Compare the secret at `path` with the one that the entries were hashed with; note the first one.

        Parameters
        ----------
        check_of
            Returns the check value of the secret; its argument is whether the log has entries.

        Raises
        ------
        SecretError
            If it is another secret.
        StoreError
            If the log cannot be written.
        """
        if not self._database.exists:
            return
        with self._database.writing() as connection:
            check = check_of(connection.execute(select(HEAD.c.number)).scalar_one() > 0)
            stored = connection.execute(select(SECRET.c.check_value)).scalar()
            if stored is None:
                connection.execute(insert(SECRET).values(id=1, check_value=check))
            elif stored != check:
                raise SecretError(
                    f"{path}: this is another secret than the entries of the scoring log were hashed with "
                    f"({self._database.name}). Restore it from a backup, or copy it from another host."
                )

    def verify(self) -> Verified:
        """Read the whole log and check every seal.

        Returns
        -------
        Number and seal of the last entry. Keep them, with the date, elsewhere: somebody who can write the database
        could build a new chain, but not one that contains the seal you kept.

        Raises
        ------
        StoreError
            If an entry was changed, removed or inserted; the message names the first such entry.
        """
        if not self._database.exists:
            return Verified(0, 0, FIRST_SEAL)
        try:
            with self._database.reading() as connection:
                entries, link = verify_chain(connection)
        except BrokenChain as broken:
            raise StoreError(
                f"{self._database.name}: row {broken.number:,} is not as it was written, or rows before it "
                "or at the end are missing. Keep this database and compare it with a backup."
            ) from None
        return Verified(entries, link.number, link.seal)

    def remove_before(self, day: datetime.date) -> int:
        """Delete the oldest entries, up to the first one of `day` (UTC) or later.

        Beforehand an anchor is appended to the chain. It holds the seal on which the first remaining entry was
        built, so that `verify` can still check everything that is left.

        Returns
        -------
        The number of deleted entries.

        Raises
        ------
        StoreError
            If that cannot be done; the log is as it was.
        """
        # The anchors added here are entries of today: with a later `day` the loop would never end.
        day = min(day, datetime.datetime.now(datetime.UTC).date())
        removed = 0
        while self._database.exists:
            with self._database.writing() as connection:
                count = _remove_some(connection, day)
            removed += count
            if not count:
                break
        return removed

    def oldest_day(self) -> datetime.date | None:
        """The day (UTC) of the first entry; None for an empty log.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        queries = [select(table.c.number, table.c.at).order_by(table.c.number).limit(1) for table in ENTRIES.values()]
        first = [row for query in queries for row in self.query(query)]
        return datetime.date.fromisoformat(min(first).at[:10]) if first else None

    def upgrade(self) -> str:
        """Migrate the database to the schema of this release; returns the revision it had, "" for none.

        Raises
        ------
        StoreError
            If that cannot be done; the database is as it was.
        """
        return self._database.upgrade()

    def close(self) -> None:
        """Close every connection to the database."""
        self._database.close()


def _remove_some(connection: Connection, day: datetime.date) -> int:
    """Delete a batch of the oldest entries before `day`, small enough that answers are not delayed."""
    first, kept_from = _oldest(connection), _first_since(connection, day)
    if first is None or first >= kept_from:
        return 0
    kept_from = min(kept_from, first + _REMOVED_AT_ONCE)
    anchor = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(),
        "asked_by": _RETENTION,
        "kept_from": kept_from,
        "seal_before": _seal_at(connection, kept_from - 1),
    }
    append(connection, "anchor", [anchor])
    old = [delete(table).where(table.c.number < kept_from) for table in ENTRIES.values()]
    return sum(connection.execute(each).rowcount for each in old)


def _oldest(connection: Connection) -> int | None:
    numbers = [connection.execute(select(func.min(table.c.number))).scalar() for table in ENTRIES.values()]
    return min((number for number in numbers if number is not None), default=None)


def _first_since(connection: Connection, day: datetime.date) -> int:
    """The number of the first entry of that day or later; one past the last if there is none."""
    numbers = [
        connection.execute(
            select(table.c.number).where(table.c.at >= day.isoformat()).order_by(table.c.number).limit(1)
        ).scalar()
        for table in ENTRIES.values()
    ]
    past: int = connection.execute(select(HEAD.c.number)).scalar_one() + 1
    return min((number for number in numbers if number is not None), default=past)


def _seal_at(connection: Connection, number: int) -> str:
    """The seal of an existing entry."""
    seals = [
        connection.execute(select(table.c.seal).where(table.c.number == number)).scalar() for table in ENTRIES.values()
    ]
    return next(str(seal) for seal in seals if seal is not None)
