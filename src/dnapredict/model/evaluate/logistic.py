"""Logistic regression by Newton's method, the calibration line and intercept, and how far groups differ beyond chance.

The one implementation of Newton steps and of the variance between groups: calibrators, site recalibration, calibration
metrics, the patient bootstrap and the audit use it.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

_MAX_STEPS: Final = 50
_TOLERANCE: Final = 1e-10
_RIDGE: Final = 1e-9  # keeps the information matrix invertible; too small to move a weight
# Beyond these log odds for one standard deviation the outcomes are separated, and no maximum exists.
_SEPARATED: Final = 50.0
# Shorter Newton steps than this do not overshoot, so that their likelihood is not compared.
_LONG_STEP: Final = 1.0
_ILL_CONDITIONED: Final = 1e12

Floats = NDArray[np.float64]
Events = NDArray[np.bool_] | Floats


class LogisticFit(NamedTuple):
    """Weights of a logistic regression, (k,), and the information matrix at them, (k, k)."""

    weights: Floats
    information: Floats


class CalibrationLine(NamedTuple):
    """A logistic line, `log odds of missing = intercept + slope * margin`, with model-based standard errors."""

    slope: float
    intercept: float
    slope_error: float
    intercept_error: float


def fit_logistic(
    design: Floats, events: Events, *, trials: Floats | None = None, offset: Floats | None = None
) -> LogisticFit | None:
    """Maximum likelihood of a logistic regression whose first column is 1; None where it has no maximum.

    A long step is halved until the likelihood does not fall.

    Parameters
    ----------
    design : (n, k) float64
    events : (n,) number of missed appointments in each row, or whether it was missed
    trials : (n,) appointments in each row; one each by default
    offset : (n,) log odds to add to each row, with weight 1
    """
    weights = np.zeros(design.shape[1])
    total = len(events) if trials is None else trials.sum()
    fixed = 0.0 if offset is None else offset
    if offset is None:
        weights[0] = logit(events.sum() / total)
    count = np.ones(len(events)) if trials is None else trials
    for _ in range(_MAX_STEPS):
        odds = design @ weights + fixed
        risk = expit(odds)
        information = (design * (count * (risk * (1 - risk)))[:, None]).T @ design
        information[np.diag_indices_from(information)] += _RIDGE
        step = np.linalg.solve(information, design.T @ (events - count * risk))
        while np.abs(step).max() > _LONG_STEP and (
            _log_likelihood(odds + design @ step, events, count) < _log_likelihood(odds, events, count)
        ):
            step = step / 2
        weights = weights + step
        if np.abs(step).max() < _TOLERANCE:
            break
        if np.abs(weights).max() > _SEPARATED:
            return None
    return LogisticFit(weights, information)


def _log_likelihood(odds: Floats, events: Events, count: Floats) -> float:
    return float((events * log_expit(odds) + (count - events) * log_expit(-odds)).sum())


def calibration_line(events: Events, margin: Floats, *, trials: Floats | None = None) -> CalibrationLine | None:
    """Logistic regression of the outcome on the margin.

    On the log odds of a predicted risk, `slope` is the calibration slope: 1 is right, below 1 the risks are too
    far apart, high ones too high and low ones too low (Cox 1958; Van Calster et al. 2016, J Clin Epidemiol).
    None where no line exists: one outcome only, a constant margin, or outcomes that the margin separates.

    Parameters
    ----------
    events, trials : see `fit_logistic`
    margin : (n,) log odds of the predicted risk
    """
    total = len(events) if trials is None else trials.sum()
    spread = float(margin.std()) if len(margin) else 0.0
    if events.sum() in (0, total) or spread < _TOLERANCE:
        return None
    centre = float(np.average(margin, weights=trials))
    unit = (margin - centre) / spread
    fit = fit_logistic(np.column_stack([np.ones_like(unit), unit]), events, trials=trials)
    if fit is None or abs(fit.weights[1]) > _SEPARATED or np.linalg.cond(fit.information) > _ILL_CONDITIONED:
        return None
    # Back from the standardised margin to the scale of the log odds.
    back = np.array([[1.0, -centre / spread], [0.0, 1.0 / spread]])
    intercept_error, slope_error = np.sqrt(np.diag(back @ np.linalg.inv(fit.information) @ back.T))
    slope = float(fit.weights[1]) / spread
    intercept = float(fit.weights[0]) - slope * centre
    return CalibrationLine(slope, intercept, float(slope_error), float(intercept_error))


def calibration_in_the_large(dna: NDArray[np.bool_], margin: Floats) -> float | None:
    """Log odds to add to every margin so that the mean risk equals the share missed; 0 is right.

    Below 0 the margins predict too many missed appointments. None where nobody or everybody missed. Unlike the
    intercept of `calibration_line` it holds the slope at 1 (Van Calster et al. 2016, J Clin Epidemiol).
    """
    if dna.all() or not dna.any():
        return None
    fit = fit_logistic(np.ones((len(dna), 1)), dna, offset=margin)
    return None if fit is None else float(fit.weights[0])


def newton_terms(dna: NDArray[np.bool_], margin: Floats, fitted: Floats) -> Floats:
    """Each row's terms of one Newton step of the calibration line from the log odds `fitted`: (n, 5).

    Gradient for intercept and slope, then the information's entries (0, 0), (0, 1) and (1, 1).
    """
    risk = expit(fitted)
    residual, weight = dna - risk, risk * (1 - risk)
    return np.column_stack([residual, residual * margin, weight, weight * margin, weight * margin**2])


def log_odds(probability: Floats) -> Floats:
    """Log odds of a risk, which is first kept 1e-6 away from 0 and 1.

    >>> log_odds(np.array([0.5, 1.0])).round(1).tolist()
    [0.0, 13.8]
    """
    return np.asarray(logit(np.clip(probability, 1e-6, 1 - 1e-6)), dtype=np.float64)


class Heterogeneity(NamedTuple):
    """The variance between groups, and Cochran's Q with its degrees of freedom."""

    variance: float
    q: float
    freedom: int


def between_group_variance(
    values: NDArray[np.float64], variances: NDArray[np.float64], *, mean: float | None = None
) -> Heterogeneity:
    """Variance of the groups' true values beyond sampling error, 0 where chance explains the differences.

    The moment estimator of DerSimonian and Laird (1986, Control Clin Trials 7:177).

    Parameters
    ----------
    values, variances : (k,) each group's estimate and its sampling variance
    mean : the common value where it is known; otherwise it is estimated, which costs one degree of freedom

    >>> between_group_variance(np.array([-1.0, 1.0]), np.array([0.25, 0.25]), mean=0.0)
    Heterogeneity(variance=0.75, q=8.0, freedom=2)
    """
    weights = 1 / variances
    total = float(weights.sum())
    scale, freedom = total, len(values)
    if mean is None:
        mean = float((weights * values).sum()) / total
        scale, freedom = total - float((weights**2).sum()) / total, len(values) - 1
    q = float((weights * (values - mean) ** 2).sum())
    return Heterogeneity(max((q - freedom) / scale, 0.0), q, freedom)
