"""Fit calibrators on the latest slice of the training window, choose one out of fold, and shift sites that differ."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.isotonic import IsotonicRegression

from dnapredict.model.cohort import CohortGroups
from dnapredict.model.evaluate.logistic import (
    between_group_variance,
    calibration_in_the_large,
    calibration_line,
    fit_logistic,
    log_odds,
)
from dnapredict.model.evaluate.risk_metrics import row_losses
from dnapredict.model.risk_model import Beta, Calibrator, Isotonic, Margins, Platt

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


# A site with fewer appointments in the calibration slice is not recalibrated.
_FEWEST: Final = 200
_FEWEST_MISSED: Final = 20


def fit_sites(
    dna: NDArray[np.bool_],
    probability: NDArray[np.float64],
    site: CohortGroups,
    *,
    patient: NDArray[np.int64],
    seed: int,
) -> dict[str, float]:
    """Log odds to add to each site's risks; empty where that does not lower log loss.

    Each site's calibration-in-the-large is shrunk towards 0 by its sampling variance against the variance
    between sites (DerSimonian and Laird). The shifts are used only where, on patients that they were not
    fitted on (five folds), log loss falls by more than one standard error.

    Parameters
    ----------
    dna, probability, site, patient : (n,)
        Outcomes, calibrated risks, sites and patients of the calibration slice.
    """
    margin = log_odds(probability)
    fold = patient_folds(patient, folds=_FOLDS, seed=seed)
    shift = np.zeros(len(dna))
    for number in range(_FOLDS):
        out = fold == number
        shift[out] = _shift_of_rows(_shrunk_shifts(dna[~out], margin[~out], site.take(~out)), site.take(out))
    # Out of fold, since shifts that are fitted on the same rows always lower their log loss.
    gain = row_losses(dna, expit(margin)) - row_losses(dna, expit(margin + shift))
    if gain.mean() <= gain.std() / np.sqrt(max(len(gain), 1)):
        return {}
    return _shrunk_shifts(dna, margin, site)


def _shrunk_shifts(dna: NDArray[np.bool_], margin: NDArray[np.float64], site: CohortGroups) -> dict[str, float]:
    estimates = {}
    for code, name in enumerate(site.names):
        rows = site.codes == code
        missed = int(dna[rows].sum())
        if rows.sum() >= _FEWEST and min(missed, rows.sum() - missed) >= _FEWEST_MISSED:
            level = calibration_in_the_large(dna[rows], margin[rows]) or 0.0
            risk = expit(margin[rows] + level)
            estimates[name] = (level, 1 / float((risk * (1 - risk)).sum()))
    if not estimates:
        return {}
    levels, variances = np.array(list(estimates.values())).T
    # mean=0: the calibrator has made the average over all sites right already.
    between = between_group_variance(levels, variances, mean=0.0).variance
    return {
        name: float(level * between / (between + variance))
        for name, level, variance in zip(estimates, levels, variances, strict=True)
    }


def _shift_of_rows(shifts: Mapping[str, float], site: CohortGroups) -> NDArray[np.float64]:
    each = np.array([*(shifts.get(name, 0.0) for name in site.names), 0.0])
    return each[site.codes]  # code -1, an unknown site, takes the last entry: no shift
