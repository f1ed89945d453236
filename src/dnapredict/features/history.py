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
from dnapredict.features.clock import Clock, Outcomes

__all__ = ["PATIENT_FACTORS", "other_bookings", "patient_history"]

_POINT: Final = 0
_EVENT: Final = 1
_SECONDS_PER_DAY: Final = 86_400

PATIENT_FACTORS: Final = (
    "n_past_appointments",
    "n_past_dna",
    "n_past_attended",
    "n_past_cancelled_by_patient",
    "n_past_cancelled_by_provider",
    "days_since_last_dna",
    "days_since_last_attendance",
    "days_since_last_contact",
    "mean_gap_days",
    "last_outcome_dna",
    "last_three_dna",
    "n_past_dna_specialty",
    "n_past_appointments_specialty",
    "n_past_dna_site",
    "n_past_appointments_site",
)


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
    Table of `appointment_id` and `PATIENT_FACTORS`, one row a point. Counts are whole numbers,
    times are days before `scored_at`; everything is null where the patient is not known.
    """
    events = _events(known, clock, outcomes)
    stacked = _points(points, clock, like=events).union(events)
    return _factors(_windowed(stacked))


def _points(points: ir.Table, clock: Clock, *, like: ir.Table) -> ir.Table:
    identified = points.filter(points.patient_id.notnull())
    filled = {
        "appointment_id": identified.appointment_id,
        "patient_id": identified.patient_id,
        "specialty": identified.treatment_function_code,
        "site": identified.site_code,
        "at": clock.scored_at(identified),
        "kind": ibis.literal(_POINT, "int8"),
    }
    columns = {
        name: filled.get(name, ibis.literal(0, kind) if kind.is_integer() else ibis.null(kind))
        for name, kind in like.schema().items()
    }
    return identified.select(**columns)


def _events(known: ir.Table, clock: Clock, outcomes: Outcomes) -> ir.Table:
    past = known.filter(
        known.patient_id.notnull(), known.outcome_code.notnull(), known.outcome_code != codes.NOT_APPLICABLE
    )
    dna, came = outcomes.missed(past), outcomes.came(past)
    events = past.select(
        appointment_id=past.appointment_id,
        patient_id=past.patient_id,
        specialty=past.treatment_function_code,
        site=past.site_code,
        at=clock.known_at(past),
        kind=ibis.literal(_EVENT, "int8"),
        happened=past.starts_at,
        dna=dna.cast("int8"),
        came=came.cast("int8"),
        cancelled_by_patient=(past.outcome_code == codes.CANCELLED_BY_PATIENT).cast("int8"),
        cancelled_by_provider=(past.outcome_code == codes.CANCELLED_BY_PROVIDER).cast("int8"),
        labelled=ibis.ifelse(dna | came, dna.cast("int8"), ibis.null("int8")),
    )
    return _with_last_three(events)


def _with_last_three(events: ir.Table) -> ir.Table:
    """Mark each attendance or DNA with a number that grows and holds its last three outcomes.

    `place * 8 + last * 4 + one before * 2 + two before`: its running maximum is the latest, so
    that no engine needs LAST_VALUE to skip rows (Ibis 12 does not ask DuckDB to).
    """
    decided = events.labelled.notnull()
    in_order = ibis.window(
        group_by=[events.patient_id, decided], order_by=[events["at"], events.happened, events.appointment_id]
    )
    place = ibis.row_number().over(in_order) + 1
    before = [events.labelled.lag(back).over(in_order).fill_null(0) for back in (1, 2)]
    trail = place * 8 + events.labelled * 4 + before[0] * 2 + before[1]
    return events.mutate(trail=ibis.ifelse(decided, trail, ibis.literal(0, "int64")).cast("int64")).drop(
        "labelled"
    )


def _so_far(stacked: ir.Table, *keys: str) -> ibis.expr.builders.WindowBuilder:
    order = [stacked["at"], stacked["kind"], stacked["happened"], stacked["appointment_id"]]
    return ibis.window(group_by=[stacked[key] for key in keys], order_by=order, rows=(None, 0))


def _windowed(s: ir.Table) -> ir.Table:
    patient = _so_far(s, "patient_id")
    by_specialty = _so_far(s, "patient_id", "specialty")
    by_site = _so_far(s, "patient_id", "site")
    known = (s.kind == _EVENT).cast("int8")
    return s.mutate(
        n_all=known.sum().over(patient),
        n_dna=s.dna.sum().over(patient),
        n_came=s.came.sum().over(patient),
        n_by_patient=s.cancelled_by_patient.sum().over(patient),
        n_by_provider=s.cancelled_by_provider.sum().over(patient),
        last_dna=ibis.ifelse(s.dna == 1, s.happened, ibis.null(s.happened.type())).max().over(patient),
        last_came=ibis.ifelse(s.came == 1, s.happened, ibis.null(s.happened.type())).max().over(patient),
        last=s.happened.max().over(patient),
        first=s.happened.min().over(patient),
        trail_so_far=s.trail.max().over(patient),
        n_dna_specialty=s.dna.sum().over(by_specialty),
        n_specialty=(s.dna + s.came).sum().over(by_specialty),
        n_dna_site=s.dna.sum().over(by_site),
        n_site=(s.dna + s.came).sum().over(by_site),
    )


def _factors(w: ir.Table) -> ir.Table:
    p = w.filter(w.kind == _POINT)
    gaps = (p.n_all - 1).nullif(0)
    trail = p.trail_so_far.nullif(0)
    return p.select(
        appointment_id=p.appointment_id,
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
        n_past_dna_specialty=ibis.ifelse(p.specialty.notnull(), p.n_dna_specialty, ibis.null("int64")),
        n_past_appointments_specialty=ibis.ifelse(p.specialty.notnull(), p.n_specialty, ibis.null("int64")),
        n_past_dna_site=ibis.ifelse(p.site.notnull(), p.n_dna_site, ibis.null("int64")),
        n_past_appointments_site=ibis.ifelse(p.site.notnull(), p.n_site, ibis.null("int64")),
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
    Table of `appointment_id` and `n_same_day`, one row for each point whose patient is known.
    """
    bookings = _bookings(known, at=known.booked_at, kind=_EVENT)
    stacked = _bookings(points, at=clock.scored_at(points), kind=_POINT).union(bookings)
    so_far = ibis.window(
        group_by=[stacked.patient_id, stacked.day], order_by=[stacked["at"], stacked.kind], rows=(None, 0)
    )
    counted = stacked.mutate(n_booked=stacked.kind.sum().over(so_far))
    at_points = counted.filter(counted.kind == _POINT)
    itself = (at_points.booked_at < at_points["at"]).cast("int64")
    return at_points.select("appointment_id", n_same_day=at_points.n_booked - itself)


def _bookings(rows: ir.Table, *, at: ir.TimestampValue, kind: int) -> ir.Table:
    return rows.filter(rows.patient_id.notnull()).select(
        appointment_id=rows.appointment_id,
        patient_id=rows.patient_id,
        day=rows.starts_local.date(),
        booked_at=rows.booked_at,
        at=at,
        kind=ibis.literal(kind, "int8"),
    )
