"""The calendar of the simulation: working days, bank holidays, daily volume; and shared random draws."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, *stream: int) -> np.random.Generator:
    """The random stream of one part of the simulation, so that parts can be drawn in any order.

    >>> generator(1, 5).random() == generator(1, 5).random() != generator(1, 6).random()
    True
    """
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=stream)))


def choose(rng: np.random.Generator, shares: Sequence[float] | NDArray[np.float64], *, size: int) -> NDArray[np.int64]:
    """Draw indices with probabilities proportional to `shares`."""
    upto = np.cumsum(shares, dtype=np.float64)
    return np.searchsorted(upto[:-1] / upto[-1], rng.random(size), side="right")


def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability from log-odds.

    >>> logistic(np.array([0.0]))
    array([0.5])
    """
    return 1.0 / (1.0 + np.exp(-log_odds))


FIRST_DAY: Final = datetime.date(2025, 4, 7)
AS_OF: Final = datetime.datetime(2026, 10, 5)  # a Monday, before the first clinic
DAYS_KNOWN: Final = (AS_OF.date() - FIRST_DAY).days
DAYS: Final = DAYS_KNOWN + 14
MINUTES_A_DAY: Final = 1_440

_DAYS_BEFORE: Final = 800  # bookings reach back before the first clinic
# Monday to Sunday; Saturdays are waiting-list clinics.
_WEEKDAY_VOLUME: Final = np.array([1.0, 1.05, 1.05, 1.0, 0.85, 0.05, 0.01])


@dataclass(frozen=True)
class Diary:
    """Days counted from `FIRST_DAY` (day 0).

    Attributes
    ----------
    volume : (DAYS,)
        Relative number of appointments on each day; 0 on bank holidays.
    weekday : (DAYS,)
        0 for Monday to 6.
    """

    volume: NDArray[np.float64]
    weekday: NDArray[np.int64]
    _office_day: NDArray[np.int64]

    def office_day(self, day: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last day on or before `day` on which a booking office works."""
        position = np.maximum(day, -_DAYS_BEFORE) + _DAYS_BEFORE
        return np.take(self._office_day, position)


@cache
def diary() -> Diary:
    """The calendar of the simulated window, with the bank holidays of England."""
    import holidays  # half a second to load, and nothing else here needs it

    closed = set(holidays.country_holidays("GB", subdiv="ENG", years=range(2023, 2027)))
    every = [FIRST_DAY + datetime.timedelta(days=day) for day in range(-_DAYS_BEFORE, DAYS)]
    works = np.array([date.weekday() < 5 and date not in closed for date in every])
    ordinal = np.arange(-_DAYS_BEFORE, DAYS)
    window = every[_DAYS_BEFORE:]
    return Diary(
        volume=np.array([_volume(date, is_closed=date in closed) for date in window]),
        weekday=np.array([date.weekday() for date in window]),
        _office_day=np.maximum.accumulate(np.where(works, ordinal, -_DAYS_BEFORE)),
    )


def _volume(date: datetime.date, *, is_closed: bool) -> float:
    """Relative volume of a day; there are fewer clinics in August and at the end of December (our assumption)."""
    if is_closed:
        return 0.0
    season = 0.9 if date.month == 8 else 0.5 if (date.month, date.day) >= (12, 24) else 1.0
    return float(_WEEKDAY_VOLUME[date.weekday()]) * season
