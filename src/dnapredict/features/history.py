"""What is known of a patient's past appointments at the moment an appointment is scored.

One Ibis expression: scoring points and past events are stacked, ordered by the time at which each
became known, and one window for each patient runs over both (`ROWS UNBOUNDED PRECEDING` only, so
that every SQL engine runs it). At equal times a scoring point stands before an event, which makes
the cut-off strict: an outcome recorded at `scored_at` is not known at `scored_at`.
"""

from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.data import codes
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.features.clock import Clock, Outcomes

__all__ = ["other_bookings", "patient_history"]

_POINT: Final = 0
_EVENT: Final = 1
_SECONDS_PER_DAY: Final = 86_400


def patient_history(points: ir.Table, known: ir.Table, *, clock: Clock, outcomes: Outcomes) -> ir.Table:
    """Attendance history of each point's patient as known at its `scored_at`.

    Parameters
    ----------
    points
        Appointments to score: contract rows.
    known
        Appointments that may be known, outcome or not; may hold the points themselves.

    Returns
    -------
    Table of `row_number` and what is known, one row a point whose patient is known. Counts
    are whole numbers, times are days before `scored_at`.
    """
    events = _events(known, clock, outcomes)
    asked = _points(points, clock)
    whole = _in_all(asked, events)
    in_specialty = _within(asked, events, key="specialty")
    in_site = _within(asked, events, key="site")
    return (
        whole.left_join(in_specialty, ROW_NUMBER)
        .drop(f"{ROW_NUMBER}_right")
        .left_join(in_site, ROW_NUMBER)
        .drop(f"{ROW_NUMBER}_right")
    )


def _points(points: ir.Table, clock: Clock) -> ir.Table:
    identified = points.filter(points.patient_id.notnull())
    return identified.select(
        ROW_NUMBER,
        patient_id=identified.patient_id,
        specialty=identified.treatment_function_code,
        site=identified.site_code,
        at=clock.scored_at(identified),
    )


def _events(known: ir.Table, clock: Clock, outcomes: Outcomes) -> ir.Table:
    past = known.filter(
        known.patient_id.notnull(), known.outcome_code.notnull(), known.outcome_code != codes.NOT_APPLICABLE
    )
    dna, came = outcomes.missed(past), outcomes.came(past)
    return past.select(
        appointment_id=past.appointment_id,
        patient_id=past.patient_id,
        specialty=past.treatment_function_code,
        site=past.site_code,
        at=clock.known_at(past),
        happened=past.starts_at,
        dna=dna.cast("int8"),
        came=came.cast("int8"),
        cancelled_by_patient=(past.outcome_code == codes.CANCELLED_BY_PATIENT).cast("int8"),
        cancelled_by_provider=(past.outcome_code == codes.CANCELLED_BY_PROVIDER).cast("int8"),
    )


def _stacked(asked: ir.Table, events: ir.Table) -> ir.Table:
    """Points under events, each with the columns of both; what a point has no value for is zero or null."""
    columns = {name: kind for name, kind in events.schema().items() if name not in asked.columns}
    empty = {
        name: ibis.literal(0, kind) if kind.is_integer() else ibis.null(kind)
        for name, kind in columns.items()
    }
    points = asked.mutate(kind=ibis.literal(_POINT, "int8"), **empty)
    past = events.mutate(kind=ibis.literal(_EVENT, "int8"), **{ROW_NUMBER: ibis.null("int64")}).select(
        points.columns
    )
    return points.union(past)


def _so_far(stacked: ir.Table, *keys: str) -> ibis.expr.builders.WindowBuilder:
    """From the first row of a patient up to this one. Ties need no order: at equal times every point
    stands before every event, and a point adds nothing.
    """
    return ibis.window(
        group_by=[stacked[key] for key in keys], order_by=[stacked["at"], stacked["kind"]], rows=(None, 0)
    )


def _within(asked: ir.Table, events: ir.Table, *, key: str) -> ir.Table:
    """Appointments and DNAs of the patient within the point's own specialty or site."""
    decided = events.filter((events.dna + events.came) > 0)
    narrow = decided.select("patient_id", key, "at", "dna", n=ibis.literal(1, "int8"))
    stacked = _stacked(asked.filter(asked[key].notnull()).select(ROW_NUMBER, "patient_id", key, "at"), narrow)
    so_far = _so_far(stacked, "patient_id", key)
    counted = stacked.mutate(n_dna=stacked.dna.sum().over(so_far), n_all=stacked.n.sum().over(so_far))
    at_points = counted.filter(counted.kind == _POINT)
    return at_points.select(
        ROW_NUMBER,
        **{f"n_past_dna_{key}": at_points.n_dna, f"n_past_appointments_{key}": at_points.n_all},
    )


