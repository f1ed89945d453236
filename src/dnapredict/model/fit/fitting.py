"""Fit LightGBM trees with monotone constraints, or spline logistic regression, and calibrate them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import lightgbm as lgb

from dnapredict.config.training_config import ModelSettings
from dnapredict.model.cohort.cohort import SITE, Cohort
from dnapredict.model.cohort.time_split import Windows
from dnapredict.model.fit.calibration import choose_calibrator
from dnapredict.model.fit.site_recalibration import fit_sites
from dnapredict.model.form.risk_model import Form, RiskModel
from dnapredict.model.form.spline_logistic import fit_splines
from dnapredict.model.form.tree_ensemble import Trees, imputation_values, impute

# Threads wait for one another after every split: on a busy machine boosting 70,000 rows took 141 s with
# two threads and 12 s with one, at somewhat different loads. An idle machine was not measured.
_ONE_THREAD_BELOW = 200_000


@dataclass(frozen=True)
class BoostingSettings:
    """Settings of boosting. Equal settings and data give equal trees with any number of threads.

    `directions` is -1, 0 or 1 for each factor: where it is 1, the risk never falls as the factor rises.
    """

    settings: ModelSettings
    directions: Sequence[int]
    seed: int

    def parameters(self, *, rows: int) -> dict[str, Any]:
        """The settings as LightGBM's parameters, for a cohort of that many rows."""
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "num_leaves": self.settings.num_leaves,
            "learning_rate": self.settings.learning_rate,
            "min_data_in_leaf": self.settings.min_child_samples,
            "feature_fraction": self.settings.feature_fraction,
            "bagging_fraction": self.settings.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.settings.lambda_l2,
            "monotone_constraints": list(self.directions),
            "seed": self.seed,
            "deterministic": True,
            # Without it LightGBM times both layouts and chooses one, so that two runs could differ in the last digits.
            "force_row_wise": True,
            "num_threads": training_threads(rows),
            "verbosity": -1,
        }


@dataclass(frozen=True)
class BoostingFit:
    """Trees, the number of rounds with the lowest log loss on the later slice, and that loss after each round."""

    booster: lgb.Booster
    rounds: int
    iterations: tuple[float, ...]


def fit_boosting(fit: Cohort, later: Cohort, *, recipe: BoostingSettings) -> BoostingFit:
    """Boost trees on `fit` until the log loss on `later` has not fallen for `patience` rounds.

    The matrices of both cohorts are imputed already.
    """
    settings, history = recipe.settings, _History()
    data = _dataset(fit)
    latest = lgb.Dataset(later.matrix, later.dna, weight=later.weight, reference=data)
    stop = lgb.early_stopping(settings.patience, verbose=False)
    booster = lgb.train(
        recipe.parameters(rows=len(fit)),
        data,
        num_boost_round=settings.max_rounds,
        valid_sets=[latest],
        valid_names=["later"],
        callbacks=[stop, lgb.record_evaluation(history)],
    )
    return BoostingFit(booster, booster.best_iteration, tuple(history["later"]["binary_logloss"]))


def refit_boosting(cohort: Cohort, *, recipe: BoostingSettings, rounds: int) -> lgb.Booster:
    """Boost `rounds` trees on the whole cohort, without early stopping."""
    return lgb.train(recipe.parameters(rows=len(cohort)), _dataset(cohort), num_boost_round=rounds)


def training_threads(rows: int) -> int:
    """Threads to boost with on that many rows; they change the time, never the trees."""
    return 1 if rows < _ONE_THREAD_BELOW else (os.cpu_count() or 1)


_History = dict[str, dict[str, list[float]]]


def _dataset(cohort: Cohort) -> lgb.Dataset:
    return lgb.Dataset(cohort.matrix, cohort.dna, weight=cohort.weight, feature_name=list(cohort.factors))


_REFIT_ABOVE: Final = 0.05


def fit_tree_model(
    cohort: Cohort, windows: Windows, *, recipe: BoostingSettings
) -> tuple[RiskModel, tuple[float, ...]]:
    """Choose the number of rounds on the latest slice and calibrate on it, then refit with it where it is large.

    On six weeks of real data refitting won 0.0002 to 0.0009 of log loss, and averaging three seeds at most
    0.0005 (docs/decisions.md). Where the slice is under 5% of the data, it would only double the time.
    """
    known = cohort.take(windows.train)
    fill = imputation_values(known.matrix, enough=recipe.settings.min_child_samples)
    filled = replace(known, matrix=impute(known.matrix, fill))
    fit, later = (filled.take(window[windows.train]) for window in (windows.fit, windows.calibrate))
    growth = fit_boosting(fit, later, recipe=recipe)
    model = _calibrated(Trees(growth.booster, fill), cohort, windows, seed=recipe.seed)
    if windows.calibrate.sum() > _REFIT_ABOVE * windows.train.sum():
        booster = refit_boosting(filled, recipe=recipe, rounds=growth.rounds)
        model = replace(model, form=Trees(booster, fill))
    return model, growth.iterations


def fit_logistic_model(cohort: Cohort, windows: Windows, *, seed: int) -> RiskModel:
    """Logistic regression on linear splines of the same factors, calibrated in the same way."""
    fit = cohort.take(windows.fit)
    curves = fit_splines(fit.matrix, fit.dna, weight=fit.weight)
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
