"""Calendar weeks, from Monday to Sunday."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]
Weeks = NDArray[np.int64]

DAYS_A_WEEK: Final = 7
# 1 January 1970 was a Thursday.
_MONDAY_TO_THURSDAY: Final = 3


def week_of(day: Days) -> Weeks:
    """The number of the week of each day, `datetime64[D]`; successive weeks have successive numbers."""
    weeks: Weeks = (day.astype(np.int64) + _MONDAY_TO_THURSDAY) // DAYS_A_WEEK
    return weeks


def monday_of(week: Weeks) -> Days:
    """The Monday of each week of `week_of`.

    >>> monday_of(week_of(np.array(["2026-11-29"], dtype="datetime64[D]"))).tolist()
    [datetime.date(2026, 11, 23)]
    """
    return (np.asarray(week) * DAYS_A_WEEK - _MONDAY_TO_THURSDAY).astype("datetime64[D]")
