"""Fit calibrators on the latest slice of the training window, and choose one out of fold."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.isotonic import IsotonicRegression

from dnapredict.model.evaluate.logistic import calibration_in_the_large, calibration_line, fit_logistic
from dnapredict.model.evaluate.risk_metrics import row_losses
from dnapredict.model.form.calibrators import Beta, Calibrator, Isotonic, Margins, Platt

_FOLDS: Final = 5
_CLOSEST: Final = 1e-4  # no isotonic risk is nearer to 0 or 1

FitCalibrator = Callable[[NDArray[np.bool_], Margins], Calibrator]


def choose_calibrator(dna: NDArray[np.bool_], margin: Margins, *, patient: NDArray[np.int64], seed: int) -> Calibrator:
    """Beta calibration, unless another calibrator has a clearly lower log loss.

    Platt's line, no calibration and isotonic regression are each preferred only where their log loss, on
    patients that they were not fitted on (five folds), is lower by more than one standard error. On rolling
    weeks of real data beta calibration did best out of time (docs/results.md).
    """
    fold = patient_folds(patient, folds=_FOLDS, seed=seed)
    chosen: FitCalibrator = _fit_beta
    losses = _losses(chosen, dna, margin, fold=fold)
    for fit in (fit_platt, _identity, _fit_isotonic):
        rival = _losses(fit, dna, margin, fold=fold)
        gain = losses - rival
        # A standard error and not the lowest loss: 1,000 missed appointments cannot rank four calibrators, and
        # the choice would change with every training.
        if gain.mean() > gain.std() / np.sqrt(len(gain)):
            chosen, losses = fit, rival
    return chosen(dna, margin)


def fit_platt(dna: NDArray[np.bool_], margin: Margins) -> Platt:
    """Fit Platt's line with a positive slope.

    Where the slice has none (nobody missed, or the margin carries no signal there), only the intercept is
    fitted: a negative slope would turn the list upside down.
    """
    line = calibration_line(dna, margin)
    if line is not None and line.slope > 0:
        return Platt(slope=line.slope, intercept=line.intercept)
    return Platt(intercept=calibration_in_the_large(dna, margin) or 0.0)


def _identity(dna: NDArray[np.bool_], margin: Margins) -> Calibrator:  # noqa: ARG001 - fits nothing
    return Platt()


def _fit_beta(dna: NDArray[np.bool_], margin: Margins) -> Calibrator:
    design = np.column_stack([np.ones(len(margin)), log_expit(margin), -log_expit(-margin)])
    fit = fit_logistic(design, dna) if dna.any() and not dna.all() else None
    # A negative slope on either side would reverse the order of some risks.
    if fit is None or min(fit.weights[1:]) <= 0:
        return fit_platt(dna, margin)
    intercept, low, high = map(float, fit.weights)
    return Beta(low=low, high=high, intercept=intercept)


def _fit_isotonic(dna: NDArray[np.bool_], margin: Margins) -> Calibrator:
    curve = IsotonicRegression(y_min=_CLOSEST, y_max=1 - _CLOSEST, out_of_bounds="clip").fit(margin, dna)
    return Isotonic(tuple(map(float, curve.X_thresholds_)), tuple(map(float, curve.y_thresholds_)))


def _losses(fit: FitCalibrator, dna: NDArray[np.bool_], margin: Margins, *, fold: NDArray[np.int64]) -> Margins:
    """Log loss of each row under a calibrator that was fitted on the other folds.

    Where all patients are in one fold there is nothing to fit on: the margin is used uncalibrated for every
    calibrator, so that none is preferred.
    """
    risk = np.empty(len(margin))
    for number in np.unique(fold):
        held_out = fold == number
        fitted = Platt() if held_out.all() else fit(dna[~held_out], margin[~held_out])
        risk[held_out] = fitted.probability(margin[held_out])
    return row_losses(dna, risk)


def patient_folds(patient: NDArray[np.int64], *, folds: int, seed: int) -> NDArray[np.int64]:
    """A random fold, from 0, for each row; all rows of a patient are in the same fold."""
    codes = np.unique(patient, return_inverse=True)[1]
    return np.random.default_rng(seed).integers(0, folds, int(codes.max()) + 1)[codes]
