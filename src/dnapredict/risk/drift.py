"""How the share missed moves from week to week, and whether the risks moved with it."""

import datetime
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnapredict.risk.calling import mondays
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.windows import Windows

__all__ = ["FEWEST", "WeekRate", "rates_by_week"]

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
    return tuple(
        _week(monday, cohort.dna[rows], risk[rows]) for monday, rows in found if rows.sum() >= FEWEST
    )


def _week(monday: np.datetime64, dna: NDArray[np.bool_], risk: NDArray[np.float64]) -> WeekRate:
    known = not np.isnan(risk).any()
    date: datetime.date = monday.astype(datetime.date)
    return WeekRate(date, len(dna), float(dna.mean()), float(risk.mean()) if known else None)
