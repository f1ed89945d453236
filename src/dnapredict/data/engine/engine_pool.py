"""The interface of an engine, and a pool that lends the engine that suits a number of rows."""

import atexit
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.engine.bound_query import BoundQuery
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.prepared_queries import PreparedQueries


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
    if engine.is_full or len(_IDLE) == _IDLE.maxlen:
        engine.close()
    else:
        _IDLE.append(engine)


@atexit.register
def _close_idle() -> None:
    """Close the connections before Python takes down the sources that they read."""
    while _IDLE:
        _IDLE.pop().close()
