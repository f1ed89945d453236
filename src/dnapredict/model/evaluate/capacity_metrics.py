"""Capacity metrics: what weekly call lists, ranked by risk, reach and earn."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.training_config import Worth
from dnapredict.errors import NoEventsError
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.risk_metrics import ppv_at_capacity
from dnapredict.model.time_split import local_date

SHARES: Final = (0.05, 0.10, 0.20)
_CURVE: Final = (0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.60, 0.80, 1.0)


@dataclass(frozen=True)
class WeeklyCapacity:
    """How many calls can be made in a week: a share of the week's appointments, or a number."""

    share: float
    number: int | None = None

    def of(self, rows: int) -> int:
        """Calls for a week with that many appointments; at least one.

        >>> WeeklyCapacity(0.10).of(256)
        26
        >>> WeeklyCapacity(0.10, number=60).of(256), WeeklyCapacity(0.10, number=60).of(20)
        (60, 20)
        """
        return min(rows, self.number) if self.number is not None else max(1, round(self.share * rows))

    def __str__(self) -> str:
        """The capacity in words."""
        return f"{self.number:,} calls a week" if self.number is not None else f"top {self.share:.0%}"


@dataclass(frozen=True)
class WeekReach:
    """One week, which begins on `monday`, and what its calls would have reached.

    Of its `n` appointments `missed` were missed; `reached` of those are among the `called`.
    """

    monday: datetime.date
    n: int
    missed: int
    called: int
    reached: int

    @property
    def reach(self) -> float | None:
        """Share of the missed appointments that were called; None where nobody missed."""
        return self.reached / self.missed if self.missed else None

    @property
    def ppv(self) -> float:
        """Share of the calls whose appointment was missed."""
        return self.reached / self.called


class Reach(NamedTuple):
    """Reach and PPV of several weeks together, and the reach of calls drawn at random (`blind`)."""

    reach: float
    ppv: float
    blind: float


class NetBenefitPoint(NamedTuple):
    """Net benefit in pounds for each appointment on the list when `share` of it is called, and if drawn at random."""

    share: float
    pounds: float
    blind: float


def reach_by_week(cohort: Cohort, probability: NDArray[np.float64], *, calls: WeeklyCapacity) -> tuple[WeekReach, ...]:
    """Reach of a list that calls the highest risks of each week.

    One list over the whole test window would move calls from quiet weeks to busy ones, which no team can do.
    Weeks begin on Monday in the clinic's time zone.
    """
    mondays = week_starts(cohort)
    return tuple(
        _week(monday, cohort.dna[mondays == monday], probability[mondays == monday], calls=calls)
        for monday in np.unique(mondays)
    )


def total_reach(weeks: Sequence[WeekReach]) -> Reach:
    """Reach and PPV over all weeks.

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
    """Net benefit in pounds for each appointment on the list when the `capacity` highest risks are called.

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
    """`net_benefit` by the share of the list that is called, with that of calls drawn at random.

    At the maximum of the curve one more call costs what it saves; where `blind` is as high, ranking by risk
    gains nothing.
    """
    points = []
    for share in _CURVE:
        capacity = max(1, round(share * len(dna)))
        blind = _pounds(capacity * float(dna.mean()), capacity, worth) / len(dna)
        points.append(NetBenefitPoint(share, net_benefit(dna, probability, capacity=capacity, worth=worth), blind))
    return tuple(points)


def week_starts(cohort: Cohort) -> NDArray[np.datetime64]:
    """Monday of the week of each appointment, in the clinic's time zone."""
    hours, index = np.unique(cohort.starts_at.astype("datetime64[h]"), return_inverse=True)
    dates = [local_date(hour, cohort.zone) for hour in hours]
    mondays = [date - datetime.timedelta(days=date.weekday()) for date in dates]
    return np.array(mondays, dtype="datetime64[D]")[index]


def _pounds(reached: float, called: int, worth: Worth) -> float:
    return reached * (1 - worth.relative_risk) * worth.slot_value - called * worth.call_cost


def _week(
    monday: np.datetime64, dna: NDArray[np.bool_], probability: NDArray[np.float64], *, calls: WeeklyCapacity
) -> WeekReach:
    called = calls.of(len(dna))
    first = np.argsort(-probability, kind="stable")[:called]
    date: datetime.date = monday.astype(datetime.date)
    return WeekReach(date, len(dna), int(dna.sum()), called, int(dna[first].sum()))
