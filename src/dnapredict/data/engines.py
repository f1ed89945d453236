"""What runs plans, as the steps from a list to its factors see it: they ask either engine alike."""

from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.plan import Filled
from dnapredict.data.workspace import Workspace

__all__ = ["Engine"]


class Engine(Protocol):
    """What runs plans: the embedded engine, or for a handful of rows one that plans nothing."""

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table that holds `rows`."""

    def refer(self, rows: pa.Table) -> ir.Table:
        """A table that reads `rows` where they are: for what many share."""

    def compute(self, asked: Filled) -> ir.Table:
        """A table that holds the answer to a plan."""

    def view(self, asked: Filled) -> ir.Table:
        """The answer to a plan, worked out at the latest when it is read."""

    def settled(self, table: ir.Table) -> ir.Table:
        """A table or view as a table, to be read many times over."""

    def fetch(self, asked: Filled) -> pa.Table:
        """The answer to a plan."""

    def count(self, table: ir.Table) -> int:
        """Rows of a table."""

    @property
    def embedded(self) -> Workspace:
        """The embedded engine itself, for what no plan says."""
