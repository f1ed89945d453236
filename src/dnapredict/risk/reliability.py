"""Whether risks can be taken at their word, and what a call list earns: tables for the model card."""

import datetime
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from dnapredict.risk.cohort import Cohort
from dnapredict.risk.metrics import brier, ppv_at_capacity, reach_at_capacity
from dnapredict.risk.windows import local_date

__all__ = ["Bin", "Decomposition", "Week", "decomposition", "net_benefit", "reach_by_week", "reliability"]

_MOST_BINS: Final = 10
_FEWEST_IN_A_BIN: Final = 100


@dataclass(frozen=True)
class Bin:
    """Appointments of about one risk: their mean risk, and the share missed with its 95% interval."""

    n: int
    mean_risk: float
    share_missed: float
    low: float
    high: float


class Decomposition(NamedTuple):
    """A Brier score in three parts: `miscalibration - discrimination + uncertainty`.

    miscalibration : what recalibration could win; 0 is right.
    discrimination : what telling people apart wins over everyone at the base rate; higher is better.
    uncertainty : the score of everyone at the base rate.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


@dataclass(frozen=True)
class Week:
    """A week of a clinic: the Monday it began, and what calling a share of it would have reached."""

    monday: datetime.date
    n: int
    reach: float | None
    ppv: float


def reliability(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Share missed in up to ten bins of rising risk and equal size, none below 100 appointments.

    In a good model each bin's mean risk lies in its interval (Wilson 1927). Fewer than 100
    appointments have no table: a share of few is chance, and may point at a patient.
    """
    bins = min(_MOST_BINS, len(dna) // _FEWEST_IN_A_BIN)
    order = np.argsort(probability, kind="stable")
    return tuple(_bin(dna[rows], probability[rows]) for rows in np.array_split(order, bins)) if bins else ()


def decomposition(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> Decomposition:
    """Take the Brier score apart by the best rising recalibration (Dimitriadis et al. 2021, PNAS).

    No bins are chosen, and the parts add up exactly.

    >>> Decomposition(*np.round(decomposition(np.array([True, False]), np.array([0.9, 0.2])), 3).tolist())
    Decomposition(miscalibration=0.025, discrimination=0.25, uncertainty=0.25)
    """
    best = IsotonicRegression().fit(probability, dna).predict(probability)
    uncertainty = float(dna.mean() * (1 - dna.mean()))
    recalibrated = brier(dna, best)
    return Decomposition(brier(dna, probability) - recalibrated, uncertainty - recalibrated, uncertainty)


def reach_by_week(cohort: Cohort, probability: NDArray[np.float64], *, share: float) -> tuple[Week, ...]:
    """What a team reaches that calls the `share` of each week's list with the highest risk.

    A list over the whole test would move calls from quiet weeks to bad ones, which no team can do.
    Weeks begin on Monday by the clinic's calendar.
    """
    mondays = _mondays(cohort)
    return tuple(
        _week(monday, cohort.dna[mondays == monday], probability[mondays == monday], share=share)
        for monday in np.unique(mondays)
    )


def net_benefit(
    dna: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    capacity: int,
    call_cost: float,
    slot_value: float,
    relative_risk: float,
) -> float:
    """Pounds earned for each appointment on the list by calling the `capacity` with the highest risk.

    A call costs `call_cost` and leaves `relative_risk` of the missed appointments it reaches; each of
    the others saves `slot_value`. Published: a median relative risk of 0.61 in three randomised
    trials of calls by risk. Risk is not benefit: the effect may differ among those called.

    >>> net_benefit(np.array([True, False]), np.array([.9, .2]), capacity=1,
    ...             call_cost=2, slot_value=100, relative_risk=0.61)
    18.5
    """
    reached = ppv_at_capacity(dna, probability, capacity=capacity) * capacity
    return (reached * (1 - relative_risk) * slot_value - capacity * call_cost) / len(dna)


def _bin(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> Bin:
    found = binomtest(int(dna.sum()), len(dna)).proportion_ci(method="wilson")
    return Bin(len(dna), float(probability.mean()), float(dna.mean()), float(found.low), float(found.high))


def _mondays(cohort: Cohort) -> NDArray[np.datetime64]:
    days, place = np.unique(cohort.starts_at.astype("datetime64[h]"), return_inverse=True)
    dates = [local_date(day, cohort.zone) for day in days]
    mondays = [date - datetime.timedelta(days=date.weekday()) for date in dates]
    return np.array(mondays, dtype="datetime64[D]")[place]


def _week(
    monday: np.datetime64, dna: NDArray[np.bool_], probability: NDArray[np.float64], *, share: float
) -> Week:
    capacity = max(1, round(share * len(dna)))
    reach = reach_at_capacity(dna, probability, capacity=capacity) if dna.any() else None
    ppv = ppv_at_capacity(dna, probability, capacity=capacity)
    return Week(monday.astype(datetime.date), len(dna), reach, ppv)
