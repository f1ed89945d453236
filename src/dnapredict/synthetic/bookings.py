"""Booking time and scoring time of the simulated visits."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY, diary
from dnapredict.synthetic.pathways import Pathways
from dnapredict.synthetic.visits import CANCELLED_BY_PROVIDER, Visits

HORIZON_DAYS: Final = 7
_LAST_BOOKING: Final = DAYS_KNOWN * MINUTES_A_DAY - 2 * MINUTES_A_DAY - 7 * 60  # Friday 17:00
# Median wait in days and its spread (of the logarithm): routine, urgent, two week wait, follow-up.
_WAIT: Final = np.array([58.0, 18.0, 9.0, 46.0])
_SPREAD: Final = np.array([0.8, 0.6, 0.4, 0.9])
_FOLLOW_UP: Final = 3
_LONGEST: Final = 400
_SHORT_NOTICE: Final = 0.06  # fracture clinics, cancellations filled
_GAP_BEFORE_WINDOW: Final = 60.0  # days, mean
_NOTICE_OF_PATIENT: Final = 8.0  # days between a cancellation and the visit, mean
_NOTICE_OF_PROVIDER: Final = 15.0


def booking_times(rng: np.random.Generator, visits: Visits, pathways: Pathways) -> NDArray[np.int64]:
    """Minute at which each visit was booked: before it starts, and not after the extract was drawn.

    A follow-up is booked at the visit before it or later, and a moved appointment at the
    moment when the one before it was cancelled.
    """
    day = visits.starts // MINUTES_A_DAY
    lead = _wait(rng, pathways, at_least=day - (DAYS_KNOWN - 3))
    booked = diary().office_day(day - lead) * MINUTES_A_DAY + rng.integers(8 * 60, 18 * 60, size=len(day))
    last = _visit_before(rng, visits, pathways)
    booked = np.maximum(booked, last + 20)
    booked = _latest(visits, booked)
    notice = _notice(rng, visits)
    for times in range(1, int(visits.times_moved.max(initial=0)) + 1):
        moved = np.flatnonzero(visits.times_moved == times)
        cancelled = np.maximum(booked[moved - 1], visits.starts[moved - 1] - notice[moved - 1])
        booked[moved] = _office_time(cancelled)
        booked = _latest(visits, booked)
    return booked


def scoring_times(visits: Visits, booked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Minute at which each visit is scored: a week ahead, or when it is booked if that is later."""
    return np.maximum(booked, visits.starts - HORIZON_DAYS * MINUTES_A_DAY)


def _wait(rng: np.random.Generator, pathways: Pathways, *, at_least: NDArray[np.int64]) -> NDArray[np.int64]:
    """Waiting time in days; a visit after the extract was drawn waits at least long enough to be in it."""
    kind = np.where(pathways.first, pathways.priority, _FOLLOW_UP)
    median, spread = _WAIT[kind], _SPREAD[kind]
    least = np.maximum(at_least, 0)
    below = np.where(least > 0, ndtr(np.log(np.maximum(least, 1) / median) / spread), 0.0)
    chance = below + (1 - below) * rng.random(len(kind))
    days = median * np.exp(spread * ndtri(np.minimum(chance, 0.9999)))
    short = rng.random(len(kind)) < _SHORT_NOTICE
    days = np.where(short & (least == 0), rng.integers(4, size=len(kind)), days)
    return np.clip(days.astype(np.int64), least, _LONGEST)


def _visit_before(rng: np.random.Generator, visits: Visits, pathways: Pathways) -> NDArray[np.int64]:
    """Start of the visit at which this one was requested; far in the past where there is none.

    For a patient in care before the window, the visit before the first is drawn, since it is not in the extract.
    """
    opens = visits.order == 0
    unseen = opens & visits.in_care[visits.patient] & ~pathways.first
    gap = rng.standard_exponential(len(opens)) * _GAP_BEFORE_WINDOW * MINUTES_A_DAY
    before = np.where(opens, _office_time(visits.starts - gap.astype(np.int64)), np.roll(visits.starts, 1))
    asked = unseen | (~pathways.begins & (visits.times_moved == 0))
    return np.where(asked, before, -_LONGEST * 2 * MINUTES_A_DAY)


def _latest(visits: Visits, booked: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(booked, np.minimum(visits.starts - 5, _LAST_BOOKING))


def _notice(rng: np.random.Generator, visits: Visits) -> NDArray[np.int64]:
    by_provider = visits.cancelled == CANCELLED_BY_PROVIDER
    mean = np.where(by_provider, _NOTICE_OF_PROVIDER, _NOTICE_OF_PATIENT) * MINUTES_A_DAY
    return (mean * rng.standard_exponential(len(mean))).astype(np.int64)


def _office_time(minute: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same day, moved to between 8:00 and 18:00, so that no booking falls into the hour that summer time skips."""
    day, time = np.divmod(minute, MINUTES_A_DAY)
    in_hours: NDArray[np.int64] = day * MINUTES_A_DAY + 8 * 60 + time * 10 // 24
    return in_hours
