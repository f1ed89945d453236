"""Turn a model's margin into a risk that can be believed: of 100 people at 20%, 20 miss."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

__all__ = ["Line", "Platt", "calibration_in_the_large", "calibration_line", "fit_platt", "log_odds"]

_STEPS = 50
_CLOSE = 1e-10
_RIDGE = 1e-9
_SEPARATED = 50.0


class Line(NamedTuple):
    """A logistic line: log odds of missing = intercept + slope * margin."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Platt:
    """Platt's calibration: the risk is logistic in the margin (Platt 1999), two plain numbers."""

    slope: float
    intercept: float

    def probability(self, margin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Risk of each margin, in (0, 1); the order of margins is kept, since the slope is above 0."""
        return np.asarray(expit(self.slope * margin + self.intercept), dtype=np.float64)


def fit_platt(dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> Platt:
    """Fit Platt's line on appointments later than those the margin was learned from.

    Where the slice cannot give a rising line (nobody missed, or the margin carries no signal
    there), only what can be learned is: the level. A falling line would turn the list upside down.
    """
    line = calibration_line(dna, margin)
    if line is not None and line.slope > 0:
        return Platt(slope=line.slope, intercept=line.intercept)
    return Platt(slope=1.0, intercept=calibration_in_the_large(dna, margin) or 0.0)


def calibration_line(dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> Line | None:
    """Logistic regression of the outcome on the margin, by Newton's method.

    On the log odds of a predicted risk, `slope` is the calibration slope: 1 is right, below 1
    the risks are too far apart (Van Calster et al. 2016, J Clin Epidemiol). None where no line
    exists: one outcome only, a constant margin, or outcomes that the margin separates entirely.
    """
    spread = float(margin.std()) if len(margin) else 0.0
    if dna.all() or not dna.any() or spread < _CLOSE:
        return None
    centre = float(margin.mean())
    unit = (margin - centre) / spread
    weights = _newton(dna, np.column_stack([np.ones_like(unit), unit]))
    if weights is None or abs(weights[1]) > _SEPARATED:
        return None
    slope = float(weights[1]) / spread
    return Line(slope=slope, intercept=float(weights[0]) - slope * centre)


def calibration_in_the_large(dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> float | None:
    """Log odds to add to every margin so that the mean risk equals the share missed; 0 is right.

    Below 0 the margins foretell too many missed appointments. None where nobody or everybody
    missed. Unlike the intercept of `calibration_line` it holds the slope at 1 (Van Calster 2016).
    """
    if dna.all() or not dna.any():
        return None
    shift = 0.0
    for _ in range(_STEPS):
        risk = expit(margin + shift)
        step = float((dna - risk).sum() / max(float((risk * (1 - risk)).sum()), _RIDGE))
        shift += float(np.clip(step, -2, 2))
        if abs(step) < _CLOSE:
            break
    return shift


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of a risk, which is first kept 1e-6 away from 0 and 1.

    >>> log_odds(np.array([0.5, 1.0])).round(1).tolist()
    [0.0, 13.8]
    """
    return np.asarray(logit(np.clip(probability, 1e-6, 1 - 1e-6)), dtype=np.float64)


def _newton(dna: NDArray[np.bool_], design: NDArray[np.float64]) -> NDArray[np.float64] | None:
    weights = np.zeros(design.shape[1])
    weights[0] = logit(dna.mean())
    for _ in range(_STEPS):
        risk = expit(design @ weights)
        curvature = (design * (risk * (1 - risk))[:, None]).T @ design
        curvature[np.diag_indices_from(curvature)] += _RIDGE
        step = np.linalg.solve(curvature, design.T @ (dna - risk))
        weights = weights + step
        if np.abs(step).max() < _CLOSE:
            return weights
        if np.abs(weights).max() > _SEPARATED:
            return None
    return weights
