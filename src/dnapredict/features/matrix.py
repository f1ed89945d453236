"""The matrix of agreed factors: one row an appointment, as known when it is scored.

`expression` is the only implementation of every factor. Training, audit, batch and service
compile it; DuckDB runs it by default, and another SQL engine can.
"""

from collections.abc import Sequence
from typing import Final

import ibis.expr.types as ir

from dnapredict.data.extract import ROW_NUMBER
from dnapredict.features.clock import Clock, Outcomes
from dnapredict.features.factors import EXPRESSIONS
from dnapredict.features.history import other_bookings, patient_history
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
    factors: Sequence[str],
    clock: Clock,
    outcomes: Outcomes,
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
    factors
        Names of agreed factors, in the order of the matrix.

    Returns
    -------
    Table of `row_number`, `appointment_id`, `scored_at`, `LEAD_DAYS`, `PAST_APPOINTMENTS` and one
    float64 column a factor, null where not known. Rows stand in no particular order.
    """
    timed = points.mutate(
        scored_at=clock.scored_at(points),
        lead_days=points.starts_local.date().epoch_days() - points.booked_local.date().epoch_days(),
    )
    parts = (
        patient_history(points, known, clock=clock, outcomes=outcomes),
        other_bookings(points, known, clock=clock),
        rates(points, daily, clock=clock, outcomes=outcomes),
    )
    wide = timed
    for part in parts:
        wide = wide.left_join(part, ROW_NUMBER).drop(f"{ROW_NUMBER}_right")
    return wide.select(
        ROW_NUMBER,
        "appointment_id",
        "scored_at",
        **{LEAD_DAYS: wide.lead_days, PAST_APPOINTMENTS: wide.n_past_appointments},
        **{name: EXPRESSIONS[name](wide).cast("float64") for name in factors},
    )
