"""Habit: how the visits that a patient missed before make the next miss likelier."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, logistic
from dnapredict.synthetic.visits import KEPT, Visits

# Fitted with the tendency, so that patients with a DNA have another as often as published.
HABIT: Final = 1.15  # log-odds that one miss adds to the next visit, if that comes at once
_LEFT_AFTER_A_VISIT: Final = 0.5
_HALF_LIFE: Final = 300.0 * MINUTES_A_DAY
_VISITS_BEFORE: Final = 3  # that a patient in care as the window begins brings a habit from


@dataclass(frozen=True)
class Lived:
    """What became of each visit, and of the habit that patients bring into the window.

    Attributes
    ----------
    probability
        True chance, when it is scored, that the visit is missed.
    missed
        Whether it is.
    brought : (patients,)
        The habit that each patient brings.
    carried
        How much of that is left when each visit is scored; 0 of a patient who brings none.
    """

    probability: NDArray[np.float64]
    missed: NDArray[np.bool_]
    brought: NDArray[np.float64]
    carried: NDArray[np.float64]


def live_through(
    rng: np.random.Generator, visits: Visits, *, scored: NDArray[np.int64], log_odds: NDArray[np.float64]
) -> Lived:
    """The chance that each visit is missed, and whether it is.

    First visits of all patients, then second ones, and so on, each with the habit made by then.
    Only visits that took place before this one is scored count; cancelled ones make no habit.
    """
    n = len(log_odds)
    chance = rng.random(n)
    seen, until_scored = last_seen(visits, scored)
    brought = _brought(rng, visits, log_odds)
    since_last = _faded(visits.starts - np.where(visits.order > 0, np.roll(visits.starts, 1), 0))
    habit, left = np.empty(n), np.empty(n)  # after each visit: the whole, and what was brought
    carried = np.empty(n)
    probability = np.empty(n)
    missed = np.zeros(n, dtype=bool)
    by_order = np.argsort(visits.order, kind="stable")
    for rows in np.split(by_order, np.cumsum(np.bincount(visits.order))[:-1]):
        own = brought[visits.patient[rows]]
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
    return Lived(probability, missed, brought, carried * visits.in_care[visits.patient])


def opening_habits(log_odds: NDArray[np.float64]) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """Each habit that a patient in care may bring, and the logarithm of how likely it is.

    Parameters
    ----------
    log_odds : (patients,)
        Of missing a visit without any habit.
    """
    for before in itertools.product((False, True), repeat=_VISITS_BEFORE):
        habit, chance = 0.0, np.zeros(len(log_odds))
        for missed in before:
            likely = logistic(log_odds + HABIT * habit)
            chance += np.log(likely if missed else 1 - likely)
            habit = _LEFT_AFTER_A_VISIT * habit + missed
        yield habit, chance


def _brought(rng: np.random.Generator, visits: Visits, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Habit of each patient as the window begins, from visits before it."""
    opening = np.flatnonzero(visits.order == 0)
    habit = np.zeros(len(opening))
    for _ in range(_VISITS_BEFORE):
        again = rng.random(len(opening)) < logistic(log_odds[opening] + HABIT * habit)
        habit = _LEFT_AFTER_A_VISIT * habit + again
    return np.where(visits.in_care, habit, 0.0)


def last_seen(visits: Visits, scored: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The patient's last visit that began before this one is scored (-1: none), and the habit left since."""
    a_patient = 8 * DAYS_KNOWN * MINUTES_A_DAY  # longer than any two times of a patient lie apart
    key = visits.patient * a_patient + visits.starts
    last = np.searchsorted(key, visits.patient * a_patient + scored, side="left") - 1
    seen = np.where(last >= np.arange(len(key)) - visits.order, last, -1)
    return seen, _faded(scored - np.where(seen < 0, 0, visits.starts[seen]))


def _faded(minutes: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is left of a habit after so long; all of it before the window begins."""
    return np.exp2(-np.maximum(minutes, 0) / _HALF_LIFE)
