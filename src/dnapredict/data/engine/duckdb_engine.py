"""One embedded DuckDB for the length of a piece of work: tables in memory, overflow on disk."""

import itertools
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from dnapredict.data.engine.bound_query import BoundQuery
from dnapredict.data.engine.interruption import interrupt_on_stop


class Workspace:
    """A private DuckDB; closing it removes every table and every overflow file.

    DuckDB spills to a temporary folder when memory is short, so that the extract of an
    integrated care board passes through a laptop.
    """

    def __init__(self, *, folder: Path | None = None, memory_limit: str = "") -> None:
        """Open an engine.

        Parameters
        ----------
        folder
            Folder for what does not fit into memory; otherwise the system's temporary folder.
        memory_limit
            What the engine may hold before it goes to disk, such as "1GB"; otherwise most of the machine's.
        """
        self._overflow = tempfile.TemporaryDirectory(prefix="dnapredict-", dir=folder)
        self.backend: Backend = ibis.duckdb.connect(":memory:", temp_directory=self._overflow.name)
        self.backend.raw_sql("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if memory_limit:
            self.backend.raw_sql(f"SET memory_limit = '{memory_limit}'")
        self._numbers = itertools.count(1)
        interrupt_on_stop(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def interrupt(self) -> None:
        """End the query that is running, from another thread; the thread that runs it gets an error."""
        self.backend.con.interrupt()

    def close(self) -> None:
        """Give back memory and disk."""
        self.backend.disconnect()
        self._overflow.cleanup()

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table of the workspace that holds `rows`, from memory or from a stream."""
        source = self._name("arrow")
        self.backend.con.register(source, rows)
        try:
            return self.compute(f"FROM {source}")
        finally:
            self.backend.con.unregister(source)

    def refer(self, rows: pa.Table) -> ir.Table:
        """A table of the workspace that reads `rows` without a copy: for reference data that many share."""
        name = self._name("arrow")
        self.backend.con.register(name, rows)
        return self.backend.table(name)

    def compute(self, query: BoundQuery | str) -> ir.Table:
        """A table of the workspace that holds the result of a query."""
        name = self._name("table")
        self.backend.con.execute(f"CREATE TABLE {name} AS {_sql(query)}")
        return self.backend.table(name)

    def materialise(self, table: ir.Table) -> ir.Table:
        """The rows of a table or view as a table, which can be read many times at no cost."""
        return self.compute(f"FROM {table.get_name()}")

    def count(self, table: ir.Table) -> int:
        """Rows of a table or view."""
        return int(self.fetch(f"SELECT count(*) AS n FROM {table.get_name()}")["n"][0].as_py())

    def fetch(self, query: BoundQuery | str) -> pa.Table:
        """The result of a query."""
        return self.backend.con.sql(_sql(query)).to_arrow_table()

    def stream(self, query: BoundQuery, *, rows: int) -> pa.RecordBatchReader:
        """The result about so many `rows` at a time; run no other query in the workspace meanwhile."""
        return self.backend.con.sql(query.sql).to_arrow_reader(rows)

    def view(self, query: BoundQuery | str) -> ir.Table:
        """A view of a query, which runs each time the view is read."""
        name = self._name("view")
        self.backend.con.execute(f"CREATE VIEW {name} AS {_sql(query)}")
        return self.backend.table(name)

    def new_file(self) -> Path:
        """The path of a new file in the temporary folder of the workspace."""
        return Path(self._overflow.name) / self._name("file")

    def _name(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"


def _sql(query: BoundQuery | str) -> str:
    return query if isinstance(query, str) else query.sql
