"""Other appointments of the same patient around this one, booked before it is scored.

Pairs are found by keys that few bookings share (patient and four weeks, patient and day of booking),
so that even an identifier that stands for thousands of patients costs little.
"""

from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.data import codes
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.features.clock import Clock

__all__ = ["AROUND", "NEAR_DAYS", "other_bookings"]

# What is counted around a point.
AROUND: Final = ("n_same_day", "n_within_14_days", "n_booked_same_day")
NEAR_DAYS: Final = 14
# A stretch of NEAR_DAYS to both sides of a day lies in at most two periods of this length.
_PERIOD: Final = 2 * NEAR_DAYS + 1


def other_bookings(points: ir.Table, known: ir.Table, *, clock: Clock) -> ir.Table:
    """Other appointments of each point's patient that were booked, and not cancelled, by `scored_at`.

    Returns
    -------
    Table of `row_number` with `n_same_day` (they start on the same local day), `n_within_14_days`
    (at most `NEAR_DAYS` days before or after, the day itself included) and `n_booked_same_day`
    (booked on the local day on which this one was). A point without any has no row.
    """
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
    cancelled = k.outcome_code.isin([codes.CANCELLED_BY_PATIENT, codes.CANCELLED_BY_PROVIDER])
    at = clock.known_at(k)
    return k.select(
        patient_id=k.patient_id,
        appointment_id=k.appointment_id,
        booked_at=k.booked_at,
        known_cancelled=ibis.ifelse(cancelled, at, ibis.null(at.type())),
        day=day,
        key=ibis.array([_period_key(day), _booked_key(booked)]).unnest(),
    )
