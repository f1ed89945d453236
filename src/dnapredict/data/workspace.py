"""One embedded DuckDB for the length of a piece of work: tables in memory, overflow on disk."""

import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

__all__ = ["Workspace"]


class Workspace:
    """A private DuckDB; closing it removes every table and every overflow file.

    DuckDB spills to a temporary folder when memory is short, so that the extract of an
    integrated care board passes through a laptop.
    """

    def __init__(self) -> None:
        self._overflow = tempfile.TemporaryDirectory(prefix="dnapredict-")
        self.backend: Backend = ibis.duckdb.connect(":memory:", temp_directory=self._overflow.name)
        self.backend.raw_sql("SET TimeZone = 'UTC'; SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back memory and disk."""
        self.backend.disconnect()
        self._overflow.cleanup()

    def keep(self, rows: pa.Table) -> ir.Table:
        """A table of the workspace that holds `rows`."""
        name = self.new_name()
        connection = self.backend.con
        connection.register(f"{name}_arrow", rows)
        connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM {name}_arrow")
        connection.unregister(f"{name}_arrow")
        return self.backend.table(name)

    def lend(self, rows: pa.Table) -> ir.Table:
        """A table of the workspace that reads `rows` where they are, without a copy."""
        name = self.new_name()
        self.backend.con.register(name, rows)
        return self.backend.table(name)

    def compute(self, sql: str) -> ir.Table:
        """A table of the workspace that holds the result of a DuckDB query."""
        name = self.new_name()
        self.backend.con.execute(f"CREATE TEMP TABLE {name} AS {sql}")
        return self.backend.table(name)

    def fetch(self, sql: str) -> pa.Table:
        """The result of a DuckDB query."""
        return self.backend.con.sql(sql).to_arrow_table()

    def view(self, sql: str) -> ir.Table:
        """A view of a DuckDB query, read anew each time it is used."""
        name = self.new_name()
        self.backend.con.execute(f"CREATE TEMP VIEW {name} AS {sql}")
        return self.backend.table(name)

    def new_file(self) -> Path:
        """A file of its own in the folder that goes with the workspace."""
        return Path(self._overflow.name) / self.new_name()

    @staticmethod
    def new_name() -> str:
        """A table name that nothing else in this workspace has."""
        return f"t_{uuid.uuid4().hex}"
