"""What is known of a patient's past appointments at the moment an appointment is scored.

One Ibis expression: scoring points and past events are stacked, ordered by the time at which each
became known, and windows for each patient run over both (`ROWS UNBOUNDED PRECEDING` only, so that
every SQL engine runs them). At equal times a scoring point stands before an event, which makes the
cut-off strict: an outcome recorded at `scored_at` is not known at `scored_at`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.contract import codes
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.features.scoring_clock import Clock, LabelRule

# The contract columns of a past appointment that any factor reads; a store need keep no others.
REMEMBERED: Final = (
    "appointment_id",
    "patient_id",
    "booked_at",
    "booked_local",
    "starts_at",
    "starts_local",
    "recorded_at",
    "outcome_code",
    "site_code",
    "treatment_function_code",
    "times_rescheduled",
)
_POINT: Final = 0
_EVENT: Final = 1
_SECONDS_PER_DAY: Final = 86_400
_TIME: Final = dt.Timestamp(scale=6)


@dataclass(frozen=True)
class HistoryScope:
    """Which of a patient's appointments are looked at: all, or those that share `key` with the point.

    Every point has `ahead`, so that within that scope stand the appointments booked at least a day
    ahead: hardly anybody misses one booked for the same day, so a past of those alone tells little.

    `ending` closes the names of what is known within the scope; `only` names the factors that it has,
    where it has not all.
    """

    ending: str
    key: str | None = None
    only: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns within which history runs."""
        return ("patient_id",) if self.key is None else ("patient_id", self.key)


SCOPES: Final = (
    HistoryScope(""),
    HistoryScope("_specialty", "specialty"),
    HistoryScope("_site", "site"),
    HistoryScope("_booked_ahead", "ahead", only=("past_appointments", "past_dnas", "past_dna_rate")),
)


def patient_history(
    points: ir.Table,
    known: ir.Table,
    *,
    clock: Clock,
    outcomes: LabelRule,
    wanted: Collection[str] | None = None,
) -> ir.Table:
    """Attendance history of each point's patient as known at its `scored_at`, in each of `SCOPES`.

    Parameters
    ----------
    points
        Appointments to score: contract rows.
    known
        Appointments that may be known, outcome or not; may hold the points themselves.
    wanted
        Names of what is to be known: those of `KNOWN`, each with the ending of a scope. All of them if
        not given; a window that nothing wanted needs is not run.

    Returns
    -------
    Table of `row_number` and what is known, one row a point whose patient is known. Counts
    are whole numbers, times are days before `scored_at`. Within a specialty or site nothing is
    known of a point that has none.
    """
    asked = {scope: _wanted_within(scope, wanted) for scope in SCOPES}
    asked = {scope: names for scope, names in asked.items() if names}
    trails = tuple(scope for scope, names in asked.items() if "trail" in _measures_of(names))
    stacked = _points(points, clock, trails).union(_events(known, clock, outcomes, trails))
    windowed = stacked.mutate(**{k: v for scope, names in asked.items() for k, v in _so_far(stacked, scope, names)})
    at_points = windowed.filter(windowed.kind == _POINT)
    return at_points.select(
        ROW_NUMBER, **{k: v for scope, names in asked.items() for k, v in _known(at_points, scope, names)}
    )


def _wanted_within(scope: HistoryScope, wanted: Collection[str] | None) -> tuple[str, ...]:
    return tuple(name for name in KNOWN if wanted is None or f"{name}{scope.ending}" in wanted)


def _measures_of(names: Iterable[str]) -> tuple[str, ...]:
    return tuple({measure: None for name in names for measure in KNOWN[name].measures})


def _points(points: ir.Table, clock: Clock, trails: tuple[HistoryScope, ...]) -> ir.Table:
    """The points whose patient is known, with nothing in the columns of an event."""
    identified = points.filter(points.patient_id.notnull())
    return identified.select(
        **{ROW_NUMBER: identified[ROW_NUMBER].cast("int64")},
        kind=ibis.literal(_POINT, "int8"),
        patient_id=identified.patient_id,
        specialty=identified.treatment_function_code,
        site=identified.site_code,
        ahead=ibis.literal(True),
        moment=clock.scored_at(identified).cast(_TIME),
        **{name: ibis.null(_TIME) for name in _WHEN},
        moves=ibis.null("float64"),
        **{_trail_of(scope): ibis.null("int64") for scope in trails},
    )


_WHEN: Final = ("happened", "missed", "came", "cancelled_by_patient", "cancelled_by_provider")


def _events(known: ir.Table, clock: Clock, outcomes: LabelRule, trails: tuple[HistoryScope, ...]) -> ir.Table:
    """Past appointments with an outcome: when each took place, in the column of what became of it."""
    past = known.filter(
        known.patient_id.notnull(), known.outcome_code.notnull(), known.outcome_code != codes.NOT_APPLICABLE
    )
    never = ibis.null(_TIME)
    starts = past.starts_at.cast(_TIME)
    became = {
        "missed": outcomes.missed(past),
        "came": outcomes.came(past),
        "cancelled_by_patient": past.outcome_code == codes.CANCELLED_BY_PATIENT,
        "cancelled_by_provider": past.outcome_code == codes.CANCELLED_BY_PROVIDER,
    }
    events = past.select(
        **{ROW_NUMBER: ibis.null("int64")},
        kind=ibis.literal(_EVENT, "int8"),
        patient_id=past.patient_id,
        specialty=past.treatment_function_code,
        site=past.site_code,
        ahead=past.starts_local.date() > past.booked_local.date(),
        moment=clock.known_at(past).cast(_TIME),
        happened=starts,
        **{name: ibis.ifelse(happened, starts, never) for name, happened in became.items()},
        moves=past.times_rescheduled.cast("float64"),
        appointment_id=past.appointment_id,
    )
    return events.mutate(**{_trail_of(scope): _trail(events, scope) for scope in trails}).drop("appointment_id")


