"""DNA rates of clinics, sites, specialties, hours and areas, as known on the day before scoring.

These carry the signal for patients without a history. They are built from one table of daily
counts (kind, key, day), in training and in serving alike, so that a request reads the days of
its own keys and not the whole history.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.config.training import ATTENDANCE_CODES
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.features.clock import Clock, Outcomes

__all__ = ["KINDS", "PRIOR_WEIGHT", "daily_counts", "rates"]

# A key with this many known outcomes weighs as much as the rate of the whole.
PRIOR_WEIGHT: Final = 50.0
_WHOLE: Final = "whole"
_WEEKDAYS: Final = 7


def _weekday_hour(rows: ir.Table) -> ir.StringValue:
    weekday = rows.starts_local.date().epoch_days() % _WEEKDAYS
    return weekday.cast("string") + "-" + rows.starts_local.hour().cast("string")


KINDS: Final[Mapping[str, Callable[[ir.Table], ir.StringValue]]] = {
    "clinic": lambda rows: rows.clinic_code,
    "site": lambda rows: rows.site_code,
    "specialty": lambda rows: rows.treatment_function_code,
    "weekday_hour": _weekday_hour,
    "area": lambda rows: rows.lsoa_code,
    "referral_source": lambda rows: rows.referral_source_code,
    _WHOLE: lambda _: ibis.literal("", "string"),
}


def daily_counts(known: ir.Table, *, clock: Clock) -> ir.Table:
    """Attendance outcomes that became known each day: `kind`, `key`, `day`, `outcome_code`, `n`.

    Which codes are a DNA is left to `rates`, so that a store of counts serves any label rule.
    Rows of the same kind, key and day may stand more than once and are added up there, so that a
    store's counts and those of a request's own past appointments can be stacked.
    """
    decided = known.filter(known.outcome_code.isin(ATTENDANCE_CODES))
    return ibis.union(*(_counted(decided, kind, clock) for kind in KINDS))


def _counted(decided: ir.Table, kind: str, clock: Clock) -> ir.Table:
    keyed = decided.select(
        kind=ibis.literal(kind, "string"),
        key=KINDS[kind](decided),
        day=clock.known_at(decided).date(),
        outcome_code=decided.outcome_code,
    )
    keyed = keyed.filter(keyed.key.notnull())
    return keyed.group_by("kind", "key", "day", "outcome_code").agg(n=keyed.count())


def rates(points: ir.Table, daily: ir.Table, *, clock: Clock, outcomes: Outcomes) -> ir.Table:
    """The shrunken DNA rate of each of a point's keys, from outcomes known before the day of scoring.

    `(dna + w * whole) / (n + w)` with `w = PRIOR_WEIGHT` and `whole` the rate of all appointments
    known by then: the posterior mean under a beta prior, so that a clinic with three appointments
    does not look certain.

    Returns
    -------
    Table of `row_number`, `rate_<kind>` for every kind (null where the point has no such key
    or nothing is known at all).
    """
    keyed = points.select(
        **{ROW_NUMBER: points[ROW_NUMBER]},
        day=clock.scored_at(points).date(),
        **{f"key_{kind}": key_of(points) for kind, key_of in KINDS.items()},
    )
    known = _known_before(keyed, daily, outcomes)
    joined = reduce(lambda table, kind: _join(table, known, kind), KINDS, keyed)
    return joined.select(ROW_NUMBER, **{f"rate_{kind}": _shrunken(joined, kind) for kind in KINDS})


def _shrunken(joined: ir.Table, kind: str) -> ir.FloatingValue:
    whole = joined[f"dna_{_WHOLE}"] / joined[f"n_{_WHOLE}"].nullif(0)
    dna = joined[f"dna_{kind}"].fill_null(0) + PRIOR_WEIGHT * whole
    rate = dna / (joined[f"n_{kind}"].fill_null(0) + PRIOR_WEIGHT)
    return ibis.ifelse(joined[f"key_{kind}"].notnull(), rate, ibis.null("float64"))


def _known_before(keyed: ir.Table, daily: ir.Table, outcomes: Outcomes) -> ir.Table:
    """Cumulative counts for each (kind, key, day of scoring) that occurs among the points."""
    asked = ibis.union(
        *(
            keyed.select(
                kind=ibis.literal(kind, "string"), key=keyed[f"key_{kind}"], day=keyed.day
            ).distinct()
            for kind in KINDS
        )
    )
    asked = asked.filter(asked.key.notnull())
    zero = ibis.literal(0, "int64")
    points = asked.mutate(n=zero, dna=zero, is_count=ibis.literal(0, "int8"))
    counts = daily.select(
        "kind",
        "key",
        "day",
        n=ibis.ifelse(outcomes.came(daily) | outcomes.missed(daily), daily.n, zero),
        dna=ibis.ifelse(outcomes.missed(daily), daily.n, zero),
        is_count=ibis.literal(1, "int8"),
    )
    stacked = points.union(counts)
    so_far = ibis.window(
        group_by=[stacked.kind, stacked.key], order_by=[stacked.day, stacked.is_count], rows=(None, 0)
    )
    summed = stacked.mutate(n_known=stacked.n.sum().over(so_far), dna_known=stacked.dna.sum().over(so_far))
    return summed.filter(summed.is_count == 0).select("kind", "key", "day", "n_known", "dna_known")


def _join(table: ir.Table, known: ir.Table, kind: str) -> ir.Table:
    of_kind = known.filter(known.kind == kind).select(
        "day", **{f"key_{kind}": known.key, f"n_{kind}": known.n_known, f"dna_{kind}": known.dna_known}
    )
    return table.left_join(of_kind, ["day", f"key_{kind}"]).drop("day_right", f"key_{kind}_right")
