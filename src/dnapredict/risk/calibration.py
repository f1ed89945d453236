"""How far risks are from what happened: the line and the level that would set them right."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

__all__ = ["Line", "calibration_in_the_large", "calibration_line", "log_odds", "logistic"]

_STEPS = 50
_CLOSE = 1e-10
_RIDGE = 1e-9
_SEPARATED = 50.0


class Line(NamedTuple):
    """A logistic line: log odds of missing = intercept + slope * margin."""

    slope: float
    intercept: float


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
    weights = logistic(dna, np.column_stack([np.ones_like(unit), unit]))
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


def logistic(dna: NDArray[np.bool_], design: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Weights of a logistic regression whose first column is 1, by Newton's method; None without end."""
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
