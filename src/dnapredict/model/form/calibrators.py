"""Calibration: the line and the level that set risks right, and calibrators that apply them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit
from sklearn.isotonic import IsotonicRegression

_STEPS = 50
_CLOSE = 1e-10
_RIDGE = 1e-9
_SEPARATED = 50.0


class CalibrationLine(NamedTuple):
    """A logistic line: log odds of missing = intercept + slope * margin."""

    slope: float
    intercept: float


def calibration_line(dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> CalibrationLine | None:
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
    return CalibrationLine(slope=slope, intercept=float(weights[0]) - slope * centre)


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


_FOLDS: Final = 5
_SURE: Final = 1e-4

Margins = NDArray[np.float64]


@dataclass(frozen=True)
class Platt:
    """The risk is logistic in the margin (Platt 1999); with slope 1 and intercept 0 it is as given."""

    slope: float = 1.0
    intercept: float = 0.0
    method: Literal["platt"] = "platt"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1); the order of margins is kept, since the slope is above 0."""
        return np.asarray(expit(self.slope * margin + self.intercept), dtype=np.float64)


@dataclass(frozen=True)
class Beta:
    """Platt's line with a slope for low risks and one for high (Kull et al. 2017, AISTATS).

    The log odds are `low * log(risk) - high * log(1 - risk) + intercept`, where risk is that of the
    margin as given; both slopes are above 0, so that the order is kept.
    """

    low: float
    high: float
    intercept: float
    method: Literal["beta"] = "beta"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1)."""
        odds = self.low * log_expit(margin) - self.high * log_expit(-margin) + self.intercept
        return np.asarray(expit(odds), dtype=np.float64)


@dataclass(frozen=True)
class Isotonic:
    """Any rising curve (Zadrozny and Elkan 2002): straight between `margins`, level beyond them.

    Neighbours can be given one risk; no risk is nearer to 0 or 1 than one in ten thousand.
    """

    margins: tuple[float, ...]
    risks: tuple[float, ...]
    method: Literal["isotonic"] = "isotonic"

    def probability(self, margin: Margins) -> Margins:
        """Risk of each margin, in (0, 1)."""
        return np.interp(margin, self.margins, self.risks)


Calibrator = Platt | Beta | Isotonic
Fit = Callable[[NDArray[np.bool_], Margins], Calibrator]


def choose_calibrator(dna: NDArray[np.bool_], margin: Margins, *, patient: NDArray[np.int64], seed: int) -> Calibrator:
    """Beta calibration, unless another does better on appointments later than the trees'.

    Platt's line, the margin as given and an isotonic curve are each taken instead only where their
    log loss, on patients that they were not fitted on, is lower by more than one standard error. On rolling
    weeks of real data beta calibration did best out of time (docs/results.md).
    """
    fold = patient_folds(patient, folds=_FOLDS, seed=seed)
    chosen: Fit = _fit_beta
    losses = _losses(chosen, dna, margin, fold=fold)
    for fit in (fit_platt, _as_given, _fit_isotonic):
        rival = _losses(fit, dna, margin, fold=fold)
        gain = losses - rival
        if gain.mean() > gain.std() / np.sqrt(len(gain)):
            chosen, losses = fit, rival
    return chosen(dna, margin)


def fit_platt(dna: NDArray[np.bool_], margin: Margins) -> Platt:
    """Fit Platt's line.

    Where the slice cannot give a rising line (nobody missed, or the margin carries no signal
    there), only what can be learned is: the level. A falling line would turn the list upside down.
    """
    line = calibration_line(dna, margin)
    if line is not None and line.slope > 0:
        return Platt(slope=line.slope, intercept=line.intercept)
    return Platt(intercept=calibration_in_the_large(dna, margin) or 0.0)


def _as_given(dna: NDArray[np.bool_], margin: Margins) -> Calibrator:  # noqa: ARG001 - fits nothing
    return Platt()


def _fit_beta(dna: NDArray[np.bool_], margin: Margins) -> Calibrator:
    design = np.column_stack([np.ones(len(margin)), log_expit(margin), -log_expit(-margin)])
    weights = logistic(dna, design) if dna.any() and not dna.all() else None
    if weights is None or weights[1] <= 0 or weights[2] <= 0:
        return fit_platt(dna, margin)
    return Beta(low=float(weights[1]), high=float(weights[2]), intercept=float(weights[0]))


def _fit_isotonic(dna: NDArray[np.bool_], margin: Margins) -> Calibrator:
    curve = IsotonicRegression(y_min=_SURE, y_max=1 - _SURE, out_of_bounds="clip").fit(margin, dna)
    return Isotonic(tuple(map(float, curve.X_thresholds_)), tuple(map(float, curve.y_thresholds_)))


def _losses(fit: Fit, dna: NDArray[np.bool_], margin: Margins, *, fold: NDArray[np.int64]) -> Margins:
    """Log loss of each row under a calibration fitted to other patients.

    Where there are no others (a single patient, or all patients in one fold) the margin is taken as given
    for every calibration, so that none is preferred.
    """
    risk = np.empty(len(margin))
    for held in np.unique(fold):
        out = fold == held
        fitted = Platt() if out.all() else fit(dna[~out], margin[~out])
        risk[out] = fitted.probability(margin[out])
    return -np.log(np.where(dna, risk, 1 - risk))


def patient_folds(patient: NDArray[np.int64], *, folds: int, seed: int) -> NDArray[np.int64]:
    """A fold, from 0, for each row; all rows of a patient share one."""
    codes = np.unique(patient, return_inverse=True)[1]
    return np.random.default_rng(seed).integers(0, folds, int(codes.max()) + 1)[codes]
