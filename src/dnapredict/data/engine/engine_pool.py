"""A pool of engines: the protocol that an engine keeps, and which engine suits so many rows."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar

import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.engine.bound_query import BoundQuery
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.handful.certainty import NotCertain
from dnapredict.data.engine.handful.engine import Handful


class Engine(Protocol):
    """What runs plans: the embedded engine, or for a handful of rows one that plans nothing."""

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table that holds `rows`."""

    def refer(self, rows: pa.Table) -> ir.Table:
        """A table that reads `rows` where they are: for what many share."""

    def compute(self, asked: BoundQuery) -> ir.Table:
        """A table that holds the answer to a plan."""

    def view(self, asked: BoundQuery) -> ir.Table:
        """The answer to a plan, worked out at the latest when it is read."""

    def settled(self, table: ir.Table) -> ir.Table:
        """A table or view as a table, to be read many times over."""

    def fetch(self, asked: BoundQuery) -> pa.Table:
        """The answer to a plan."""

    def count(self, table: ir.Table) -> int:
        """Rows of a table."""

    @property
    def embedded(self) -> Workspace:
        """The embedded engine itself, for what no plan says."""


Found = TypeVar("Found")

HANDFUL: Final = 64
"""Up to so many rows, to plan a query takes longer than to answer it (benchmarks/handful.py)."""

# Up to so many rows a piece of work is small: one thread, and no time spent on a better plan.
_FEW: Final = 4_096
_RESTING: Final[dict[bool, deque[Workspace]]] = {True: deque(maxlen=16), False: deque(maxlen=4)}


def done(work: Callable[[Engine], Found], *, rows: int) -> Found:
    """What a piece of work on about so many `rows` comes to, by the engine that suits them.

    The work may be begun twice, and must change nothing but what the engine holds.
    """
    if rows <= HANDFUL:
        with contextlib.suppress(NotCertain):
            return work(Handful())
    with lent(rows=rows) as workspace:
        return work(workspace)


@contextlib.contextmanager
def lent(*, rows: int) -> Iterator[Workspace]:
    """A workspace for work on about so many `rows`. After an error it is not lent again."""
    few = rows <= _FEW
    try:
        workspace = _RESTING[few].pop()
    except IndexError:
        workspace = Workspace(few_rows=few)
    try:
        workspace.begin()
        yield workspace
        workspace.empty()
    except BaseException:
        workspace.close()
        raise
    if workspace.is_worn or len(_RESTING[few]) == _RESTING[few].maxlen:
        workspace.close()
    else:
        _RESTING[few].append(workspace)
