"""How many appointments of a list to leave uncalled, by lot, so that a gap in reach can be found."""

import math
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.measure.intervals import Rate, detectable_gap

# The group and the gap that the hold-out is sized for: a tenth of the patients, twice the limit behind.
_GROUP: Final = 0.10
_TIMES_THE_LIMIT: Final = 2.0
# About as many groups are compared, and the p-value of each is corrected for it.
_COMPARED: Final = 10
# Never more of a list than half: it is there to help.
_SHARES: Final = tuple(share / 100 for share in range(2, 51))
_PERIODS: Final = (1, 2, 3, 4)


@dataclass(frozen=True)
class HoldOut:
    """Leave `per_week` appointments of each week's list uncalled for `weeks` weeks."""

    per_week: int
    weeks: int


def hold_out_size(
    *, missed: float, reached: float, planned: int, weeks: int, tolerance: float, confidence: float
) -> HoldOut | None:
    """The smallest hold-out with which a gap of twice the limit in a tenth of the patients is found in 8 of 10 cases.

    A share h of the list, chosen at random and not called, represents the whole list. Reach r then has the variance
    of a rate times 1 + (1 - r)(1/h - 1), since only its part on the list is estimated from fewer appointments. None
    where half of the list in four such periods is not enough.

    Parameters
    ----------
    missed, reached
        Missed appointments that the risks predict in the period, and those of them that the list holds.
    planned, weeks
        Appointments on the list and weeks in the period.

    >>> hold_out_size(missed=10_800, reached=4_100, planned=12_000, weeks=52, tolerance=0.05, confidence=0.95)
    HoldOut(per_week=88, weeks=104)
    """
    if missed <= 0 or not 0 < reached < missed or not planned:
        return None
    for periods in _PERIODS:
        for share in _SHARES:
            effect = 1 + (1 - reached / missed) * (1 / share - 1)
            rest, group = (
                Rate(part * periods * reached, part * periods * missed, effect) for part in (1 - _GROUP, _GROUP)
            )
            level = (1 - confidence) / _COMPARED
            smallest = detectable_gap(rest, group, tolerance=tolerance, level=level)
            if smallest is not None and smallest <= _TIMES_THE_LIMIT * tolerance:
                return HoldOut(math.ceil(share * planned / weeks), periods * weeks)
    return None
