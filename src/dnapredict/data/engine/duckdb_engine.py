"""One embedded DuckDB for the length of a piece of work: tables in memory, overflow on disk.

A lasting workspace serves many small questions in the same words, since reading and planning them takes
longer than answering: a table of the same name and form is emptied and filled anew, its query is parsed
once, and few of its rows need no optimising. What is run is bound anew each time: a plan that DuckDB
prepared may not see rows that came after it.
"""

import hashlib
import tempfile
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from dnapredict.data.engine.bound_query import BoundQuery
from dnapredict.data.engine.interruption import interrupt_on_stop

_OPTIMIZERS: Final = "SELECT name FROM duckdb_optimizers()"
# A lasting workspace is worn after so many pieces of work, or with so many tables of different forms.
_MOST_USES: Final = 5_000
_MOST_TABLES: Final = 400


class Workspace:
    """A private DuckDB; closing it removes every table and every overflow file.

    DuckDB spills to a temporary folder when memory is short, so that the extract of an
    integrated care board passes through a laptop.
    """

    def __init__(self, *, few_rows: bool = False, place: Path | None = None, most_memory: str = "") -> None:
        """Open an engine.

        Parameters
        ----------
        few_rows
            For few rows at a time, one that spends nothing on a better plan.
        place
            Folder for what does not fit into memory; otherwise the system's own.
        most_memory
            What the engine may hold before it goes to disk, such as "1GB"; otherwise most of the machine's.
        """
        self._overflow = tempfile.TemporaryDirectory(prefix="dnapredict-", dir=place)
        self.backend: Backend = ibis.duckdb.connect(":memory:", temp_directory=self._overflow.name)
        self.backend.raw_sql("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if most_memory:
            self.backend.raw_sql(f"SET memory_limit = '{most_memory}'")
        interrupt_on_stop(self)
        self._tables: dict[str, ir.Table] = {}
        self._filled: list[str] = []
        self._steps = 0
        self._uses = 0
        self._made_tables = False
        self._is_for_few = few_rows
        if few_rows:
            names = ",".join(name for (name,) in self.backend.con.execute(_OPTIMIZERS).fetchall())
            self.backend.raw_sql(f"SET threads = 1; SET disabled_optimizers = '{names}'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def interrupt(self) -> None:
        """End the query that is running, from another thread; it raises an error where it was asked."""
        self.backend.con.interrupt()

    def close(self) -> None:
        """Give back memory and disk."""
        self.backend.disconnect()
        self._overflow.cleanup()

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table of the workspace that holds `rows`, all there or still being read."""
        name = self._name("keep", rows.schema.to_string(show_schema_metadata=False))
        connection, source = self.backend.con, f"{name}_arrow"
        connection.register(source, rows)
        try:
            if name in self._tables:
                connection.execute(f"INSERT INTO {name} FROM {source}")
                self._filled.append(name)
                return self._tables[name]
            return self._made(name, f"CREATE TABLE {name} AS FROM {source}")
        finally:
            connection.unregister(source)

    def refer(self, rows: pa.Table) -> ir.Table:
        """A table of the workspace that reads `rows` where they are, without a copy: for what many share.

        It is not emptied afterwards: no patient's rows.
        """
        name = self._name("refer", str(id(rows)))
        if name in self._tables:
            return self._tables[name]
        self.backend.con.register(name, rows)
        return self._told(name)

    def compute(self, asked: BoundQuery | str) -> ir.Table:
        """A table of the workspace that holds the answer to a plan, or to a DuckDB query."""
        sql = _sql(asked)
        name = self._name("compute", sql)
        if name not in self._tables:
            return self._made(name, f"CREATE TABLE {name} AS {sql}")
        self.backend.con.execute(_parsed(f"INSERT INTO {name} {sql}"))
        self._filled.append(name)
        return self._tables[name]

    def settled(self, table: ir.Table) -> ir.Table:
        """What a table or view holds, as a table: to read it many times over then costs nothing."""
        return self.compute(f"FROM {table.get_name()}")

    def count(self, table: ir.Table) -> int:
        """Rows of a table or view."""
        return int(self.fetch(f"SELECT count(*) AS n FROM {table.get_name()}")["n"][0].as_py())

    @property
    def embedded(self) -> "Workspace":
        """Itself: the engine that can do whatever is asked."""
        return self

    def fetch(self, asked: BoundQuery | str) -> pa.Table:
        """The answer to a plan, or to a DuckDB query."""
        sql = _sql(asked)
        # DuckDB binds what it hands over as Arrow twice: a long question about few rows is answered into
        # a table first. Many rows are not kept twice.
        answer = f"FROM {self.compute(sql).get_name()}" if self._is_for_few else sql
        return self.backend.con.sql(answer).to_arrow_table()

    def stream(self, asked: BoundQuery, *, rows: int) -> pa.RecordBatchReader:
        """The same, about so many `rows` at a time; ask nothing else of the workspace meanwhile."""
        return self.backend.con.sql(asked.sql).to_arrow_reader(rows)

    def view(self, asked: BoundQuery | str) -> ir.Table:
        """A view of a plan or a DuckDB query, read anew each time it is used."""
        sql = _sql(asked)
        name = self._name("view", sql)
        if name in self._tables:
            return self._tables[name]
        self.backend.con.execute(f"CREATE VIEW {name} AS {sql}")
        return self._told(name)

    def new_file(self) -> Path:
        """A file of its own in the folder that goes with the workspace."""
        return Path(self._overflow.name) / self._name("file", "")

    def begin(self) -> None:
        """Begin a piece of work that may be forgotten as a whole."""
        self._made_tables = False
        self.backend.con.begin()

    def empty(self) -> None:
        """End a piece of work: forget every row, keep the tables for the next one."""
        if self._made_tables:
            for name in self._filled:
                self.backend.con.execute(f"TRUNCATE {name}")
            self.backend.con.commit()
        else:
            self.backend.con.rollback()
        self._filled.clear()
        self._steps = 0
        self._uses += 1

    @property
    def is_worn(self) -> bool:
        """Whether a lasting workspace should be replaced by a new one."""
        return self._uses >= _MOST_USES or len(self._tables) >= _MOST_TABLES

    def _name(self, kind: str, content: str) -> str:
        """The same for the same step of the same work, so that what was made for it is found again."""
        self._steps += 1
        digest = hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
        return f"t{self._steps}_{kind}_{digest}"

    def _made(self, name: str, create: str) -> ir.Table:
        self.backend.con.execute(create)
        self._filled.append(name)
        return self._told(name)

    def _told(self, name: str) -> ir.Table:
        self._made_tables = True
        self._tables[name] = self.backend.table(name)
        return self._tables[name]


def _sql(asked: BoundQuery | str) -> str:
    return asked if isinstance(asked, str) else asked.sql


@lru_cache(maxsize=512)
def _parsed(sql: str) -> duckdb.Statement:
    """A statement read once; it is not changed by being run, by whichever connection."""
    return duckdb.extract_statements(sql)[0]
