"""Whether risks can be taken at their word: the table of reliability, and the Brier score in parts."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from dnapredict.model.evaluate.risk_metrics import brier

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


def _bin(dna: NDArray[np.bool_], probability: NDArray[np.float64]) -> Bin:
    found = binomtest(int(dna.sum()), len(dna)).proportion_ci(method="wilson")
    return Bin(len(dna), float(probability.mean()), float(dna.mean()), float(found.low), float(found.high))
