"""What a call list drawn from the risks reaches and earns, week by week as a clinic lives it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.training_config import Worth
from dnapredict.errors import NoEventsError
from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import local_date
from dnapredict.model.evaluate.risk_metrics import ppv_at_capacity

SHARES: Final = (0.05, 0.10, 0.20)
_CURVE: Final = (0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.60, 0.80, 1.0)


@dataclass(frozen=True)
class WeeklyCapacity:
    """How many calls a week's list can have: a share of it or, where it is set, a number."""

    share: float
    number: int | None = None

    def of(self, rows: int) -> int:
        """Calls for a list of that many appointments; one at least.

        >>> WeeklyCapacity(0.10).of(256)
        26
        >>> WeeklyCapacity(0.10, number=60).of(256), WeeklyCapacity(0.10, number=60).of(20)
        (60, 20)
        """
        return min(rows, self.number) if self.number is not None else max(1, round(self.share * rows))

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{self.number:,} calls a week" if self.number is not None else f"top {self.share:.0%}"


@dataclass(frozen=True)
class WeekReach:
    """A week of a clinic: the Monday it began, and what its calls would have reached.

    `missed` of its `n` appointments were missed, `reached` of them were among the `called`.
    """

    monday: datetime.date
    n: int
    missed: int
    called: int
    reached: int

    @property
    def reach(self) -> float | None:
        """Share of those who missed that were called; None where nobody missed."""
        return self.reached / self.missed if self.missed else None

    @property
    def ppv(self) -> float:
        """Share of the calls that went to someone who missed."""
        return self.reached / self.called


class Reach(NamedTuple):
    """Reach and PPV of many weekly lists together, and what a blind list would have reached."""

    reach: float
    ppv: float
    blind: float


class NetBenefitPoint(NamedTuple):
    """Pounds earned for each appointment on the list when that share of it is called."""

    share: float
    pounds: float
    blind: float


def reach_by_week(cohort: Cohort, probability: NDArray[np.float64], *, calls: WeeklyCapacity) -> tuple[WeekReach, ...]:
    """What a team reaches that calls those of each week's list with the highest risk.

    A list over the whole test would move calls from quiet weeks to bad ones, which no team can do.
    Weeks begin on Monday by the clinic's calendar.
    """
    begun = mondays(cohort)
    return tuple(
        _week(monday, cohort.dna[begun == monday], probability[begun == monday], calls=calls)
        for monday in np.unique(begun)
    )


def together(weeks: Sequence[WeekReach]) -> Reach:
    """The weeks added up: of all who missed, how many had been on their week's list.

    Raises
    ------
    NoEventsError
        If nobody missed in any week.
    """
    missed, called = sum(week.missed for week in weeks), sum(week.called for week in weeks)
    if not missed:
        raise NoEventsError("Reach cannot be given: nobody missed an appointment in these weeks.")
    reached = sum(week.reached for week in weeks)
    return Reach(reached / missed, reached / called, called / sum(week.n for week in weeks))


def net_benefit(dna: NDArray[np.bool_], probability: NDArray[np.float64], *, capacity: int, worth: Worth) -> float:
    """Pounds earned for each appointment on the list by calling the `capacity` with the highest risk.

    A call costs `call_cost` and leaves `relative_risk` of the missed appointments it reaches; each of
    the others saves `slot_value`. Published: a median relative risk of 0.61 in three randomised
    trials of calls by risk. Risk is not benefit: the effect may differ among those called.

    >>> net_benefit(np.array([True, False]), np.array([.9, .2]), capacity=1,
    ...             worth=Worth(call_cost=2, slot_value=100, relative_risk=0.61))
    18.5
    """
    reached = ppv_at_capacity(dna, probability, capacity=capacity) * capacity
    return _pounds(reached, capacity, worth) / len(dna)


def net_benefit_curve(
    dna: NDArray[np.bool_], probability: NDArray[np.float64], *, worth: Worth
) -> tuple[NetBenefitPoint, ...]:
    """`net_benefit` by the share of the list that is called, and that of a list drawn blindly.

    Where the curve is highest, one call more costs what it saves; where `blind` is as high, calling
    by risk gains nothing over calling anybody.
    """
    points = []
    for share in _CURVE:
        capacity = max(1, round(share * len(dna)))
        blind = _pounds(capacity * float(dna.mean()), capacity, worth) / len(dna)
        points.append(NetBenefitPoint(share, net_benefit(dna, probability, capacity=capacity, worth=worth), blind))
    return tuple(points)


def mondays(cohort: Cohort) -> NDArray[np.datetime64]:
    """The Monday on which the week of each appointment begins, on the clinic's calendar."""
    hours, place = np.unique(cohort.starts_at.astype("datetime64[h]"), return_inverse=True)
    dates = [local_date(hour, cohort.zone) for hour in hours]
    begun = [date - datetime.timedelta(days=date.weekday()) for date in dates]
    return np.array(begun, dtype="datetime64[D]")[place]


def _pounds(reached: float, called: int, worth: Worth) -> float:
    return reached * (1 - worth.relative_risk) * worth.slot_value - called * worth.call_cost


def _week(
    monday: np.datetime64, dna: NDArray[np.bool_], probability: NDArray[np.float64], *, calls: WeeklyCapacity
) -> WeekReach:
    called = calls.of(len(dna))
    first = np.argsort(-probability, kind="stable")[:called]
    date: datetime.date = monday.astype(datetime.date)
    return WeekReach(date, len(dna), int(dna.sum()), called, int(dna[first].sum()))