def _trail_of(scope: HistoryScope) -> str:
    return f"trail{scope.ending}"


def _trail(events: ir.Table, scope: HistoryScope) -> ir.IntegerValue:
    """For each attendance or DNA a number that grows and holds its last three outcomes.

    `place * 8 + last * 4 + one before * 2 + two before`: its running maximum is the latest, so
    that no engine needs LAST_VALUE to skip rows (Ibis 12 does not ask DuckDB to).
    """
    decided = events.missed.notnull() | events.came.notnull()
    in_order = ibis.window(
        group_by=[*(events[key] for key in scope.keys), decided],
        order_by=[events.moment, events.happened, events.appointment_id],
    )
    dna = events.missed.notnull().cast("int8")
    place = ibis.row_number().over(in_order) + 1
    before = [dna.lag(back).over(in_order).fill_null(0) for back in (1, 2)]
    trail = place * 8 + dna * 4 + before[0] * 2 + before[1]
    return ibis.ifelse(decided, trail, ibis.null("int64")).cast("int64")


def _so_far(s: ir.Table, scope: HistoryScope, names: Iterable[str]) -> Iterator[tuple[str, ir.Value]]:
    """Counts and extremes from the first row of a patient up to this one. Ties need no order: at
    equal times every point stands before every event, and a point adds nothing.
    """
    window = ibis.window(group_by=[s[key] for key in scope.keys], order_by=[s.moment, s.kind], rows=(None, 0))
    for measure in _measures_of(names):
        source = s[_trail_of(scope)] if measure == "trail" else None
        yield (
            f"{measure}{scope.ending}_so_far",
            _MEASURES[measure](s if source is None else source).over(window),
        )


def _known(windowed: ir.Table, scope: HistoryScope, names: Iterable[str]) -> Iterator[tuple[str, ir.Value]]:
    for name in names:
        recipe = KNOWN[name]
        so_far = (windowed[f"{measure}{scope.ending}_so_far"] for measure in recipe.measures)
        value = recipe.of(windowed.moment, *so_far)
        if scope.key is not None:
            value = ibis.ifelse(windowed[scope.key].notnull(), value, ibis.null(value.type()))
        yield f"{name}{scope.ending}", value


def _bit(number: ir.IntegerValue, place: int) -> ir.IntegerValue:
    return (number // 2**place) % 2


def days_between(earlier: ir.TimestampValue, later: ir.TimestampValue) -> ir.FloatingValue:
    """Days from `earlier` to `later`, with fractions; null where either is."""
    return (later.epoch_seconds() - earlier.epoch_seconds()) / _SECONDS_PER_DAY


# What is added up in a window, from the columns of an event.
_MEASURES: Final[Mapping[str, Callable[[ir.Value], ir.Value]]] = {
    "n_events": lambda s: s.happened.count(),
    "n_missed": lambda s: s.missed.count(),
    "n_came": lambda s: s.came.count(),
    "n_cancelled_by_patient": lambda s: s.cancelled_by_patient.count(),
    "n_cancelled_by_provider": lambda s: s.cancelled_by_provider.count(),
    "moves": lambda s: s.moves.sum(),
    "first": lambda s: s.happened.min(),
    "last": lambda s: s.happened.max(),
    "last_missed": lambda s: s.missed.max(),
    "last_came": lambda s: s.came.max(),
    "trail": lambda trail: trail.max(),
}


@dataclass(frozen=True)
class HistoryFeature:
    """How one thing that is known follows from the moment of scoring and what was added up."""

    measures: tuple[str, ...]
    of: Callable[..., ir.Value]


def _count(measure: str) -> HistoryFeature:
    return HistoryFeature((measure,), lambda _, n: n)


def _days_since(measure: str) -> HistoryFeature:
    return HistoryFeature((measure,), lambda moment, last: days_between(last, moment))


def _mean_gap(_: ir.Value, first: ir.Value, last: ir.Value, events: ir.Value) -> ir.Value:
    return days_between(first, last) / (events - 1).nullif(0)


KNOWN: Final[Mapping[str, HistoryFeature]] = {
    "n_past": _count("n_events"),
    "n_past_appointments": HistoryFeature(("n_missed", "n_came"), lambda _, missed, came: missed + came),
    "n_past_dna": _count("n_missed"),
    "n_past_attended": _count("n_came"),
    "n_past_cancelled_by_patient": _count("n_cancelled_by_patient"),
    "n_past_cancelled_by_provider": _count("n_cancelled_by_provider"),
    "n_past_rescheduled": HistoryFeature(("moves",), lambda _, moves: moves.fill_null(0.0)),
    "days_since_last_dna": _days_since("last_missed"),
    "days_since_last_attendance": _days_since("last_came"),
    "days_since_last_contact": _days_since("last"),
    "mean_gap_days": HistoryFeature(("first", "last", "n_events"), _mean_gap),
    "last_outcome_dna": HistoryFeature(("trail",), lambda _, trail: _bit(trail, 2)),
    "last_three_dna": HistoryFeature(("trail",), lambda _, trail: _bit(trail, 2) + _bit(trail, 1) + _bit(trail, 0)),
}
