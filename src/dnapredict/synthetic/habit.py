"""Habit: each visit that a patient missed makes the next miss likelier, and the effect fades with time."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, logistic
from dnapredict.synthetic.visits import KEPT, Visits

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
