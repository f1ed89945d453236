"""Other bookings around an appointment: of the same patient, and at the same clinic.

A booking is counted only if it was made before the appointment is scored. `booked_together` and `booked_just_before`
need a clinic and a clock time of booking, and no patient.
"""

from collections.abc import Iterator
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.contract import codes
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.scoring_clock import Clock

# The columns of `other_bookings`.
AROUND: Final = ("n_same_day", "n_within_14_days", "n_booked_same_day")
NEAR_DAYS: Final = 14
# The NEAR_DAYS before and after a day are in at most two periods of this length.
_PERIOD: Final = 2 * NEAR_DAYS + 1
# With more pairs than this for each booking, running sums are faster than pairs (benchmarks/scoring.py).
MOST_PAIRS: Final = 32
# Running sums are kept for ranges of 1, 2, 4 and 8 days: any 29 days are the union of at most nine of them.
_LEVELS: Final = 4
_LONGEST: Final = 2 ** (_LEVELS - 1)
_BOOKED: Final = _LEVELS
_MOST_KINDS: Final = _LEVELS + 1
# Added to days, so that those before 1970 are divided as later ones are, on every engine.
_DAY_ZERO: Final = 2**20
_SAME_DAY, _NEAR, _BOOKED_SAME_DAY = range(3)
_MEASURES: Final = 3
_TIME: Final = dt.Timestamp(scale=6)


def other_bookings(points: ir.Table, known: ir.Table, *, clock: Clock, crowded: bool = False) -> ir.Table:
    """Other appointments of each point's patient that were booked, and not cancelled, by `scored_at`.

    Parameters
    ----------
    known
        Appointments that may be known, each once, including the points.
    crowded
        Whether to count by running sums instead of pairs, for patients with very many bookings: see
        `pairs_per_booking`. The counts are the same.

    Returns
    -------
    Table of `row_number` with `n_same_day` (they start on the same local day), `n_within_14_days`
    (they start at most `NEAR_DAYS` days before or after, including the day itself) and `n_booked_same_day`
    (they were booked on the same local day). A point without any has no row, or zeros.
    """
    if crowded:
        return _counted_by_running_sums(points, known, clock)
    return _counted_by_pairs(points, known, clock)


def pairs_per_booking(known: ir.Table, *, clock: Clock) -> ir.Table:
    """The mean number of pairs per booking that `other_bookings` would compare: one row, `pairs`.

    About 2 to 5 in the extract of a trust; above `MOST_PAIRS`, use `crowded`.
    """
    bookings = _bookings(known, clock)
    shared = bookings.group_by("patient_id", "key").agg(n=bookings.count().cast("float64"))
    return shared.agg(pairs=(shared.n * shared.n).sum() / shared.n.sum().nullif(0.0))


def _counted_by_pairs(points: ir.Table, known: ir.Table, clock: Clock) -> ir.Table:
    at_points, bookings = _keys_of_points(points, clock), _bookings(known, clock)
    pairs = at_points.join(
        bookings,
        [
            at_points.patient_id == bookings.patient_id,
            at_points.key == bookings.key,
            bookings.booked_at < at_points.moment,
            bookings.appointment_id != at_points.appointment_id,
            bookings.known_cancelled.isnull() | (bookings.known_cancelled >= at_points.moment),
        ],
    ).select(
        ROW_NUMBER,
        days_apart=at_points.day - bookings.day,
        starts_near=at_points.key % 2 == 0,
    )
    near = pairs.starts_near & (pairs.days_apart.abs() <= NEAR_DAYS)
    return pairs.group_by(ROW_NUMBER).agg(
        n_same_day=pairs.count(where=pairs.starts_near & (pairs.days_apart == 0)),
        n_within_14_days=pairs.count(where=near),
        n_booked_same_day=pairs.count(where=~pairs.starts_near),
    )


