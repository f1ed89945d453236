"""Bookings made at a clinic around this one: patients booked together, and how busy the desk was.

Whole families, recall lists and walk-in queues are booked within minutes, and keep or miss their
appointments alike. What was booked is counted by minute, in training and in serving alike, so that a
request reads the minutes of a few days of its own clinics and not the whole history.
"""

from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.data.extract import ROW_NUMBER
from dnapredict.features.clock import Clock

__all__ = ["AT_CLINIC", "MOST_TOGETHER", "clinic_bookings", "clinic_days_of", "minute_counts"]

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


def clinic_bookings(
    points: ir.Table, known: ir.Table, *, made: ir.Table | None = None, clock: Clock
) -> ir.Table:
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
