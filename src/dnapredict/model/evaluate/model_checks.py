"""Checks of a model beyond its metrics: signs of leakage, drift by week, and subgroups that are served badly."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import Windows
from dnapredict.model.evaluate.capacity_metrics import mondays
from dnapredict.model.evaluate.risk_metrics import Figures, figures

# A list of factors is told from the strongest down; one that tells less alone than this is none's leak.
_TELLS: Final = 0.75
_NAMED: Final = 3


def leak_alarm(tested: Cohort, probability: NDArray[np.float64], *, above: float) -> str:
    """A sentence where AUROC on the test is above `above`, which honest models do not reach; else empty.

    Honest whole-trust models stand at 0.74 to 0.77; a patient's share of missed appointments over the
    whole extract, the test included, gives 0.97. The factors that tell most by themselves are named.

    Parameters
    ----------
    tested : the appointments of the test, with their factors
    """
    if tested.dna.all() or not tested.dna.any():
        return ""
    auroc = float(roc_auc_score(tested.dna, probability))
    if auroc <= above:
        return ""
    alone = {name: _alone(tested, column) for column, name in enumerate(tested.factors)}
    strongest = sorted((name for name in alone if alone[name] >= _TELLS), key=lambda name: -alone[name])
    told = ", ".join(f"{name} ({alone[name]:.2f})" for name in strongest[:_NAMED])
    named = f" Alone, these tell most: {told}." if told else ""
    return (
        f"AUROC on the test is {auroc:.3f}, above {above:g}: does a factor know the outcome?{named} "
        "Where the figure is honest, raise 'leak_alarm_auroc' in training/config.toml, which is on record."
    )


def _alone(tested: Cohort, column: int) -> float:
    """AUROC of one factor in either direction, with what is not known in the middle."""
    values = tested.matrix[:, column]
    known = ~np.isnan(values)
    if not known.any():
        return 0.5
    found = float(roc_auc_score(tested.dna, np.where(known, values, np.median(values[known]))))
    return max(found, 1 - found)


# A week with fewer appointments is not shown: its share is chance, and may point at a patient.
FEWEST = 100


@dataclass(frozen=True)
class WeekRate:
    """The share missed in a week, and in weeks of the test the mean risk that was foretold.

    The calibration on the latest slice sets the level of risk to that slice's; what moves later is not
    foreseen, and shows here as a ratio that leaves 1.
    """

    monday: datetime.date
    n: int
    share_missed: float
    mean_risk: float | None

    @property
    def observed_over_expected(self) -> float | None:
        """Missed appointments for each that was foretold; 1 is right, below 1 too many were."""
        return self.share_missed / self.mean_risk if self.mean_risk else None


def rates_by_week(cohort: Cohort, windows: Windows, tested: NDArray[np.float64]) -> tuple[WeekRate, ...]:
    """Every week with at least 100 appointments of training or test.

    Parameters
    ----------
    tested : (k,) float64
        The risk of each appointment of the test, in order.
    """
    risk = np.full(len(cohort), np.nan)
    risk[windows.test] = tested
    begun, used = mondays(cohort), windows.train | windows.test
    found = ((monday, used & (begun == monday)) for monday in np.unique(begun))
    return tuple(_week(monday, cohort.dna[rows], risk[rows]) for monday, rows in found if rows.sum() >= FEWEST)


def _week(monday: np.datetime64, dna: NDArray[np.bool_], risk: NDArray[np.float64]) -> WeekRate:
    known = not np.isnan(risk).any()
    date: datetime.date = monday.astype(datetime.date)
    return WeekRate(date, len(dna), float(dna.mean()), float(risk.mean()) if known else None)


SMALLER: Final = "smaller ones together"
# Below it a figure is chance, and may point at a patient; such groups are counted together.
_FEWEST: Final = 100
_FEWEST_MISSED: Final = 10


@dataclass(frozen=True)
class GroupFigures:
    """The figures of one group, and missed appointments for each that was foretold (1 is right)."""

    grouping: str
    name: str
    figures: Figures
    observed_over_expected: float


def by_group(cohort: Cohort, probability: NDArray[np.float64]) -> tuple[GroupFigures, ...]:
    """Figures of each group of each grouping of the cohort, the largest first.

    A group with fewer than 100 appointments, 10 missed or 10 attended is counted with others like it.
    """
    return tuple(
        GroupFigures(
            grouping,
            name,
            figures(cohort.dna[rows], probability[rows]),
            float(cohort.dna[rows].sum() / probability[rows].sum()),
        )
        for grouping in cohort.groupings
        for name, rows in _groups(cohort, grouping)
    )


def _groups(cohort: Cohort, grouping: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each group that is large enough, then the others together where they are."""
    found = cohort.groupings[grouping]
    sizes = np.bincount(found.codes[found.codes >= 0], minlength=len(found.names))
    smaller = np.zeros(len(cohort), dtype=bool)
    for code in np.argsort(-sizes, kind="stable"):
        rows = found.codes == code
        if _enough(cohort.dna[rows]):
            yield found.names[code], rows
        else:
            smaller |= rows
    if _enough(cohort.dna[smaller]):
        yield SMALLER, smaller


def _enough(dna: NDArray[np.bool_]) -> bool:
    missed = int(dna.sum())
    return len(dna) >= _FEWEST and min(missed, len(dna) - missed) >= _FEWEST_MISSED
