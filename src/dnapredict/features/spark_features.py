"""The factors on Apache Spark: the same expression, for tables that no single machine holds."""

from collections.abc import Sequence

import ibis.expr.types as ir

from dnapredict.data.engine.spark_engine import SparkEngine
from dnapredict.features.booking_context import MOST_PAIRS, minute_counts, pairs_per_booking
from dnapredict.features.history import REMEMBERED
from dnapredict.features.matrix import Past, expression
from dnapredict.features.rates import COUNTED, daily_counts
from dnapredict.features.scoring_clock import Clock, LabelRule


def spark_past(points: ir.Table, engine: SparkEngine, *, clock: Clock, history: ir.Table | None = None) -> Past:
    """What may be known when `points` are scored: themselves, and the rows of `history` if it is given.

    An appointment that is in both counts as `features.store.HistoryStore.past` counts it: its row is the point's, its
    outcome and the minute of its booking are those of the history, if the history has them.
    """
    if history is None:
        return _past(points, daily=daily_counts(points, clock=clock), made=None, clock=clock, engine=engine)
    others = history.anti_join(points, "appointment_id").select(*REMEMBERED)
    known = points.select(*(points[name].cast(others[name].type()) for name in REMEMBERED)).union(others)
    decided = history.filter(history.outcome_code.isin(list(COUNTED)))
    fresh = points.filter(points.outcome_code.isin(list(COUNTED)), points.patient_id.notnull())
    fresh = fresh.anti_join(decided, "appointment_id")
    daily = daily_counts(history, clock=clock).union(daily_counts(fresh, clock=clock))
    made = minute_counts(history).union(minute_counts(points.anti_join(history, "appointment_id")))
    return _past(engine.keep(known), daily=daily, made=engine.keep(made), clock=clock, engine=engine)


def _past(known: ir.Table, *, daily: ir.Table, made: ir.Table | None, clock: Clock, engine: SparkEngine) -> Past:
    pairs = engine.fetch(pairs_per_booking(known, clock=clock))["pairs"][0].as_py() or 0.0
    # Kept, since the rate of each kind reads the counts again.
    return Past(known, engine.keep(daily), made, crowded=pairs > MOST_PAIRS)


def spark_factors(
    points: ir.Table,
    past: Past,
    engine: SparkEngine,
    *,
    factors: Sequence[str],
    clock: Clock,
    outcomes: LabelRule,
    extra_columns: Sequence[str] = (),
) -> ir.Table:
    """The factors of `points`, one row each in no order, as an expression that Spark runs.

    Column for column it is what `features.matrix.build` gives: whole numbers are equal, others to 1e-12.
    """
    return expression(
        points,
        past.rows,
        daily=past.daily,
        made=past.made,
        factors=factors,
        clock=clock,
        outcomes=outcomes,
        extra_columns=extra_columns,
        crowded=past.crowded,
        # Spark would count outcomes again for each kind of rate.
        keep=engine.keep,
    )
