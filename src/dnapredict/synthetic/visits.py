"""Visits of the simulated patients: when they take place, which are cancelled and which moved."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import DAYS, DAYS_KNOWN, MINUTES_A_DAY, choose, diary, logistic

KEPT: Final = 0
CANCELLED_BY_PATIENT: Final = 1
CANCELLED_BY_PROVIDER: Final = 2
# 16.4% of appointments are cancelled (2023-24); who cancels is our assumption.
_BY_PATIENT: Final = -2.49
_BY_PATIENT_TENDENCY: Final = 0.3
_BY_PROVIDER: Final = 0.084
_MOVED: Final = 0.85  # chance that a cancelled appointment is the same as the next one, if that comes soon
_MOVED_WITHIN_DAYS: Final = 120

_GAP_DAYS: Final = 44.0  # median of a patient's usual gap between visits
_GAP_SPREAD: Final = 1.0
_FUTURE_BOOKED: Final = (
    0.94,
    0.75,
    0.62,
)  # share of next days' clinics that is booked by now: today, +7, +14
_HOURS: Final = (8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
_HOUR_SHARE: Final = (2, 14, 16, 14, 5, 6, 15, 14, 9, 2)


@dataclass(frozen=True)
class Visits:
    """Appointments of one block, by patient and then by time; arrays of one length.

    Attributes
    ----------
    patient
        Position of the patient.
    order
        0 for the patient's first visit.
    starts
        Minutes from the midnight that begins the window.
    cancelled
        `KEPT`, `CANCELLED_BY_PATIENT` or `CANCELLED_BY_PROVIDER`.
    times_moved
        How often this appointment was moved before; the visits it was moved from come before it.
    in_care : (patients,)
        Whether the patient was already coming before the window began.
    """

    patient: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    cancelled: NDArray[np.int64]
    times_moved: NDArray[np.int64]
    in_care: NDArray[np.bool_]

    @property
    def origin(self) -> NDArray[np.int64]:
        """Position of the visit that this one was moved from at first: itself, if never moved."""
        return np.arange(len(self.patient)) - self.times_moved


def plan_visits(rng: np.random.Generator, each: NDArray[np.int64], *, tendency: NDArray[np.float64]) -> Visits:
    """Spread `each` patient's visits over the window, cancel some and move others."""
    patient = np.repeat(np.arange(len(each)), each)
    order = np.arange(len(patient)) - np.repeat(np.cumsum(each) - each, each)
    starts, in_care = _starts(rng, patient, order)
    cancelled = _cancelled(rng, tendency[patient])
    soon = np.diff(starts) < _MOVED_WITHIN_DAYS * MINUTES_A_DAY
    moved = np.zeros(len(patient), dtype=bool)
    moved[1:] = (cancelled[:-1] != KEPT) & (order[1:] > 0) & soon & (rng.random(len(soon)) < _MOVED)
    return Visits(patient, order, starts, cancelled, _run_length(moved), in_care)


def cancellation_chance(tendency: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability that the patient cancels a visit, and that neither side does, given the patient's tendency."""
    by_patient = logistic(_BY_PATIENT + _BY_PATIENT_TENDENCY * tendency)
    return by_patient, 1 - _BY_PROVIDER - by_patient


def _starts(
    rng: np.random.Generator, patient: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Start of each visit: random gaps around the patient's own mean gap, from a random first day.

    Time is a circle on which each day is as long as its volume, so that every week is as busy as the diary says.
    A series of visits that passes the end continues at the beginning: that patient was in care before the window.
    """
    patients = int(patient[-1]) + 1
    pace = _GAP_DAYS / DAYS * np.exp(_GAP_SPREAD * rng.standard_normal(patients))
    gap = np.where(order > 0, rng.standard_exponential(len(patient)) * pace[patient], 0.0)
    since = np.cumsum(gap)
    opening = np.flatnonzero(order == 0)
    since -= since[opening][patient]
    last = since[np.append(opening[1:], len(patient)) - 1]
    since *= np.minimum(1.0, 0.97 / np.maximum(last, 1e-9))[patient]
    volume = diary().volume * _booked_by_now()
    upto = np.cumsum(volume) / volume.sum()
    upto[-1] = 1.0
    begins = rng.random(patients)
    day = np.searchsorted(upto, (begins[patient] + since) % 1.0, side="right")
    minutes = day * MINUTES_A_DAY + _minute(rng, len(patient))
    by_time = np.argsort(patient * (DAYS * MINUTES_A_DAY) + minutes, kind="stable")
    return np.take(minutes, by_time), begins + np.minimum(last, 0.97) >= 1.0


def _booked_by_now() -> NDArray[np.float64]:
    """Share of each day's appointments that is booked when the extract is drawn; future days are still filling."""
    ahead = np.arange(DAYS) - DAYS_KNOWN
    return np.where(ahead < 0, 1.0, np.interp(ahead, [0, 7, 14], _FUTURE_BOOKED))


def _minute(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    hour = np.array(_HOURS)[choose(rng, _HOUR_SHARE, size=n)]
    return hour * 60 + rng.integers(12, size=n) * 5


def _cancelled(rng: np.random.Generator, tendency: NDArray[np.float64]) -> NDArray[np.int64]:
    by_patient, _ = cancellation_chance(tendency)
    chance = rng.random(len(tendency))
    return np.where(
        chance < _BY_PROVIDER,
        CANCELLED_BY_PROVIDER,
        np.where(chance < _BY_PROVIDER + by_patient, CANCELLED_BY_PATIENT, KEPT),
    )


def _run_length(flag: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of true values up to here since the last false one.

    >>> _run_length(np.array([False, True, True, False, True]))
    array([0, 1, 2, 0, 1])
    """
    at = np.arange(len(flag))
    return at - np.maximum.accumulate(np.where(flag, 0, at))
