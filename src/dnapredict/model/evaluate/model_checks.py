"""Checks of a model beyond its overall metrics: leakage, drift by week, and metrics by subgroup."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.capacity_metrics import week_starts
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, auroc, compute_metrics
from dnapredict.model.time_split import Windows

# A factor whose AUROC alone is below this cannot explain a leak; at most so many are named, strongest first.
_SUSPICIOUS_ALONE: Final = 0.75
_MOST_NAMED: Final = 3


def leakage_warning(tested: Cohort, probability: NDArray[np.float64], *, above: float) -> str:
    """A warning where the AUROC on the test is above `above`, which honest models do not reach; else empty.

    Honest models of a whole trust have 0.74 to 0.77; a patient's share of missed appointments over the whole
    extract, test window included, gives 0.97. The factors with the highest AUROC alone are named.

    Parameters
    ----------
    tested : the appointments of the test, with their factors
    """
    if tested.dna.all() or not tested.dna.any():
        return ""
    overall = auroc(tested.dna, probability)
    if overall <= above:
        return ""
    alone = {name: _alone(tested, column) for column, name in enumerate(tested.factors)}
    strongest = sorted((name for name in alone if alone[name] >= _SUSPICIOUS_ALONE), key=lambda name: -alone[name])
    listed = ", ".join(f"{name} ({alone[name]:.2f})" for name in strongest[:_MOST_NAMED])
    named = f" Highest AUROC alone: {listed}." if listed else ""
    return (
        f"AUROC on the test is {overall:.3f}, above {above:g}: does a factor know the outcome?{named} "
        "Where the figure is honest, raise 'leak_alarm_auroc' in training/config.toml, which is on record."
    )


def _alone(tested: Cohort, column: int) -> float:
    """AUROC of one factor in either direction, unknown values replaced by the median."""
    values = tested.matrix[:, column]
    known = ~np.isnan(values)
    if not known.any():
        return 0.5
    alone = auroc(tested.dna, np.where(known, values, np.median(values[known])))
    return max(alone, 1 - alone)


@dataclass(frozen=True)
class WeekRate:
    """The share missed in a week and, in weeks of the test window, the mean predicted risk.

    Calibration sets the mean risk to the share missed in the latest slice of training. A later change shows as
    an observed-to-expected ratio away from 1.
    """

    monday: datetime.date
    n: int
    share_missed: float
    mean_risk: float | None

    @property
    def observed_over_expected(self) -> float | None:
        """Missed appointments divided by predicted ones; 1 is right, below 1 too many were predicted."""
        return self.share_missed / self.mean_risk if self.mean_risk else None


def rates_by_week(cohort: Cohort, windows: Windows, tested: NDArray[np.float64]) -> tuple[WeekRate, ...]:
    """Every week with at least 100 appointments of training or test.

    Parameters
    ----------
    tested : (k,) float64
        The predicted risk of each appointment of the test window, in the order of the cohort.
    """
    risk = np.full(len(cohort), np.nan)
    risk[windows.test] = tested
    mondays, used = week_starts(cohort), windows.train | windows.test
    weeks = ((monday, used & (mondays == monday)) for monday in np.unique(mondays))
    return tuple(
        _week(monday, cohort.dna[rows], risk[rows]) for monday, rows in weeks if rows.sum() >= SMALLEST_EVALUATED
    )


def _week(monday: np.datetime64, dna: NDArray[np.bool_], risk: NDArray[np.float64]) -> WeekRate:
    known = not np.isnan(risk).any()
    date: datetime.date = monday.astype(datetime.date)
    return WeekRate(date, len(dna), float(dna.mean()), float(risk.mean()) if known else None)


SMALLER: Final = "smaller ones together"
_FEWEST_MISSED: Final = 10


@dataclass(frozen=True)
class GroupMetrics:
    """The metrics of one group, and its observed-to-expected ratio (1 is right)."""

    grouping: str
    name: str
    metrics: RiskMetrics
    observed_over_expected: float


def metrics_by_group(cohort: Cohort, probability: NDArray[np.float64]) -> tuple[GroupMetrics, ...]:
    """Metrics of each group of each grouping of the cohort, the largest group first.

    Groups with fewer than 100 appointments, 10 missed or 10 attended are pooled.
    """
    return tuple(
        GroupMetrics(
            grouping,
            name,
            compute_metrics(cohort.dna[rows], probability[rows]),
            float(cohort.dna[rows].sum() / probability[rows].sum()),
        )
        for grouping in cohort.groupings
        for name, rows in _groups(cohort, grouping)
    )


def _groups(cohort: Cohort, grouping: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each group that is large enough, then the smaller ones pooled, if they are large enough together."""
    groups = cohort.groupings[grouping]
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.names))
    smaller = np.zeros(len(cohort), dtype=bool)
    for code in np.argsort(-sizes, kind="stable"):
        rows = groups.codes == code
        if _enough(cohort.dna[rows]):
            yield groups.names[code], rows
        else:
            smaller |= rows
    if _enough(cohort.dna[smaller]):
        yield SMALLER, smaller


def _enough(dna: NDArray[np.bool_]) -> bool:
    missed = int(dna.sum())
    return len(dna) >= SMALLEST_EVALUATED and min(missed, len(dna) - missed) >= _FEWEST_MISSED
