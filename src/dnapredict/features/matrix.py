"""The matrix of agreed factors: one row an appointment, as known when it is scored."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.data.engine import running_step
from dnapredict.data.engine.duckdb_engine import BoundQuery, Workspace, compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.errors import StoreError
from dnapredict.features.booking_context import (
    AROUND,
    AT_CLINIC,
    MOST_PAIRS,
    clinic_bookings,
    other_bookings,
    pairs_per_booking,
)
from dnapredict.features.factors import EXPRESSIONS, columns_read
from dnapredict.features.history import patient_history
from dnapredict.features.rates import daily_counts, rates
from dnapredict.features.scoring_clock import Clock, LabelRule

# Beside the factors, for the split by population: whole local days between booking and appointment,
# and past appointments attended or missed (null where the patient is not known).
LEAD_DAYS: Final = "lead_days_"
PAST_APPOINTMENTS: Final = "past_appointments_"


def expression(
    points: ir.Table,
    known: ir.Table,
    *,
    daily: ir.Table,
    made: ir.Table | None = None,
    factors: Sequence[str],
    clock: Clock,
    outcomes: LabelRule,
    extra_columns: Sequence[str] = (),
    crowded: bool = False,
    with_unidentified: bool = True,
    keep: Callable[[ir.Table], ir.Table] = lambda table: table,
) -> ir.Table:
    """Factors of every point as known at its `scored_at`.

    Parameters
    ----------
    points
        Contract rows to score.
    known
        Contract rows that may be known, outcome or not, each appointment once; in training the
        points themselves.
    daily
        `rates.daily_counts` of everything known.
    made
        `clinic_bookings.minute_counts` of everything known; counted from `known` where not given.
    factors
        Names of agreed factors, in the order of the matrix.
    extra_columns
        Contract columns to pass through.
    crowded
        Whether some patients have very many bookings (`booking_context.pairs_per_booking`): the factors are the
        same, worked out in a time that does not grow with the square of the rows.
    with_unidentified
        Whether `made` counts bookings whose patient is not known (`booking_context.clinic_bookings`).
    keep
        Stores a table that is read several times, for an engine that would compute it each time.

    Returns
    -------
    Table of `row_number`, `appointment_id`, `scored_at`, `LEAD_DAYS`, `PAST_APPOINTMENTS`, one
    float64 column a factor, null where not known, and `extra_columns`. A contract column of the same name
    as a factor stands once, as the factor. Rows stand in no particular order.
    """
    read = columns_read(factors) | {"n_past_appointments"}
    wide = _own_columns(points, read.union(extra_columns), clock)
    parts = _parts(
        points,
        known,
        read,
        daily=daily,
        made=made,
        clock=clock,
        outcomes=outcomes,
        crowded=crowded,
        with_unidentified=with_unidentified,
        keep=keep,
    )
    for index, part in enumerate(parts):
        named = part.rename({f"of_{index}": ROW_NUMBER})
        wide = wide.left_join(named, wide[ROW_NUMBER] == named[f"of_{index}"])
    population = {LEAD_DAYS: wide.lead_days, PAST_APPOINTMENTS: wide.n_past_appointments}
    return _with_factors(wide, factors, extra_columns, population)


def own_factors(
    points: ir.Table, *, factors: Sequence[str], clock: Clock, extra_columns: Sequence[str] = ()
) -> ir.Table:
    """Factors of every point that need nothing but its own row, as `expression` gives them; no other row is read.

    Returns
    -------
    Table of `row_number`, `appointment_id`, `scored_at`, one float64 column a factor, and `extra_columns`, in no
    particular order.
    """
    wide = _own_columns(points, columns_read(factors).union(extra_columns), clock)
    return _with_factors(wide, factors, extra_columns, {})


def _own_columns(points: ir.Table, read: frozenset[str], clock: Clock) -> ir.Table:
    always = (ROW_NUMBER, "appointment_id", "patient_id")
    own = (name for name in points.columns if name in read.difference(always))
    return points.select(
        *always,
        *own,
        scored_at=clock.scored_at(points),
        lead_days=points.starts_local.date().epoch_days() - points.booked_local.date().epoch_days(),
    )


def _with_factors(
    wide: ir.Table, factors: Sequence[str], extra_columns: Sequence[str], population: Mapping[str, ir.Value]
) -> ir.Table:
    return wide.select(
        ROW_NUMBER,
        "appointment_id",
        "scored_at",
        *(name for name in extra_columns if name not in {*factors, ROW_NUMBER, "appointment_id", "scored_at"}),
        **population,
        **{name: EXPRESSIONS[name](wide).cast("float64") for name in factors},
    )


def _parts(
    points: ir.Table,
    known: ir.Table,
    read: frozenset[str],
    *,
    daily: ir.Table,
    made: ir.Table | None,
    clock: Clock,
    outcomes: LabelRule,
    crowded: bool,
    with_unidentified: bool,
    keep: Callable[[ir.Table], ir.Table],
) -> Iterator[ir.Table]:
    """Tables of `row_number` and what is known of each point from other rows, as far as it is `read`."""
    yield patient_history(points, known, clock=clock, outcomes=outcomes, wanted=read)
    if read.intersection(AROUND):
        yield other_bookings(points, known, clock=clock, crowded=crowded)
    if read.intersection(AT_CLINIC):
        yield clinic_bookings(points, known, made=made, with_unidentified=with_unidentified, clock=clock)
    if any(name.startswith(("rate_", "share_")) for name in read):
        yield rates(points, daily, clock=clock, outcomes=outcomes, wanted=read, keep=keep)


# Not in the daily counts of a history whose bookings lack unidentified patients: both came in one version.
_NEW_COUNTS: Final = frozenset(("rate_provider", "rate_place"))
# Among fewer rows pairs are quick whatever they share, and to ask costs more than it saves.
_FEW_ROWS: Final = 4_096
_ROWS_AT_ONCE: Final = 100_000


@dataclass(frozen=True)
class Past:
    """What may be known: contract rows, each appointment once, and counts of all of them.

    `rows` may be limited to the patients that are asked about. `daily` (`rates.daily_counts`) and `made`
    (`clinic_bookings.minute_counts`) may not; where `made` is not given, it is counted from `rows`.
    `crowded` says that some patients have very many bookings: see `booking_context.other_bookings`.
    `with_unidentified` says that `made` counts bookings whose patient is not known.
    """

    rows: ir.Table
    daily: ir.Table
    made: ir.Table | None = None
    crowded: bool = False
    with_unidentified: bool = True

    @classmethod
    def of(cls, rows: ir.Table, *, clock: Clock, workspace: Engine) -> "Past":
        """A past whose counts are made from its own rows."""
        counts = workspace.compute(counting(rows.schema(), clock).bind(known=rows))
        return cls(rows, counts, crowded=is_crowded(rows, clock=clock, workspace=workspace))


@dataclass(frozen=True)
class Matrix:
    """Factors of appointments, one row each, with the extra columns that were asked for.

    Attributes
    ----------
    table
        The extra columns, and the factors unless they are in a file.
    stored
        The factors of a matrix whose factors are in a file (`write_matrix`), as an (m, p) array that the system reads
        from it.
    rows
        Which rows of `stored` are those of the table, in order; None for all of them.
    """

    table: pa.Table
    factors: tuple[str, ...]
    stored: NDArray[np.float64] | None = field(default=None, repr=False)
    rows: NDArray[np.int64] | None = field(default=None, repr=False)

    def take(self, wanted: NDArray[np.bool_]) -> "Matrix":
        """Some of the appointments; what is in a file stays there."""
        if wanted.all():
            return self
        table, rows = self.table.filter(pa.array(wanted)), self.rows
        if self.stored is not None:
            rows = np.flatnonzero(wanted) if rows is None else rows[wanted]
        return replace(self, table=table, rows=rows)

    @property
    def values(self) -> NDArray[np.float64]:
        """The factors as an (n, p) array, NaN where not known."""
        if self.stored is not None:
            return self.stored if self.rows is None else self.stored[self.rows]
        values = np.empty((self.table.num_rows, len(self.factors)))
        for position, name in enumerate(self.factors):
            values[:, position] = self.table[name].to_numpy(zero_copy_only=False)
        return values


def write_matrix(
    asked: BoundQuery | str,
    *,
    factors: Sequence[str],
    columns: Sequence[str],
    workspace: Workspace,
) -> Matrix:
    """The rows of a `question`, or of SQL with the same columns, with their factors in a file.

    In memory are the other columns, and those of `columns` that are factors too. The file has no name, so that none is
    left where the process is killed; it ends with the array that is mapped to it. It holds one row after another, as
    64-bit numbers.
    """
    running_step.begin("Building the factors")
    names, stream = tuple(factors), workspace.stream(asked, rows=_ROWS_AT_ONCE)
    only_stored = [name for name in names if name not in columns]
    parts = [stream.schema.empty_table().drop_columns(only_stored)]  # there may be no row
    with tempfile.TemporaryFile() as file:
        for batch in stream:
            part = Matrix(pa.Table.from_batches([batch]), names)
            file.write(part.values.data)
            parts.append(part.table.drop_columns(only_stored))
        file.flush()
        table = pa.concat_tables(parts)
        shape = (table.num_rows, len(names))
        # Nothing can be mapped of an empty file.
        stored = np.memmap(file, np.float64, mode="r", shape=shape) if all(shape) else np.empty(shape)
    return Matrix(table, names, stored)


def question(
    points: ir.Table,
    past: Past,
    *,
    factors: Sequence[str],
    clock: Clock,
    outcomes: LabelRule,
    extra_columns: Sequence[str],
    order_by: Sequence[str],
) -> BoundQuery:
    """The query for the table of a matrix of `points` with the contract columns `extra_columns`, in that order.

    One factor is one column; a contract column of the same name as a factor stands once, as the factor.

    Raises
    ------
    StoreError
        If a factor needs counts that a history of an earlier version does not have.
    """
    if not past.with_unidentified and _NEW_COUNTS & columns_read(factors):
        raise StoreError(
            "The history was written by an earlier version, which did not count outcomes by provider and place, and "
            "the model uses them. Run 'dnapredict refresh EXTRACT' to rebuild the history."
        )
    tables = {"points": points, "known": past.rows, "daily": past.daily}
    if past.made is not None:
        tables["made"] = past.made
    asked = _Question(
        schemas=tuple((role, table.schema()) for role, table in tables.items()),
        factors=tuple(factors),
        clock=clock,
        outcomes=outcomes,
        extra_columns=tuple(extra_columns),
        order_by=tuple(order_by),
        crowded=past.crowded,
        with_unidentified=past.with_unidentified,
    )
    return _factoring(asked).bind(**tables)


def own_question(points: ir.Table, *, factors: Sequence[str], clock: Clock, extra_columns: Sequence[str]) -> BoundQuery:
    """The query for `own_factors` of `points`."""
    return _own_factoring(points.schema(), tuple(factors), clock, tuple(extra_columns)).bind(points=points)


@compiled
def _own_factoring(
    schema: ibis.Schema, factors: tuple[str, ...], clock: Clock, extra_columns: tuple[str, ...]
) -> ir.Table:
    points = placeholder("points", schema)
    return own_factors(points, factors=factors, clock=clock, extra_columns=extra_columns)


def is_crowded(rows: ir.Table, *, clock: Clock, workspace: Engine) -> bool:
    """Whether some patients of `rows`, a table of `workspace`, have too many bookings to look at pairs."""
    if workspace.count(rows) <= _FEW_ROWS:
        return False
    found = workspace.fetch(_pairing(rows.schema(), clock).bind(known=rows))
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
    outcomes: LabelRule
    extra_columns: tuple[str, ...]
    order_by: tuple[str, ...]
    crowded: bool
    with_unidentified: bool


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
        extra_columns=question.extra_columns,
        crowded=question.crowded,
        with_unidentified=question.with_unidentified,
    )
    return matrix.order_by(list(question.order_by))
