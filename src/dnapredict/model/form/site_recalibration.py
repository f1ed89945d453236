"""Set the level of risk right site by site, where a site's own weeks tell more than chance."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.model.cohort.cohort import CohortGroups
from dnapredict.model.form.calibrators import calibration_in_the_large, log_odds, patient_folds

# A site with fewer in the calibration slice has no level of its own.
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
    """What to add to the log odds of each site's risks, or nothing at all.

    Each site's own level is drawn towards 0 by how little it is known against how far sites lie
    apart (DerSimonian and Laird 1986, Control Clin Trials). The shifts are taken only where, on
    patients that they were not fitted on, log loss falls by more than one standard error.

    Parameters
    ----------
    dna, probability, site, patient : (n,)
        Outcomes, calibrated risks, sites and patients of the calibration slice.
    """
    margin = log_odds(probability)
    fold = patient_folds(patient, folds=_FOLDS, seed=seed)
    held = np.zeros(len(dna))
    for number in range(_FOLDS):
        out = fold == number
        held[out] = _of_rows(_fitted(dna[~out], margin[~out], site.take(~out)), site.take(out))
    gain = _losses(dna, margin) - _losses(dna, margin + held)
    if gain.mean() <= gain.std() / np.sqrt(max(len(gain), 1)):
        return {}
    return _fitted(dna, margin, site)


def shifted(
    probability: NDArray[np.float64], sites: Sequence[str | None] | None, shifts: Mapping[str, float]
) -> NDArray[np.float64]:
    """Risks at the level of their sites; a site that is not known, or new, keeps the level of the whole.

    >>> shifted(np.array([0.5, 0.5]), ["A", None], {"A": 1.0}).round(3).tolist()
    [0.731, 0.5]
    """
    if sites is None or not shifts:
        return probability
    shift = np.array([0.0 if site is None else shifts.get(site, 0.0) for site in sites])
    moved = 1 / (1 + np.exp(-(log_odds(probability) + shift)))
    return np.where(shift == 0, probability, moved)


def _fitted(dna: NDArray[np.bool_], margin: NDArray[np.float64], site: CohortGroups) -> dict[str, float]:
    found = {}
    for code, name in enumerate(site.names):
        rows = site.codes == code
        missed = int(dna[rows].sum())
        if rows.sum() >= _FEWEST and min(missed, rows.sum() - missed) >= _FEWEST_MISSED:
            level = calibration_in_the_large(dna[rows], margin[rows]) or 0.0
            risk = 1 / (1 + np.exp(-(margin[rows] + level)))
            found[name] = (level, 1 / float((risk * (1 - risk)).sum()))
    if not found:
        return {}
    levels, variances = np.array(list(found.values())).T
    between = _between(levels, variances)
    return {
        name: float(level * between / (between + variance))
        for name, level, variance in zip(found, levels, variances, strict=True)
    }


def _between(levels: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """How far the sites' true levels lie from that of the whole, squared, beyond what chance gives."""
    weights = 1 / variances
    spread = float((weights * levels**2).sum()) - len(levels)
    return max(spread / float(weights.sum()), 0.0)


def _of_rows(shifts: Mapping[str, float], site: CohortGroups) -> NDArray[np.float64]:
    each = np.array([*(shifts.get(name, 0.0) for name in site.names), 0.0])
    return each[site.codes]  # -1, not known, is the last: no shift


def _losses(dna: NDArray[np.bool_], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.logaddexp(0, np.where(dna, -margin, margin))
    return found