def _period_key(day: ir.IntegerValue) -> ir.IntegerValue:
    """Even keys are periods in which appointments start, odd keys days on which they were booked."""
    return 2 * (day // _PERIOD)


def _booked_key(day: ir.IntegerValue) -> ir.IntegerValue:
    return 2 * day + 1


def _keys_of_points(points: ir.Table, clock: Clock) -> ir.Table:
    p = points.filter(points.patient_id.notnull())
    day = p.starts_local.date().epoch_days().cast("int64")
    earliest, latest = _period_key(day - NEAR_DAYS), _period_key(day + NEAR_DAYS)
    keys = [
        earliest,
        ibis.ifelse(latest == earliest, ibis.null("int64"), latest),
        _booked_key(p.booked_local.date().epoch_days().cast("int64")),
    ]
    unfolded = p.select(
        ROW_NUMBER,
        patient_id=p.patient_id,
        appointment_id=p.appointment_id,
        moment=clock.scored_at(p),
        day=day,
        key=ibis.array(keys).unnest(),
    )
    return unfolded.filter(unfolded.key.notnull())


def _bookings(known: ir.Table, clock: Clock) -> ir.Table:
    k = known.filter(known.patient_id.notnull())
    day = k.starts_local.date().epoch_days().cast("int64")
    booked = k.booked_local.date().epoch_days().cast("int64")
    at = clock.known_at(k)
    return k.select(
        patient_id=k.patient_id,
        appointment_id=k.appointment_id,
        booked_at=k.booked_at,
        known_cancelled=ibis.ifelse(_is_cancelled(k), at, ibis.null(at.type())),
        day=day,
        key=ibis.array([_period_key(day), _booked_key(booked)]).unnest(),
    )


def _counted_by_running_sums(points: ir.Table, known: ir.Table, clock: Clock) -> ir.Table:
    """The same counts in a time that is linear in the rows, and not in their pairs.

    A booking adds 1 to each range of days that contains it when it is made, and subtracts it when its
    cancellation is known. A point reads the running sums, at its `scored_at`, of the ranges that make up
    its days. At equal times points are sorted before bookings, since `booked_at < scored_at` must hold.
    """
    stacked = _range_lookups(points, clock).union(_range_changes(known, clock))
    so_far = ibis.window(
        group_by=[stacked.patient_id, stacked.day_range],
        order_by=[stacked.moment, stacked.is_change],
        rows=(None, 0),
    )
    summed = stacked.mutate(so_far=stacked.change.sum().over(so_far))
    at_points = summed.filter(summed.is_change == 0)

    def total(measure: int) -> ir.IntegerValue:
        of_measure = ibis.ifelse(at_points.measure == measure, at_points.so_far, 0)
        # The point is itself one of the bookings, unless it is scored at the moment when it is booked.
        return (of_measure.sum() - at_points.own.max()).cast("int64")

    return at_points.group_by(ROW_NUMBER).agg(
        n_same_day=total(_SAME_DAY),
        n_within_14_days=total(_NEAR),
        n_booked_same_day=total(_BOOKED_SAME_DAY),
    )


def _range_lookups(points: ir.Table, clock: Clock) -> ir.Table:
    """One row for each range of days whose sum a point needs."""
    p = points.filter(points.patient_id.notnull())
    day, booked = _start_day(p), _booked_day(p)
    near = (_lookup(range_, _NEAR) for range_ in _cover(day - NEAR_DAYS, day + NEAR_DAYS + 1))
    lookups = [
        _lookup(_range(day, 0), _SAME_DAY),
        _lookup(_range(booked, _BOOKED), _BOOKED_SAME_DAY),
        *near,
    ]
    moment = clock.scored_at(p)
    unfolded = p.select(
        **{ROW_NUMBER: p[ROW_NUMBER].cast("int64")},
        patient_id=p.patient_id,
        moment=moment.cast(_TIME),
        own=(p.booked_at < moment).cast("int64"),
        lookup=ibis.array(lookups).unnest(),
    )
    kept = unfolded.filter(unfolded.lookup.notnull())
    return kept.select(
        ROW_NUMBER,
        "patient_id",
        "moment",
        "own",
        day_range=(kept.lookup // _MEASURES).cast("int64"),
        measure=(kept.lookup % _MEASURES).cast("int64"),
        change=ibis.literal(0, "int64"),
        is_change=ibis.literal(0, "int8"),
    )


def _range_changes(known: ir.Table, clock: Clock) -> ir.Table:
    """One row for each range of days that contains a booking, when it is made and when its cancellation is known."""
    k = known.filter(known.patient_id.notnull())
    day = _start_day(k)
    ranges = [
        *(_range(day // 2**level, level) for level in range(_LEVELS)),
        _range(_booked_day(k), _BOOKED),
    ]
    at = clock.known_at(k)
    times = k.select(
        patient_id=k.patient_id,
        day_ranges=ibis.array(ranges),
        booked=k.booked_at.cast(_TIME),
        cancelled=ibis.ifelse(_is_cancelled(k), at, ibis.null(at.type())).cast(_TIME),
    )
    made = times.select(
        "patient_id", moment=times.booked, change=ibis.literal(1, "int64"), day_range=times.day_ranges.unnest()
    )
    gone = times.filter(times.cancelled.notnull())
    gone = gone.select(
        "patient_id", moment=gone.cancelled, change=ibis.literal(-1, "int64"), day_range=gone.day_ranges.unnest()
    )
    both = made.union(gone)
    nothing = ibis.null("int64")
    return both.select(
        **{ROW_NUMBER: nothing},
        patient_id=both.patient_id,
        moment=both.moment,
        own=nothing,
        day_range=both.day_range.cast("int64"),
        measure=nothing,
        change=both.change,
        is_change=ibis.literal(1, "int8"),
    )


def _cover(first: ir.IntegerValue, end: ir.IntegerValue) -> Iterator[ir.IntegerValue]:
    """Disjoint ranges whose union is the days from `first` up to, not including, `end`; null for one not needed.

    As in a segment tree: at each level a range at either end where it is needed, then the longest ranges between.
    """
    none = ibis.null("int64")
    for level in range(_LEVELS - 1):
        left, right = first % 2 == 1, end % 2 == 1
        yield ibis.ifelse(left, _range(first, level), none)
        yield ibis.ifelse(right, _range(end - 1, level), none)
        first, end = (first + 1) // 2, end // 2
    for further in range((2 * NEAR_DAYS + 1) // _LONGEST):
        yield ibis.ifelse(first + further < end, _range(first + further, _LEVELS - 1), none)


def _range(number: ir.IntegerValue, kind: int) -> ir.IntegerValue:
    return (number * _MOST_KINDS + kind).cast("int64")


def _lookup(day_range: ir.IntegerValue, measure: int) -> ir.IntegerValue:
    return (day_range * _MEASURES + measure).cast("int64")


def _start_day(rows: ir.Table) -> ir.IntegerValue:
    return rows.starts_local.date().epoch_days().cast("int64") + _DAY_ZERO


def _booked_day(rows: ir.Table) -> ir.IntegerValue:
    return rows.booked_local.date().epoch_days().cast("int64") + _DAY_ZERO


def _is_cancelled(rows: ir.Table) -> ir.BooleanValue:
    return rows.outcome_code.isin([codes.CANCELLED_BY_PATIENT, codes.CANCELLED_BY_PROVIDER])


# The columns of `clinic_bookings`.
AT_CLINIC: Final = ("n_booked_together", "n_booked_just_before")
# Larger counts carry no more information: a list that was moved from another system.
MOST_TOGETHER: Final = 20
_JUST_BEFORE_MINUTES: Final = 10
_SECONDS: Final = 60
# A clinic's bookings are counted by the day on which they start, and by the day on which they were made. In a
# table a kind is its index in this order.
_DAYS: Final = ("starts_day", "booked_day")


def minute_counts(known: ir.Table) -> ir.Table:
    """Bookings by minute: `kind`, `clinic`, `day`, `minute` (since 1970) and `n`, for a store to keep.

    A minute may have several rows, which `clinic_bookings` adds up. A booking without a clock time has no row.
    """
    booked = _at_a_clinic(known)
    parts = (
        _counted(booked, day).select("clinic", "day", "minute", "n", kind=ibis.literal(kind, "int32"))
        for kind, day in enumerate(_DAYS)
    )
    return ibis.union(*parts).select("kind", "clinic", "day", "minute", "n")


def clinic_days_of(points: ir.Table) -> ir.Table:
    """The clinics and days whose minutes `clinic_bookings` needs for `points`, and the bookings of the points.

    Columns `clinic`, the days of `_DAYS`, `minute`, `appointment_id`, and `has_patient`: whether the patient is known.
    """
    booked = _at_a_clinic(points)
    return booked.select("clinic", *_DAYS, "minute", "appointment_id", has_patient=booked.patient_id.notnull())


def clinic_bookings(
    points: ir.Table,
    known: ir.Table,
    *,
    made: ir.Table | None = None,
    with_unidentified: bool = True,
    clock: Clock,
) -> ir.Table:
    """How many others were booked at each point's clinic around it, as known at its `scored_at`.

    Parameters
    ----------
    known
        Appointments that may be known, including the points.
    made
        `minute_counts` of `known`; computed here where not given.
    with_unidentified
        Whether `made` counts bookings whose patient is not known. It does not in stores of an earlier version.

    Returns
    -------
    Table of `row_number` with `n_booked_together` (for the same clinic and day, in the same minute, the one
    before or the one after; at most `MOST_TOGETHER`) and `n_booked_just_before` (at the clinic in the
    ten minutes before that minute, on the same day). A minute counts once it is over when the point
    is scored. A point without a clinic, or whose booking has no clock time, has no row.
    """
    booked = _at_a_clinic(points)
    wide = booked.select(
        ROW_NUMBER,
        "clinic",
        *_DAYS,
        "minute",
        over=clock.scored_at(booked).epoch_seconds() // _SECONDS,
        own=ibis.literal(1.0) if with_unidentified else booked.patient_id.notnull().cast("float64"),
    )
    for kind, (day, around) in enumerate(zip(_DAYS, (_neighbours, _just_before), strict=True)):
        counts = _counted(_at_a_clinic(known), day) if made is None else made.filter(made.kind == kind)
        minutes = counts.group_by("clinic", "day", "minute").agg(n=counts.n.sum().cast("float64"))
        named = around(minutes).rename({f"{name}_{kind}": name for name in minutes.columns})
        is_same_minute = [
            wide.clinic == named[f"clinic_{kind}"],
            wide[day] == named[f"day_{kind}"],
            wide.minute == named[f"minute_{kind}"],
        ]
        wide = wide.left_join(named, is_same_minute)
    now = ibis.ifelse(wide.minute < wide.over, wide.n_0 - wide.own, 0.0)
    after = ibis.ifelse(wide.minute + 1 < wide.over, wide.after, 0.0)
    return wide.select(
        ROW_NUMBER,
        n_booked_together=ibis.least(wide.before + ibis.greatest(now, 0.0) + after, float(MOST_TOGETHER)),
        n_booked_just_before=wide.just_before,
    )


def _at_a_clinic(rows: ir.Table) -> ir.Table:
    """Rows booked at a known clinic and minute. Midnight means that only the day is known."""
    local = rows.booked_local
    has_time = (local.hour() > 0) | (local.minute() > 0) | (local.second() > 0)
    booked = rows.filter(rows.clinic_code.notnull(), has_time)
    return booked.mutate(
        clinic=booked.clinic_code,
        starts_day=booked.starts_local.date(),
        booked_day=booked.booked_local.date(),
        minute=booked.booked_at.epoch_seconds() // _SECONDS,
    )


def _counted(booked: ir.Table, day: str) -> ir.Table:
    return booked.select("clinic", "minute", day=booked[day], n=ibis.literal(1, "int32"))


def _neighbours(minutes: ir.Table) -> ir.Table:
    """Add the bookings of the minute before each minute, and of the minute after it."""
    in_order = ibis.window(group_by=[minutes.clinic, minutes.day], order_by=minutes.minute)
    follows = minutes.minute.lag().over(in_order) == minutes.minute - 1
    precedes = minutes.minute.lead().over(in_order) == minutes.minute + 1
    return minutes.mutate(
        before=ibis.ifelse(follows, minutes.n.lag().over(in_order), 0.0),
        after=ibis.ifelse(precedes, minutes.n.lead().over(in_order), 0.0),
    )


def _just_before(minutes: ir.Table) -> ir.Table:
    """Add the bookings of the ten minutes before each minute."""
    ten = ibis.window(
        group_by=[minutes.clinic, minutes.day],
        order_by=minutes.minute,
        range=(ibis.preceding(_JUST_BEFORE_MINUTES), ibis.preceding(1)),
    )
    return minutes.mutate(just_before=minutes.n.sum().over(ten).fill_null(0.0))
