"""Other bookings around an appointment: of the same patient, and at the same clinic."""

from collections.abc import Iterator
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.contract import codes
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.scoring_clock import Clock

# What is counted around a point.
AROUND: Final = ("n_same_day", "n_within_14_days", "n_booked_same_day")
NEAR_DAYS: Final = 14
# A stretch of NEAR_DAYS to both sides of a day lies in at most two periods of this length.
_PERIOD: Final = 2 * NEAR_DAYS + 1
# With more pairs than this for each booking, running sums are quicker than pairs (benchmarks/scoring.py).
MOST_PAIRS: Final = 32
# Running sums are kept for stretches of 1, 2, 4 and 8 days: any 29 days are at most nine of them.
_LEVELS: Final = 4
_LONGEST: Final = 2 ** (_LEVELS - 1)
_BOOKED: Final = _LEVELS
_MOST_KINDS: Final = _LEVELS + 1
# Added to days, so that those before 1970 are divided as later ones are, on every engine.
_DAY_ZERO: Final = 2**20
_SAME_DAY, _NEAR, _BOOKED_SAME_DAY = range(3)
_MOST_QUESTIONS: Final = 3
_TIME: Final = dt.Timestamp(scale=6)


def other_bookings(points: ir.Table, known: ir.Table, *, clock: Clock, crowded: bool = False) -> ir.Table:
    """Other appointments of each point's patient that were booked, and not cancelled, by `scored_at`.

    Parameters
    ----------
    known
        Appointments that may be known, each once, the points themselves among them.
    crowded
        Whether to count by running sums, because some patients have very many bookings: see
        `pairs_per_booking`. The counts are the same.

    Returns
    -------
    Table of `row_number` with `n_same_day` (they start on the same local day), `n_within_14_days`
    (at most `NEAR_DAYS` days before or after, the day itself included) and `n_booked_same_day`
    (booked on the local day on which this one was). A point without any has no row, or zeros.
    """
    if crowded:
        return _counted_by_running_sums(points, known, clock)
    return _counted_by_pairs(points, known, clock)


def pairs_per_booking(known: ir.Table, *, clock: Clock) -> ir.Table:
    """How many pairs `other_bookings` would look at for each booking, on average: one row, `pairs`.

    About 2 to 5 in the extract of a trust; above `MOST_PAIRS` the caller should say `crowded`.
    """
    bookings = _bookings(known, clock)
    shared = bookings.group_by("patient_id", "key").agg(n=bookings.count().cast("float64"))
    return shared.agg(pairs=(shared.n * shared.n).sum() / shared.n.sum().nullif(0.0))


def _counted_by_pairs(points: ir.Table, known: ir.Table, clock: Clock) -> ir.Table:
    asked, bookings = _asked(points, clock), _bookings(known, clock)
    pairs = asked.join(
        bookings,
        [
            asked.patient_id == bookings.patient_id,
            asked.key == bookings.key,
            bookings.booked_at < asked.moment,
            bookings.appointment_id != asked.appointment_id,
            bookings.known_cancelled.isnull() | (bookings.known_cancelled >= asked.moment),
        ],
    ).select(
        ROW_NUMBER,
        days_apart=asked.day - bookings.day,
        starts_near=asked.key % 2 == 0,
    )
    near = pairs.starts_near & (pairs.days_apart.abs() <= NEAR_DAYS)
    return pairs.group_by(ROW_NUMBER).agg(
        n_same_day=pairs.count(where=pairs.starts_near & (pairs.days_apart == 0)),
        n_within_14_days=pairs.count(where=near),
        n_booked_same_day=pairs.count(where=~pairs.starts_near),
    )


