"""DNA rates of clinics, sites, specialties, hours, areas, providers and places, known on the day before scoring.

They carry the signal for patients without a history. Training and serving compute them from the same table of
daily counts by kind and key, so that a request reads a few days of a few keys and not the whole history.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.data.contract import codes
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.scoring_clock import Clock, LabelRule

# A key with this many known outcomes weighs as much as the rate of the whole.
PRIOR_WEIGHT: Final = 50.0
# Outcomes that are counted day by day; `rates` decides which of them are a DNA.
COUNTED: Final = tuple(code for code in codes.OUTCOME if code != codes.NOT_APPLICABLE)
WHOLE: Final = "whole"
_WEEKDAYS: Final = 7


def _weekday_hour(rows: ir.Table) -> ir.StringValue:
    weekday = rows.starts_local.date().epoch_days() % _WEEKDAYS
    return weekday.cast("string") + "-" + rows.starts_local.hour().cast("string")


# In a table a kind is its index in this order: new kinds go to the end, so that older stores keep their meaning.
KINDS: Final[Mapping[str, Callable[[ir.Table], ir.StringValue]]] = {
    "clinic": lambda rows: rows.clinic_code,
    "site": lambda rows: rows.site_code,
    "specialty": lambda rows: rows.treatment_function_code,
    "weekday_hour": _weekday_hour,
    "area": lambda rows: rows.lsoa_code,
    "referral_source": lambda rows: rows.referral_source_code,
    WHOLE: lambda _: ibis.literal("", "string"),
    "provider": lambda rows: rows.provider_code,
    "place": lambda rows: rows.place_code,
}


# Shares of all outcomes of the whole, by the codes that count.
SHARES: Final[Mapping[str, Callable[[LabelRule], tuple[str, ...]]]] = {
    "share_attended": lambda outcomes: outcomes.came_codes,
    "share_cancelled_by_patient": lambda _: (codes.CANCELLED_BY_PATIENT,),
    "share_cancelled_by_provider": lambda _: (codes.CANCELLED_BY_PROVIDER,),
}


def count_of(code: str) -> str:
    """The column of a table of daily counts that holds outcome `code`."""
    return f"n_{code}"


def daily_counts(known: ir.Table, *, clock: Clock) -> ir.Table:
    """Outcomes that became known each day: `kind`, `key`, `day` and a count for each code of `COUNTED`.

    A kind, key and day may have several rows, which `rates` adds up, so that the counts of a store and of a
    request's past appointments can be stacked.
    """
    decided = known.filter(known.outcome_code.isin(list(COUNTED)))
    unfolded = _unfolded(decided, tuple(KINDS), day=clock.known_at(decided).date(), code=decided.outcome_code)
    return unfolded.group_by("kind", "key", "day").agg(
        **{count_of(code): unfolded.count(where=unfolded.code == code) for code in COUNTED}
    )


def keys_of(points: ir.Table, *, clock: Clock, kinds: Sequence[str] = tuple(KINDS)) -> ir.Table:
    """The rows of daily counts that `rates` needs for `points`: distinct `kind`, `key` and `day` of scoring."""
    return _unfolded(points, kinds, day=clock.scored_at(points).date()).distinct()


def _unfolded(rows: ir.Table, kinds: Sequence[str], **extra_columns: ir.Value) -> ir.Table:
    """One row for each key of a row: `kind`, `key` and `extra_columns`; null keys are dropped."""
    pairs = [ibis.struct({"kind": ibis.literal(_index(kind), "int8"), "key": KINDS[kind](rows)}) for kind in kinds]
    unfolded = rows.select(pair=ibis.array(pairs).unnest(), **extra_columns)
    named = unfolded.select(
        kind=unfolded.pair["kind"], key=unfolded.pair["key"], **{name: unfolded[name] for name in extra_columns}
    )
    return named.filter(named.key.notnull())


def _index(kind: str) -> int:
    return list(KINDS).index(kind)


def rates(
    points: ir.Table,
    daily: ir.Table,
    *,
    clock: Clock,
    outcomes: LabelRule,
    wanted: Collection[str] | None = None,
    keep: Callable[[ir.Table], ir.Table] = lambda table: table,
) -> ir.Table:
    """The shrunken DNA rate of each of a point's keys, from outcomes known before the day of scoring.

    `(dna + w * whole) / (n + w)` with `w = PRIOR_WEIGHT` and `whole` the rate of all appointments
    known by then: the posterior mean under a beta prior, so that the rate of a clinic with three appointments
    stays close to the rate of the whole.

    Parameters
    ----------
    keep
        Stores a table that is read several times, for an engine that would compute it each time.

    Returns
    -------
    Table of `row_number` and the columns that are `wanted` (by default all): `rate_<kind>` for each of `KINDS`,
    null where the point has no such key or no outcome is known at all, and `SHARES`, the share of one kind of
    outcome among all outcomes.
    """
    kinds = [*(kind for kind in KINDS if kind != WHOLE and _is_wanted(f"rate_{kind}", wanted)), WHOLE]
    shares = [share for share in SHARES if _is_wanted(share, wanted)]
    known = keep(_known_before(keys_of(points, clock=clock, kinds=kinds), daily, outcomes, shares))
    joined = points.select(
        **{ROW_NUMBER: points[ROW_NUMBER]},
        day=clock.scored_at(points).date(),
        **{f"key_{kind}": KINDS[kind](points) for kind in kinds},
    )
    for kind in kinds:
        of_kind = _of_kind(known, kind, shares=shares if kind == WHOLE else ())
        is_same_key = [joined.day == of_kind[f"day_{kind}"], joined[f"key_{kind}"] == of_kind[f"of_{kind}"]]
        joined = joined.left_join(of_kind, is_same_key)
    whole = joined[f"dna_{WHOLE}"] / joined[f"n_{WHOLE}"].nullif(0)
    return joined.select(
        ROW_NUMBER,
        **{
            f"rate_{kind}": (joined[f"dna_{kind}"] + PRIOR_WEIGHT * whole) / (joined[f"n_{kind}"] + PRIOR_WEIGHT)
            for kind in kinds
        },
        **{share: joined[share] / joined.n_outcomes.nullif(0) for share in shares},
    )


def _is_wanted(name: str, wanted: Collection[str] | None) -> bool:
    return wanted is None or name in wanted


def _known_before(keys: ir.Table, daily: ir.Table, outcomes: LabelRule, shares: Sequence[str]) -> ir.Table:
    """Cumulative counts up to the day before, for each (kind, key, day) of `keys`."""
    sums = {"n": (*outcomes.came_codes, *outcomes.dna_codes), "dna": outcomes.dna_codes}
    if shares:
        sums |= {"n_outcomes": COUNTED} | {share: SHARES[share](outcomes) for share in shares}
    counts = daily.select(
        "kind",
        "key",
        "day",
        is_count=ibis.literal(1, "int8"),
        **{name: _total(daily, of) for name, of in sums.items()},
    )
    points = keys.mutate(is_count=ibis.literal(0, "int8"), **dict.fromkeys(sums, ibis.literal(0.0)))
    stacked = points.union(counts)
    so_far = ibis.window(group_by=[stacked.kind, stacked.key], order_by=[stacked.day, stacked.is_count], rows=(None, 0))
    # New names, and no dropping: so Ibis keeps this as one table that each kind reads.
    summed = stacked.mutate(**{f"{name}_so_far": stacked[name].sum().over(so_far) for name in sums})
    at_points = summed.filter(summed.is_count == 0)
    return at_points.select("kind", "key", "day", **{name: at_points[f"{name}_so_far"] for name in sums})


def _total(daily: ir.Table, of: tuple[str, ...]) -> ir.FloatingValue:
    """The sum of counts as a float: engines sum integers into wider types that differ, and more slowly."""
    total = ibis.literal(0, "int64")
    for code in of:
        total = total + daily[count_of(code)]
    return total.cast("float64")


def _of_kind(known: ir.Table, kind: str, *, shares: Sequence[str]) -> ir.Table:
    """The rows of one kind, with the kind in the column names, so that all kinds can be joined to one table."""
    of_kind = known.filter(known.kind == _index(kind))
    return of_kind.select(
        *(("n_outcomes", *shares) if shares else ()),
        **{
            f"day_{kind}": of_kind.day,
            f"of_{kind}": of_kind.key,
            f"n_{kind}": of_kind.n,
            f"dna_{kind}": of_kind.dna,
        },
    )
