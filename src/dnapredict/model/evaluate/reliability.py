"""Calibration in detail: the reliability table, and the decomposition of the Brier score."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.model.evaluate.risk_metrics import brier

_MOST_BINS: Final = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Appointments of similar risk: their mean risk, and the share missed with its 95% interval."""

    n: int
    mean_risk: float
    share_missed: float
    low: float
    high: float


class BrierDecomposition(NamedTuple):
    """A Brier score in three parts: `miscalibration - discrimination + uncertainty`.

    miscalibration : what perfect recalibration would gain; 0 is best.
    discrimination : what ranking gains over predicting the base rate for everyone; higher is better.
    uncertainty : the score of predicting the base rate for everyone.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def reliability_table(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> tuple[ReliabilityBin, ...]:
    """Share missed in up to ten bins of increasing risk and equal size, none below 100 appointments.

    In a well-calibrated model each bin's mean risk is inside the interval (Wilson 1927). Fewer than 100
    appointments have no table (`SMALLEST_EVALUATED`).
    """
    bins = min(_MOST_BINS, len(dna) // SMALLEST_EVALUATED)
    order = np.argsort(probability, kind="stable")
    return tuple(_bin(dna[rows], probability[rows]) for rows in np.array_split(order, bins)) if bins else ()


def brier_decomposition(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> BrierDecomposition:
    """Decompose the Brier score by isotonic recalibration (CORP; Dimitriadis et al. 2021, PNAS).

    No bins are chosen, and the parts add up exactly.

    >>> BrierDecomposition(*np.round(brier_decomposition(np.array([True, False]), np.array([0.9, 0.2])), 3).tolist())
    BrierDecomposition(miscalibration=0.025, discrimination=0.25, uncertainty=0.25)
    """
    isotonic = IsotonicRegression().fit(probability, dna).predict(probability)
    uncertainty = float(dna.mean() * (1 - dna.mean()))
    recalibrated = brier(dna, isotonic)
    return BrierDecomposition(brier(dna, probability) - recalibrated, uncertainty - recalibrated, uncertainty)


def _bin(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> ReliabilityBin:
    interval = binomtest(int(dna.sum()), len(dna)).proportion_ci(method="wilson")
    return ReliabilityBin(
        len(dna), float(probability.mean()), float(dna.mean()), float(interval.low), float(interval.high)
    )