def _period_key(day: ir.IntegerValue) -> ir.IntegerValue:
    """Even numbers are periods of starting, odd ones days of booking."""
    return 2 * (day // _PERIOD)


def _booked_key(day: ir.IntegerValue) -> ir.IntegerValue:
    return 2 * day + 1


def _asked(points: ir.Table, clock: Clock) -> ir.Table:
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
    """The same counts, in a time that grows with the rows and not with their pairs.

    A booking adds 1 to each stretch of days it lies in when it is made, and takes it away when its
    cancellation is known. A point asks for the sum so far, at its `scored_at`, of the stretches that
    its days consist of. At equal times a point stands before a booking, as `booked_at < scored_at` asks.
    """
    stacked = _questions(points, clock).union(_changes(known, clock))
    so_far = ibis.window(
        group_by=[stacked.patient_id, stacked.stretch],
        order_by=[stacked.moment, stacked.is_change],
        rows=(None, 0),
    )
    summed = stacked.mutate(so_far=stacked.change.sum().over(so_far))
    found = summed.filter(summed.is_change == 0)

    def total(question: int) -> ir.IntegerValue:
        mine = ibis.ifelse(found.question == question, found.so_far, 0)
        # The point itself is among the bookings, once it is made.
        return (mine.sum() - found.own.max()).cast("int64")

    return found.group_by(ROW_NUMBER).agg(
        n_same_day=total(_SAME_DAY),
        n_within_14_days=total(_NEAR),
        n_booked_same_day=total(_BOOKED_SAME_DAY),
    )


def _questions(points: ir.Table, clock: Clock) -> ir.Table:
    """A row for each stretch of days whose sum a point asks for."""
    p = points.filter(points.patient_id.notnull())
    day, booked = _start_day(p), _booked_day(p)
    near = (_asking(stretch, _NEAR) for stretch in _stretches(day - NEAR_DAYS, day + NEAR_DAYS + 1))
    asked = [
        _asking(_stretch(day, 0), _SAME_DAY),
        _asking(_stretch(booked, _BOOKED), _BOOKED_SAME_DAY),
        *near,
    ]
    moment = clock.scored_at(p)
    unfolded = p.select(
        **{ROW_NUMBER: p[ROW_NUMBER].cast("int64")},
        patient_id=p.patient_id,
        moment=moment.cast(_TIME),
        own=(p.booked_at < moment).cast("int64"),
        asked=ibis.array(asked).unnest(),
    )
    kept = unfolded.filter(unfolded.asked.notnull())
    return kept.select(
        ROW_NUMBER,
        "patient_id",
        "moment",
        "own",
        stretch=(kept.asked // _MOST_QUESTIONS).cast("int64"),
        question=(kept.asked % _MOST_QUESTIONS).cast("int64"),
        change=ibis.literal(0, "int64"),
        is_change=ibis.literal(0, "int8"),
    )


def _changes(known: ir.Table, clock: Clock) -> ir.Table:
    """A row for each stretch of days that a booking lies in, when it is made and when it is cancelled."""
    k = known.filter(known.patient_id.notnull())
    day = _start_day(k)
    stretches = [
        *(_stretch(day // 2**level, level) for level in range(_LEVELS)),
        _stretch(_booked_day(k), _BOOKED),
    ]
    at = clock.known_at(k)
    times = k.select(
        patient_id=k.patient_id,
        stretches=ibis.array(stretches),
        booked=k.booked_at.cast(_TIME),
        cancelled=ibis.ifelse(_is_cancelled(k), at, ibis.null(at.type())).cast(_TIME),
    )
    made = times.select(
        "patient_id", moment=times.booked, change=ibis.literal(1, "int64"), stretch=times.stretches.unnest()
    )
    gone = times.filter(times.cancelled.notnull())
    gone = gone.select(
        "patient_id", moment=gone.cancelled, change=ibis.literal(-1, "int64"), stretch=gone.stretches.unnest()
    )
    both = made.union(gone)
    nothing = ibis.null("int64")
    return both.select(
        **{ROW_NUMBER: nothing},
        patient_id=both.patient_id,
        moment=both.moment,
        own=nothing,
        stretch=both.stretch.cast("int64"),
        question=nothing,
        change=both.change,
        is_change=ibis.literal(1, "int8"),
    )


def _stretches(first: ir.IntegerValue, end: ir.IntegerValue) -> Iterator[ir.IntegerValue]:
    """The stretches that the days from `first` to before `end` consist of; null for one that is not needed.

    As in a segment tree: at each level what sticks out on either side, then the longest ones between.
    """
    none = ibis.null("int64")
    for level in range(_LEVELS - 1):
        left, right = first % 2 == 1, end % 2 == 1
        yield ibis.ifelse(left, _stretch(first, level), none)
        yield ibis.ifelse(right, _stretch(end - 1, level), none)
        first, end = (first + 1) // 2, end // 2
    for further in range((2 * NEAR_DAYS + 1) // _LONGEST):
        yield ibis.ifelse(first + further < end, _stretch(first + further, _LEVELS - 1), none)


def _stretch(number: ir.IntegerValue, kind: int) -> ir.IntegerValue:
    return (number * _MOST_KINDS + kind).cast("int64")


def _asking(stretch: ir.IntegerValue, question: int) -> ir.IntegerValue:
    return (stretch * _MOST_QUESTIONS + question).cast("int64")


def _start_day(rows: ir.Table) -> ir.IntegerValue:
    return rows.starts_local.date().epoch_days().cast("int64") + _DAY_ZERO


def _booked_day(rows: ir.Table) -> ir.IntegerValue:
    return rows.booked_local.date().epoch_days().cast("int64") + _DAY_ZERO


def _is_cancelled(rows: ir.Table) -> ir.BooleanValue:
    return rows.outcome_code.isin([codes.CANCELLED_BY_PATIENT, codes.CANCELLED_BY_PROVIDER])


# What is counted around a point.
AT_CLINIC: Final = ("n_booked_together", "n_booked_just_before")
# Beyond so many, more bookings at once say no more: a list that was moved from another system.
MOST_TOGETHER: Final = 20
_JUST_BEFORE_MINUTES: Final = 10
_SECONDS: Final = 60
# A clinic's bookings are counted for the day on which they start, and for that on which they were made. In a
# table a kind is its place in this order.
_DAYS: Final = ("starts_day", "booked_day")


def minute_counts(known: ir.Table) -> ir.Table:
    """Bookings by minute: `kind`, `clinic`, `day`, `minute` (since 1970) and `n`, for a store to keep.

    Rows of the same minute stand more than once and are added up in `clinic_bookings`. Of an
    appointment whose patient is not known a store cannot tell whether it holds it already, so that
    such bookings count nowhere: their `n` is 0. Those without a clock time have no row.
    """
    booked = _at_a_clinic(known)
    parts = (
        _counted(booked, day).select("clinic", "day", "minute", "n", kind=ibis.literal(kind, "int32"))
        for kind, day in enumerate(_DAYS)
    )
    return ibis.union(*parts).select("kind", "clinic", "day", "minute", "n")


def clinic_days_of(points: ir.Table) -> ir.Table:
    """What `clinic_bookings` will ask of the minutes for `points`, and what they add to them.

    Columns `clinic`, the days of `_DAYS`, `minute` and `appointment_id`, which is null where the booking
    counts nowhere.
    """
    asked = _at_a_clinic(points)
    own = ibis.ifelse(asked.patient_id.notnull(), asked.appointment_id, ibis.null("string"))
    return asked.select("clinic", *_DAYS, "minute", appointment_id=own)


def clinic_bookings(points: ir.Table, known: ir.Table, *, made: ir.Table | None = None, clock: Clock) -> ir.Table:
    """How many others were booked at each point's clinic around it, as known at its `scored_at`.

    Parameters
    ----------
    known
        What may be known, the points themselves included.
    made
        `minute_counts` of that; counted from `known` where not given.

    Returns
    -------
    Table of `row_number` with `n_booked_together` (for the same clinic and day, in the same minute, the one
    before or the one after; at most `MOST_TOGETHER`) and `n_booked_just_before` (at the clinic in the
    ten minutes before that minute, on the same day). A minute counts once it is over when the point
    is scored. A point without a clinic, or whose booking has no clock time, has no row.
    """
    asked = _at_a_clinic(points)
    wide = asked.select(
        ROW_NUMBER,
        "clinic",
        *_DAYS,
        "minute",
        over=clock.scored_at(asked).epoch_seconds() // _SECONDS,
        own=asked.patient_id.notnull().cast("float64"),
    )
    for kind, (day, around) in enumerate(zip(_DAYS, (_neighbours, _just_before), strict=True)):
        counts = _counted(_at_a_clinic(known), day) if made is None else made.filter(made.kind == kind)
        minutes = counts.group_by("clinic", "day", "minute").agg(n=counts.n.sum().cast("float64"))
        named = around(minutes).rename({f"{name}_{kind}": name for name in minutes.columns})
        is_mine = [
            wide.clinic == named[f"clinic_{kind}"],
            wide[day] == named[f"day_{kind}"],
            wide.minute == named[f"minute_{kind}"],
        ]
        wide = wide.left_join(named, is_mine)
    now = ibis.ifelse(wide.minute < wide.over, wide.n_0 - wide.own, 0.0)
    after = ibis.ifelse(wide.minute + 1 < wide.over, wide.after, 0.0)
    return wide.select(
        ROW_NUMBER,
        n_booked_together=ibis.least(wide.before + ibis.greatest(now, 0.0) + after, float(MOST_TOGETHER)),
        n_booked_just_before=wide.just_before,
    )


def _at_a_clinic(rows: ir.Table) -> ir.Table:
    """Rows booked at a known clinic and minute. Midnight stands for a day without a clock time."""
    local = rows.booked_local
    has_time = (local.hour() > 0) | (local.minute() > 0) | (local.second() > 0)
    found = rows.filter(rows.clinic_code.notnull(), has_time)
    return found.mutate(
        clinic=found.clinic_code,
        starts_day=found.starts_local.date(),
        booked_day=found.booked_local.date(),
        minute=found.booked_at.epoch_seconds() // _SECONDS,
    )


def _counted(booked: ir.Table, day: str) -> ir.Table:
    return booked.select("clinic", "minute", day=booked[day], n=booked.patient_id.notnull().cast("int32"))


def _neighbours(minutes: ir.Table) -> ir.Table:
    """What was booked in the minute before each and in the one after."""
    in_order = ibis.window(group_by=[minutes.clinic, minutes.day], order_by=minutes.minute)
    follows = minutes.minute.lag().over(in_order) == minutes.minute - 1
    precedes = minutes.minute.lead().over(in_order) == minutes.minute + 1
    return minutes.mutate(
        before=ibis.ifelse(follows, minutes.n.lag().over(in_order), 0.0),
        after=ibis.ifelse(precedes, minutes.n.lead().over(in_order), 0.0),
    )


def _just_before(minutes: ir.Table) -> ir.Table:
    """What was booked in the ten minutes before each."""
    ten = ibis.window(
        group_by=[minutes.clinic, minutes.day],
        order_by=minutes.minute,
        range=(ibis.preceding(_JUST_BEFORE_MINUTES), ibis.preceding(1)),
    )
    return minutes.mutate(just_before=minutes.n.sum().over(ten).fill_null(0.0))
