"""The matrix of agreed factors: one row an appointment, as known when it is scored.

`expression` is the only implementation of every factor. Training, audit, batch and service
compile it; DuckDB runs it by default, and another SQL engine can.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import ibis.expr.types as ir

from dnapredict.data.extract import ROW_NUMBER
from dnapredict.features.bookings import AROUND, other_bookings
from dnapredict.features.clinic_bookings import AT_CLINIC, clinic_bookings
from dnapredict.features.clock import Clock, Outcomes
from dnapredict.features.factors import EXPRESSIONS, columns_read
from dnapredict.features.history import patient_history
from dnapredict.features.rates import rates

__all__ = ["LEAD_DAYS", "PAST_APPOINTMENTS", "expression"]

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
    outcomes: Outcomes,
    beside: Sequence[str] = (),
    crowded: bool = False,
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
    beside
        Contract columns to hand through.
    crowded
        Whether some patients have very many bookings (`bookings.pairs_per_booking`): the factors are the
        same, worked out in a time that does not grow with the square of the rows.

    Returns
    -------
    Table of `row_number`, `appointment_id`, `scored_at`, `LEAD_DAYS`, `PAST_APPOINTMENTS`, one
    float64 column a factor, null where not known, and `beside`. A contract column of the same name
    as a factor stands once, as the factor. Rows stand in no particular order.
    """
    read = columns_read(factors) | {"n_past_appointments"}
    always = (ROW_NUMBER, "appointment_id", "patient_id")
    own = (name for name in points.columns if name in read.union(beside).difference(always))
    wide = points.select(
        *always,
        *own,
        scored_at=clock.scored_at(points),
        lead_days=points.starts_local.date().epoch_days() - points.booked_local.date().epoch_days(),
    )
    parts = _parts(
        points, known, read, daily=daily, made=made, clock=clock, outcomes=outcomes, crowded=crowded
    )
    for place, part in enumerate(parts):
        named = part.rename({f"of_{place}": ROW_NUMBER})
        wide = wide.left_join(named, wide[ROW_NUMBER] == named[f"of_{place}"])
    return wide.select(
        ROW_NUMBER,
        "appointment_id",
        "scored_at",
        *(name for name in beside if name not in {*factors, ROW_NUMBER, "appointment_id", "scored_at"}),
        **{LEAD_DAYS: wide.lead_days, PAST_APPOINTMENTS: wide.n_past_appointments},
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
    outcomes: Outcomes,
    crowded: bool,
) -> Iterator[ir.Table]:
    """What is known beside the points' own columns, as far as it is `read`."""
    yield patient_history(points, known, clock=clock, outcomes=outcomes, wanted=read)
    if read.intersection(AROUND):
        yield other_bookings(points, known, clock=clock, crowded=crowded)
    if read.intersection(AT_CLINIC):
        yield clinic_bookings(points, known, made=made, clock=clock)
    if any(name.startswith(("rate_", "share_")) for name in read):
        yield rates(points, daily, clock=clock, outcomes=outcomes, wanted=read)
