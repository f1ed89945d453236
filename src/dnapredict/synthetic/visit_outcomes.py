"""Outcomes of the simulated visits: who misses, the true cause, the recorded code, and when it was recorded.

Each visit that a patient missed makes the next miss likelier, and the effect of this habit fades with time.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, logistic
from dnapredict.synthetic.visits import CANCELLED_BY_PATIENT, CANCELLED_BY_PROVIDER, KEPT, Visits

# Fitted together with the tendency, so that patients with a DNA have another one as often as published.
HABIT: Final = 1.15  # log-odds that one miss adds to a visit immediately after it
_LEFT_AFTER_A_VISIT: Final = 0.5
_HALF_LIFE: Final = 300.0 * MINUTES_A_DAY
_VISITS_BEFORE: Final = 3  # before the window, from which a patient in care starts with a habit


@dataclass(frozen=True)
class SimulatedAttendance:
    """The outcome of each visit if nobody cancels, and the habit with which patients enter the window.

    Attributes
    ----------
    probability
        True probability, at scoring time, that the visit is missed.
    missed
        Whether it is missed.
    initial_habit : (patients,)
        Habit of each patient when the window begins.
    carried
        Share of it that is left when each visit is scored; 0 for a patient without one.
    """

    probability: NDArray[np.float64]
    missed: NDArray[np.bool_]
    initial_habit: NDArray[np.float64]
    carried: NDArray[np.float64]


def simulate_attendance(
    rng: np.random.Generator, visits: Visits, *, scored: NDArray[np.int64], log_odds: NDArray[np.float64]
) -> SimulatedAttendance:
    """Draw whether each visit is missed, in the order of each patient's visits.

    All first visits are drawn, then all second ones, and so on, each with the habit formed by then. Only visits
    that took place before a visit is scored count towards its probability; cancelled ones form no habit.
    """
    n = len(log_odds)
    chance = rng.random(n)
    seen, until_scored = last_visit_before_scoring(visits, scored)
    initial_habit = _initial_habit(rng, visits, log_odds)
    since_last = _remaining_habit(visits.starts - np.where(visits.order > 0, np.roll(visits.starts, 1), 0))
    habit, left = np.empty(n), np.empty(n)  # after each visit: the habit, and the share of the initial one
    carried = np.empty(n)
    probability = np.empty(n)
    missed = np.zeros(n, dtype=bool)
    by_order = np.argsort(visits.order, kind="stable")
    for rows in np.split(by_order, np.cumsum(np.bincount(visits.order))[:-1]):
        own = initial_habit[visits.patient[rows]]
        at_scoring = np.where(seen[rows] < 0, own, habit[seen[rows]]) * until_scored[rows]
        carried[rows] = np.where(seen[rows] < 0, 1.0, left[seen[rows]]) * until_scored[rows]
        probability[rows] = logistic(log_odds[rows] + HABIT * at_scoring)
        missed[rows] = chance[rows] < probability[rows]
        before = np.where(visits.order[rows] > 0, habit[rows - 1], own) * since_last[rows]
        after = _LEFT_AFTER_A_VISIT * before + missed[rows]
        kept = visits.cancelled[rows] == KEPT
        habit[rows] = np.where(kept, after, before)
        before = np.where(visits.order[rows] > 0, left[rows - 1], 1.0) * since_last[rows]
        left[rows] = np.where(kept, _LEFT_AFTER_A_VISIT * before, before)
    return SimulatedAttendance(probability, missed, initial_habit, carried * visits.in_care[visits.patient])


def initial_habits(log_odds: NDArray[np.float64]) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """Each possible initial habit of a patient in care, with the logarithm of its probability.

    Parameters
    ----------
    log_odds : (patients,)
        Log-odds of missing a visit without any habit.
    """
    for before in itertools.product((False, True), repeat=_VISITS_BEFORE):
        habit, chance = 0.0, np.zeros(len(log_odds))
        for missed in before:
            likely = logistic(log_odds + HABIT * habit)
            chance += np.log(likely if missed else 1 - likely)
            habit = _LEFT_AFTER_A_VISIT * habit + missed
        yield habit, chance


def _initial_habit(rng: np.random.Generator, visits: Visits, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Habit of each patient when the window begins, from simulated visits before it."""
    opening = np.flatnonzero(visits.order == 0)
    habit = np.zeros(len(opening))
    for _ in range(_VISITS_BEFORE):
        again = rng.random(len(opening)) < logistic(log_odds[opening] + HABIT * habit)
        habit = _LEFT_AFTER_A_VISIT * habit + again
    return np.where(visits.in_care, habit, 0.0)


