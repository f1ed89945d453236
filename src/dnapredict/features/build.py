"""Compute the matrix on the embedded engine and hand it over as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.data.engines import Engine
from dnapredict.data.plan import Filled, compiled, placeholder
from dnapredict.features.bookings import MOST_PAIRS, pairs_per_booking
from dnapredict.features.clock import Clock, Outcomes
from dnapredict.features.matrix import expression
from dnapredict.features.rates import daily_counts

__all__ = ["Matrix", "Past", "build", "counting", "is_crowded", "question"]

# Among fewer rows pairs are quick whatever they share, and to ask costs more than it saves.
_FEW_ROWS: Final = 4_096


@dataclass(frozen=True)
class Past:
    """What may be known: contract rows, each appointment once, and counts of all of them.

    `rows` may be limited to the patients that are asked about. `daily` (`rates.daily_counts`) and `made`
    (`clinic_bookings.minute_counts`) may not; where `made` is not given, it is counted from `rows`.
    `crowded` says that some patients have very many bookings: see `bookings.other_bookings`.
    """

    rows: ir.Table
    daily: ir.Table
    made: ir.Table | None = None
    crowded: bool = False

    @classmethod
    def of(cls, rows: ir.Table, *, clock: Clock, workspace: Engine) -> "Past":
        """A past whose counts are made from its own rows."""
        counts = workspace.compute(counting(rows.schema(), clock).over(known=rows))
        return cls(rows, counts, crowded=is_crowded(rows, clock=clock, workspace=workspace))


@dataclass(frozen=True)
class Matrix:
    """Factors of appointments, one row each, with the columns that were asked for beside them."""

    table: pa.Table
    factors: tuple[str, ...]

    @property
    def values(self) -> NDArray[np.float64]:
        """The factors as an (n, p) array, NaN where not known."""
        values = np.empty((self.table.num_rows, len(self.factors)))
        for position, name in enumerate(self.factors):
            values[:, position] = self.table[name].to_numpy(zero_copy_only=False)
        return values


def build(
    points: ir.Table,
    past: Past,
    *,
    factors: Sequence[str],
    clock: Clock,
    outcomes: Outcomes,
    beside: Sequence[str],
    order_by: Sequence[str],
    workspace: Engine,
) -> Matrix:
    """The matrix of `points` with their contract columns `beside`, in the order of `order_by`.

    One factor is one column of `Matrix.table`; a contract column of the same name as a factor
    stands once, as the factor.
    """
    asked = question(
        points, past, factors=factors, clock=clock, outcomes=outcomes, beside=beside, order_by=order_by
    )
    return Matrix(workspace.fetch(asked), tuple(factors))


def question(
    points: ir.Table,
    past: Past,
    *,
    factors: Sequence[str],
    clock: Clock,
    outcomes: Outcomes,
    beside: Sequence[str],
    order_by: Sequence[str],
) -> Filled:
    """The plan for the table of that matrix, for who would rather not have it all at once."""
    tables = {"points": points, "known": past.rows, "daily": past.daily}
    if past.made is not None:
        tables["made"] = past.made
    asked = _Question(
        schemas=tuple((role, table.schema()) for role, table in tables.items()),
        factors=tuple(factors),
        clock=clock,
        outcomes=outcomes,
        beside=tuple(beside),
        order_by=tuple(order_by),
        crowded=past.crowded,
    )
    return _factoring(asked).over(**tables)


def is_crowded(rows: ir.Table, *, clock: Clock, workspace: Engine) -> bool:
    """Whether some patients of `rows`, a table of `workspace`, have too many bookings to look at pairs."""
    if workspace.count(rows) <= _FEW_ROWS:
        return False
    found = workspace.fetch(_pairing(rows.schema(), clock).over(known=rows))
    return (found["pairs"][0].as_py() or 0.0) > MOST_PAIRS


@compiled
def _pairing(schema: ibis.Schema, clock: Clock) -> ir.Table:
    return pairs_per_booking(placeholder("known", schema), clock=clock)


@compiled
def counting(schema: ibis.Schema, clock: Clock) -> ir.Table:
    """Plan of the daily counts of the rows `known`."""
    return daily_counts(placeholder("known", schema), clock=clock)


@dataclass(frozen=True)
class _Question:
    """All that shapes the query for a matrix; equal questions share one plan."""

    schemas: tuple[tuple[str, ibis.Schema], ...]
    factors: tuple[str, ...]
    clock: Clock
    outcomes: Outcomes
    beside: tuple[str, ...]
    order_by: tuple[str, ...]
    crowded: bool


@compiled
def _factoring(question: _Question) -> ir.Table:
    tables = {role: placeholder(role, schema) for role, schema in question.schemas}
    matrix = expression(
        tables["points"],
        tables["known"],
        daily=tables["daily"],
        made=tables.get("made"),
        factors=question.factors,
        clock=question.clock,
        outcomes=question.outcomes,
        beside=question.beside,
        crowded=question.crowded,
    )
    return matrix.order_by(list(question.order_by))
