"""DuckDB for few rows: each query is planned once, and reads Arrow tables that are exchanged between runs.

Planning the factors takes ten times as long as running them for one patient. DuckDB plans a prepared statement
again at every run if it reads a table of the database, because the statistics of a table may have gone into the
plan. It does not if the statement reads an Arrow stream, of which it knows the types and nothing else; so a plan
cannot hold anything of the rows it was made with.

`borrow_engine` lends such a connection from a pool, or a `Workspace` where there are many rows.
"""

import atexit
import contextlib
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.engine.duckdb_engine import BoundQuery, CompiledQuery, Workspace
from dnapredict.data.engine.interruption import interrupt_on_stop

# Every shape of a list adds about seven; a connection with more is replaced, so that memory is bounded.
_MOST_PREPARED: Final = 100
# Each run leaves DuckDB's memory a little more scattered: after 2,000 scores a connection takes twice the time of
# a new one (benchmarks/prepared_queries.py). A score runs seven queries, and a new connection plans them once.
MOST_RUNS: Final = 1_000

# A copy of few rows is cheap, and the way that DuckDB advises instead binds a statement a second time.
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result", category=UserWarning)


class _Source:
    """What a prepared query reads as one of its tables: whichever Arrow table was put here last."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.clear()

    def clear(self) -> None:
        self.rows = self.schema.empty_table()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


@dataclass(frozen=True)
class _Prepared:
    statement: str
    sources: dict[str, _Source]


class PreparedQueries:
    """A DuckDB connection with its prepared queries; tables are Arrow tables of this process."""

    def __init__(self) -> None:
        """Open a connection that has no query yet."""
        self._connection = duckdb.connect(":memory:")
        # One thread: for few rows, handing work to others takes longer than the work.
        self._connection.execute("SET threads = 1; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        self._prepared: dict[tuple[CompiledQuery, tuple[pa.Schema, ...]], _Prepared] = {}
        self._tables: dict[str, pa.Table] = {}
        self._runs = 0
        interrupt_on_stop(self)

    def interrupt(self) -> None:
        """End the query that is running, from another thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Give back the memory of tables and plans."""
        self.clear()
        self._prepared.clear()
        self._connection.close()

    def clear(self) -> None:
        """Forget every table; the prepared queries stay."""
        self._tables.clear()

    @property
    def is_worn(self) -> bool:
        """Whether the connection holds so many queries, or has run so many, that it should be replaced."""
        return len(self._prepared) >= _MOST_PREPARED or self._runs >= MOST_RUNS

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table that holds `rows`."""
        table = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows
        name = f"t{len(self._tables)}"
        self._tables[name] = table
        return _named(_ibis_schema(table.schema), name)

    def refer(self, rows: pa.Table) -> ir.Table:
        """The same: nothing is copied."""
        return self.keep(rows)

    def compute(self, query: BoundQuery) -> ir.Table:
        """A table that holds the result of a query."""
        return self.keep(self.fetch(query))

    view = compute

    def materialise(self, table: ir.Table) -> ir.Table:
        """The same table: every table is materialised here."""
        return table

    def count(self, table: ir.Table) -> int:
        """Rows of a table."""
        return int(self._tables[table.get_name()].num_rows)

    def fetch(self, query: BoundQuery) -> pa.Table:
        """The result of a query."""
        tables = {role: self._tables[table.get_name()] for role, table in query.tables.items()}
        prepared = self._prepare(query.compiled, tables)
        self._runs += 1
        try:
            for role, table in tables.items():
                prepared.sources[role].rows = table
            return self._connection.execute(prepared.statement).to_arrow_table()
        finally:
            for source in prepared.sources.values():
                source.clear()  # hold no patient's row longer than the request

    def _prepare(self, query: CompiledQuery, tables: dict[str, pa.Table]) -> _Prepared:
        key = (query, tuple(table.schema for table in tables.values()))
        if key not in self._prepared:
            name = f"q{len(self._prepared)}"
            sources = {role: _Source(table.schema) for role, table in tables.items()}
            for role, source in sources.items():
                self._connection.register(f"{name}_{role}", source)
            sql = query.sql_on({role: f"{name}_{role}" for role in sources})
            self._connection.execute(f"PREPARE {name} AS {sql}")
            self._prepared[key] = _Prepared(f"EXECUTE {name}", sources)
        return self._prepared[key]


@lru_cache(maxsize=256)
def _ibis_schema(schema: pa.Schema) -> ibis.Schema:
    return ibis.Schema.from_pyarrow(schema)


@lru_cache(maxsize=256)
def _named(schema: ibis.Schema, name: str) -> ir.Table:
    return ibis.table(schema, name=name)


class Engine(Protocol):
    """What runs compiled queries: `Workspace`, or for few rows `PreparedQueries`."""

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table that holds `rows`."""

    def refer(self, rows: pa.Table) -> ir.Table:
        """A table that reads `rows` without a copy: for reference data that many requests share."""

    def compute(self, query: BoundQuery) -> ir.Table:
        """A table that holds the result of a query."""

    def view(self, query: BoundQuery) -> ir.Table:
        """A table of the result of a query, run when it is read at the latest."""

    def materialise(self, table: ir.Table) -> ir.Table:
        """A table or view as a table that can be read many times at no cost."""

    def fetch(self, query: BoundQuery) -> pa.Table:
        """The result of a query."""

    def count(self, table: ir.Table) -> int:
        """Rows of a table."""


FEW_ROWS: Final = 4_096
"""Up to so many rows, planning a query takes longer than running it (benchmarks/prepared_queries.py)."""

# As many as answer at the same time; a service that needs more for a moment opens and closes them.
_IDLE: Final[deque[PreparedQueries]] = deque(maxlen=16)


@contextlib.contextmanager
def borrow_engine(*, rows: int) -> Iterator[Engine]:
    """An engine for work on about so many `rows`. After an error it is closed and not lent again."""
    if rows > FEW_ROWS:
        with Workspace() as workspace:
            yield workspace
        return
    try:
        engine = _IDLE.pop()
    except IndexError:
        engine = PreparedQueries()
    try:
        yield engine
    except BaseException:
        engine.close()
        raise
    engine.clear()
    if engine.is_worn or len(_IDLE) == _IDLE.maxlen:
        engine.close()
    else:
        _IDLE.append(engine)


@atexit.register
def _close_idle() -> None:
    """Close the connections before Python takes down the sources that they read."""
    while _IDLE:
        _IDLE.pop().close()
