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
# A clinic's bookings for the day on which they start, and those made on a day.
_FOR_THE_DAY: Final = 0
_ON_THE_DAY: Final = 1


def minute_counts(known: ir.Table) -> ir.Table:
    """Bookings by minute: `kind`, `clinic`, `day`, `minute` (since 1970) and how many, `n`.

    Rows of the same minute stand more than once and are added up in `clinic_bookings`. Of an
    appointment whose patient is not known a store cannot tell whether it holds it already, so that
    such bookings are counted nowhere; nor are those without a clock time.
    """
    booked = _at_a_clinic(known.filter(known.patient_id.notnull()))
    return _unfolded(booked, n=ibis.literal(1, "int32"))


def clinic_days_of(points: ir.Table) -> ir.Table:
    """What `clinic_bookings` will ask of the counts for `points`, and what they add to them.

    Columns `kind`, `clinic`, `day`, `minute` and `appointment_id`, which is null where the booking is
    counted nowhere.
    """
    asked = _at_a_clinic(points)
    own = ibis.ifelse(asked.patient_id.notnull(), asked.appointment_id, ibis.null("string"))
    return _unfolded(asked, appointment_id=own)


def clinic_bookings(points: ir.Table, made: ir.Table, *, clock: Clock) -> ir.Table:
    """How many others were booked at each point's clinic around it, as known at its `scored_at`.

    Parameters
    ----------
    made
        `minute_counts` of what may be known, the points themselves included.

    Returns
    -------
    Table of `row_number` with `n_booked_together` (for the same clinic and day, in the same minute, the one
    before or the one after; at most `MOST_TOGETHER`) and `n_booked_just_before` (at the clinic in the
    ten minutes before that minute, on the same day). A minute counts once it is over when the point
    is scored. A point without a clinic, or whose booking has no clock time, has no row.
    """
    asked = _at_a_clinic(points)
    near = _around(_unfolded(asked, n=ibis.literal(0, "int32")).union(made))
    joined = asked.select(
        ROW_NUMBER,
        "clinic",
        "starts_day",
        "booked_day",
        "minute",
        over=clock.scored_at(asked).epoch_seconds() // _SECONDS,
        own=asked.patient_id.notnull().cast("float64"),
    )
    for kind, day, columns in (
        (_FOR_THE_DAY, "starts_day", ("before", "now", "after")),
        (_ON_THE_DAY, "booked_day", ("just_before",)),
    ):
        of_kind = near.filter(near.kind == kind).select(
            *columns,
            **{f"clinic_{kind}": near.clinic, f"day_{kind}": near.day, f"minute_{kind}": near.minute},
        )
        is_mine = [
            joined.clinic == of_kind[f"clinic_{kind}"],
            joined[day] == of_kind[f"day_{kind}"],
            joined.minute == of_kind[f"minute_{kind}"],
        ]
        joined = joined.left_join(of_kind, is_mine)
    now = ibis.ifelse(joined.minute < joined.over, joined.now - joined.own, 0.0)
    after = ibis.ifelse(joined.minute + 1 < joined.over, joined.after, 0.0)
    return joined.select(
        ROW_NUMBER,
        n_booked_together=ibis.least(joined.before + ibis.greatest(now, 0.0) + after, float(MOST_TOGETHER)),
        n_booked_just_before=joined.just_before,
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


def _unfolded(rows: ir.Table, **beside: ir.Value) -> ir.Table:
    """A row for the day on which a booking starts, and one for the day on which it was made."""

    def of_kind(kind: int, day: str) -> ir.Table:
        return rows.select("clinic", "minute", kind=ibis.literal(kind, "int32"), day=rows[day], **beside)

    both = of_kind(_FOR_THE_DAY, "starts_day").union(of_kind(_ON_THE_DAY, "booked_day"))
    return both.select("kind", "clinic", "day", "minute", *beside)


def _around(counts: ir.Table) -> ir.Table:
    """For each minute that is counted or asked about, what was booked in it and in the minutes around it."""
    minutes = counts.group_by("kind", "clinic", "day", "minute").agg(now=counts.n.sum().cast("float64"))
    of_a_day = {"group_by": [minutes.kind, minutes.clinic, minutes.day], "order_by": minutes.minute}
    in_order = ibis.window(**of_a_day)
    ten = ibis.window(**of_a_day, range=(ibis.preceding(_JUST_BEFORE_MINUTES), ibis.preceding(1)))
    follows = minutes.minute.lag().over(in_order) == minutes.minute - 1
    precedes = minutes.minute.lead().over(in_order) == minutes.minute + 1
    return minutes.mutate(
        just_before=minutes.now.sum().over(ten).fill_null(0.0),
        before=ibis.ifelse(follows, minutes.now.lag().over(in_order), 0.0),
        after=ibis.ifelse(precedes, minutes.now.lead().over(in_order), 0.0),
    )
