"""Fit each form on the past and calibrate it on the latest slice: trees, and logistic regression."""

from dataclasses import replace
from typing import Final

from dnapredict.risk.boosting import Recipe, grow, regrow
from dnapredict.risk.calibrators import choose_calibrator
from dnapredict.risk.cohort import SITE, Cohort
from dnapredict.risk.curves import fit_curves
from dnapredict.risk.gaps import fill_gaps, gap_filling
from dnapredict.risk.model import Form, RiskModel
from dnapredict.risk.sites import fit_sites
from dnapredict.risk.trees import Trees
from dnapredict.risk.windows import Windows

__all__ = ["logistic_regression", "trees"]

_MUCH: Final = 0.05


def trees(cohort: Cohort, windows: Windows, *, recipe: Recipe) -> tuple[RiskModel, tuple[float, ...]]:
    """Choose rounds and calibrate without the latest slice; where it is much of the data, grow again with it.

    On six weeks of real data that last step won 0.0002 to 0.0009 of log loss, and averaging three
    seeds at most 0.0005 (docs/decisions.md). Where the slice is a small part, it would only double the time.
    """
    known = cohort.take(windows.train)
    fill = gap_filling(known.matrix, enough=recipe.settings.min_child_samples)
    filled = replace(known, matrix=fill_gaps(known.matrix, fill))
    fit, later = (filled.take(window[windows.train]) for window in (windows.fit, windows.calibrate))
    growth = grow(fit, later, recipe=recipe)
    model = _calibrated(Trees(growth.booster, fill), cohort, windows, seed=recipe.seed)
    if windows.calibrate.sum() > _MUCH * windows.train.sum():
        booster = regrow(filled, recipe=recipe, rounds=growth.rounds)
        model = replace(model, form=Trees(booster, fill))
    return model, growth.iterations


def logistic_regression(cohort: Cohort, windows: Windows, *, seed: int) -> RiskModel:
    """Logistic regression on the same factors, bent at quantiles, and calibrated alike."""
    fit = cohort.take(windows.fit)
    curves = fit_curves(fit.matrix, fit.dna, weight=fit.weight)
    return _calibrated(curves, cohort, windows, seed=seed)


def _calibrated(form: Form, cohort: Cohort, windows: Windows, *, seed: int) -> RiskModel:
    latest = cohort.take(windows.calibrate)
    margin = form.margin(latest.matrix)
    calibrator = choose_calibrator(latest.dna, margin, patient=latest.patient, seed=seed)
    model = RiskModel(cohort.factors, form, calibrator)
    if SITE not in latest.groupings:
        return model
    risk, site = calibrator.probability(margin), latest.groupings[SITE]
    shifts = fit_sites(latest.dna, risk, site, patient=latest.patient, seed=seed)
    return replace(model, site_shifts=shifts)