def _with_last_three(events: ir.Table) -> ir.Table:
    """Mark each attendance or DNA with a number that grows and holds its last three outcomes.

    `place * 8 + last * 4 + one before * 2 + two before`: its running maximum is the latest, so
    that no engine needs LAST_VALUE to skip rows (Ibis 12 does not ask DuckDB to).
    """
    decided = (events.dna + events.came) > 0
    in_order = ibis.window(
        group_by=[events.patient_id, decided],
        order_by=[events["at"], events.happened, events.appointment_id],
    )
    place = ibis.row_number().over(in_order) + 1
    before = [events.dna.lag(back).over(in_order).fill_null(0) for back in (1, 2)]
    trail = place * 8 + events.dna * 4 + before[0] * 2 + before[1]
    return events.mutate(trail=ibis.ifelse(decided, trail, ibis.literal(0, "int64")).cast("int64"))


def _in_all(asked: ir.Table, events: ir.Table) -> ir.Table:
    marked = _with_last_three(events).drop("appointment_id", "specialty", "site")
    s = _stacked(asked.select(ROW_NUMBER, "patient_id", "at"), marked)
    patient = _so_far(s, "patient_id")
    nothing = ibis.null(s.happened.type())
    w = s.mutate(
        n_all=s.kind.sum().over(patient),
        n_dna=s.dna.sum().over(patient),
        n_came=s.came.sum().over(patient),
        n_by_patient=s.cancelled_by_patient.sum().over(patient),
        n_by_provider=s.cancelled_by_provider.sum().over(patient),
        last_dna=ibis.ifelse(s.dna == 1, s.happened, nothing).max().over(patient),
        last_came=ibis.ifelse(s.came == 1, s.happened, nothing).max().over(patient),
        last=s.happened.max().over(patient),
        first=s.happened.min().over(patient),
        trail_so_far=s.trail.max().over(patient),
    )
    return _factors(w.filter(w.kind == _POINT))


def _factors(p: ir.Table) -> ir.Table:
    gaps = (p.n_all - 1).nullif(0)
    trail = p.trail_so_far.nullif(0)
    return p.select(
        ROW_NUMBER,
        n_past_appointments=p.n_dna + p.n_came,
        n_past_dna=p.n_dna,
        n_past_attended=p.n_came,
        n_past_cancelled_by_patient=p.n_by_patient,
        n_past_cancelled_by_provider=p.n_by_provider,
        days_since_last_dna=days_between(p.last_dna, p["at"]),
        days_since_last_attendance=days_between(p.last_came, p["at"]),
        days_since_last_contact=days_between(p["last"], p["at"]),
        mean_gap_days=days_between(p["first"], p["last"]) / gaps,
        last_outcome_dna=_bit(trail, 2),
        last_three_dna=_bit(trail, 2) + _bit(trail, 1) + _bit(trail, 0),
    )


def _bit(number: ir.IntegerValue, place: int) -> ir.IntegerValue:
    return (number // 2**place) % 2


def days_between(earlier: ir.TimestampValue, later: ir.TimestampValue) -> ir.FloatingValue:
    """Days from `earlier` to `later`, with fractions; null where either is."""
    return (later.epoch_seconds() - earlier.epoch_seconds()) / _SECONDS_PER_DAY


def other_bookings(points: ir.Table, known: ir.Table, *, clock: Clock) -> ir.Table:
    """Other appointments of the same patient on the same day, booked before `scored_at`.

    Returns
    -------
    Table of `row_number` and `n_same_day`, one row for each point whose patient is known.
    """
    bookings = _bookings(known, at=known.booked_at, kind=_EVENT)
    stacked = _bookings(points, at=clock.scored_at(points), kind=_POINT).union(bookings)
    so_far = _so_far(stacked, "patient_id", "day")
    counted = stacked.mutate(n_booked=stacked.kind.sum().over(so_far))
    at_points = counted.filter(counted.kind == _POINT)
    itself = (at_points.booked_at < at_points["at"]).cast("int64")
    return at_points.select(ROW_NUMBER, n_same_day=at_points.n_booked - itself)


def _bookings(rows: ir.Table, *, at: ir.TimestampValue, kind: int) -> ir.Table:
    number = rows[ROW_NUMBER] if kind == _POINT else ibis.null("int64")
    return rows.filter(rows.patient_id.notnull()).select(
        **{ROW_NUMBER: number},
        patient_id=rows.patient_id,
        day=rows.starts_local.date(),
        booked_at=rows.booked_at,
        at=at,
        kind=ibis.literal(kind, "int8"),
    )