def last_visit_before_scoring(
    visits: Visits, scored: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index of the patient's last visit that began before each is scored (-1: none); share of habit left since."""
    a_patient = 8 * DAYS_KNOWN * MINUTES_A_DAY  # longer than any two times of a patient lie apart
    key = visits.patient * a_patient + visits.starts
    last = np.searchsorted(key, visits.patient * a_patient + scored, side="left") - 1
    seen = np.where(last >= np.arange(len(key)) - visits.order, last, -1)
    return seen, _remaining_habit(scored - np.where(seen < 0, 0, visits.starts[seen]))


def _remaining_habit(minutes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of a habit that is left after `minutes`; 1 before the window begins."""
    return np.exp2(-np.maximum(minutes, 0) / _HALF_LIFE)


# The true cause of what is recorded; the two that begin with "trust" are DNAs that are not the patient's.
CAUSES: Final = (
    "attended",
    "missed by the patient",
    "arrived too late",
    "trust gave too little notice",
    "trust recorded it wrongly",
    "cancelled by the patient",
    "cancelled by the provider",
    "not recorded",
    "not yet known",
)
_ATTENDED, _MISSED, _TOO_LATE, _LITTLE_NOTICE, _WRONG, _BY_PATIENT, _BY_PROVIDER, _LOST, _UNKNOWN = range(9)
OUTCOME_CODES: Final = ("5", "6", "3", "7", "2", "4", "0", None)
_LATE_SEEN: Final = 0.06  # attended, but late
_LATE_NOT_SEEN: Final = 0.05  # of those who missed, came too late to be seen
_NEVER_RECORDED: Final = 0.0047  # 2023-24
_SIGN: Final = 4.0  # a wrong DNA is this much likelier where notice was short or the trust moved the visit
_SHORT_NOTICE_DAYS: Final = 7
_MOVED_WITHIN_DAYS: Final = 14


@dataclass(frozen=True)
class VisitOutcomes:
    """Arrays of one length; `code` and `cause` are positions in `OUTCOME_CODES` and `CAUSES`.

    Attributes
    ----------
    attendance
        True probability and outcome of each visit, if nobody cancels.
    recorded_probability
        Probability that a DNA is recorded, the trust's recording errors included.
    recorded
        Minute at which the outcome was recorded; after `DAYS_KNOWN` it is not known yet.
    """

    attendance: SimulatedAttendance
    recorded_probability: NDArray[np.float64]
    code: NDArray[np.int64]
    cause: NDArray[np.int64]
    recorded: NDArray[np.int64]


def draw_outcomes(
    rng: np.random.Generator,
    visits: Visits,
    *,
    booked: NDArray[np.int64],
    scored: NDArray[np.int64],
    log_odds: NDArray[np.float64],
    errors: NDArray[np.float64],
) -> VisitOutcomes:
    """Draw the outcome of every visit and what the trust records of it.

    Parameters
    ----------
    errors
        Average probability that the trust records a kept visit as missed, for each visit.
    """
    attendance = simulate_attendance(rng, visits, scored=scored, log_odds=log_odds)
    probability, missed = attendance.probability, attendance.missed
    error = errors * _signs(visits, booked=booked)
    cause = _cause(rng, visits, missed=missed, error=error)
    recorded = _recorded(rng, visits)
    cause = np.where(recorded >= DAYS_KNOWN * MINUTES_A_DAY, _UNKNOWN, cause)
    return VisitOutcomes(
        attendance=attendance,
        recorded_probability=probability + (1 - probability) * error,
        code=_code(rng, cause),
        cause=cause,
        recorded=recorded,
    )


def _signs(visits: Visits, *, booked: NDArray[np.int64]) -> NDArray[np.float64]:
    """Relative probability of a wrongly recorded DNA; 1 on average."""
    sign = _little_notice(visits, booked) | _just_moved(visits)
    weight: NDArray[np.float64] = np.where(sign, _SIGN, 1.0)
    weight /= weight.mean()
    return weight


def _little_notice(visits: Visits, booked: NDArray[np.int64]) -> NDArray[np.bool_]:
    return visits.starts - booked < _SHORT_NOTICE_DAYS * MINUTES_A_DAY


def _just_moved(visits: Visits) -> NDArray[np.bool_]:
    just_moved = np.zeros(len(visits.starts), dtype=bool)
    days = np.diff(visits.starts) / MINUTES_A_DAY
    just_moved[1:] = (
        (visits.times_moved[1:] > 0) & (visits.cancelled[:-1] == CANCELLED_BY_PROVIDER) & (days <= _MOVED_WITHIN_DAYS)
    )
    return just_moved


def _cause(
    rng: np.random.Generator, visits: Visits, *, missed: NDArray[np.bool_], error: NDArray[np.float64]
) -> NDArray[np.int64]:
    n = len(missed)
    cause = np.where(rng.random(n) < error, np.where(rng.random(n) < 0.5, _LITTLE_NOTICE, _WRONG), _ATTENDED)
    cause = np.where(missed, np.where(rng.random(n) < _LATE_NOT_SEEN, _TOO_LATE, _MISSED), cause)
    cause = np.where(rng.random(n) < _NEVER_RECORDED, _LOST, cause)
    cause = np.where(visits.cancelled == CANCELLED_BY_PATIENT, _BY_PATIENT, cause)
    return np.where(visits.cancelled == CANCELLED_BY_PROVIDER, _BY_PROVIDER, cause)


def _code(rng: np.random.Generator, cause: NDArray[np.int64]) -> NDArray[np.int64]:
    """The code recorded for each cause; some who attend are late, some wrong DNAs are a code 7."""
    of_cause = np.array([0, 2, 3, 2, 2, 4, 5, 6, 7])
    code = of_cause[cause]
    chance = rng.random(len(cause))
    code = np.where((cause == _ATTENDED) & (chance < _LATE_SEEN), 1, code)
    return np.where((cause == _WRONG) & (chance < 0.5), 3, code)


def _recorded(rng: np.random.Generator, visits: Visits) -> NDArray[np.int64]:
    """Minute of recording: most outcomes on the day, a quarter within three days, a few weeks later."""
    n = len(visits.starts)
    chance = rng.random(n)
    days_later = np.where(
        chance < 0.7, 0, np.where(chance < 0.94, 1 + rng.integers(3, size=n), 4 + rng.integers(25, size=n))
    )
    another_day = (visits.starts // MINUTES_A_DAY + days_later) * MINUTES_A_DAY + rng.integers(540, 1020, size=n)
    same_day = visits.starts + rng.integers(20, 240, size=n)
    return np.where(days_later == 0, same_day, another_day)
