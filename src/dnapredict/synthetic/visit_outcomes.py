"""Outcomes of the simulated visits: the true cause, the recorded code, and when it was recorded."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.synthetic.calendar import DAYS_KNOWN, MINUTES_A_DAY
from dnapredict.synthetic.habit import SimulatedAttendance, simulate_attendance
from dnapredict.synthetic.visits import CANCELLED_BY_PATIENT, CANCELLED_BY_PROVIDER, Visits

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
