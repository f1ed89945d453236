"""Site recalibration: a shift of the log odds of each site, where sites differ beyond chance."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.model.cohort.cohort import CohortGroups
from dnapredict.model.evaluate.logistic import calibration_in_the_large, log_odds
from dnapredict.model.evaluate.random_effects import between_group_variance
from dnapredict.model.evaluate.risk_metrics import row_losses
from dnapredict.model.fit.calibration import patient_folds

# A site with fewer appointments in the calibration slice is not recalibrated.
_FEWEST: Final = 200
_FEWEST_MISSED: Final = 20
_FOLDS: Final = 5


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
