"""Fitting of each form, calibrated on the latest slice: LightGBM trees in agreed directions, logistic regression."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import lightgbm as lgb

from dnapredict.config.training_config import ModelSettings
from dnapredict.model.cohort.cohort import SITE, Cohort
from dnapredict.model.cohort.time_split import Windows
from dnapredict.model.form.calibrators import choose_calibrator
from dnapredict.model.form.risk_model import Form, RiskModel
from dnapredict.model.form.site_recalibration import fit_sites
from dnapredict.model.form.spline_logistic import fit_curves
from dnapredict.model.form.tree_ensemble import Trees, fill_gaps, gap_filling

# Threads wait for one another after every split: on a busy machine boosting 70,000 rows took 141 s with
# two threads and 12 s with one, at somewhat different loads. An idle machine was not measured.
_ONE_THREAD_BELOW = 200_000


@dataclass(frozen=True)
class BoostingSettings:
    """How trees are grown; with one recipe they are the same on every run and any number of threads.

    `directions` is -1, 0 or 1 for each factor: where it is 1, a patient with more of the factor is
    never given a lower risk for it.
    """

    settings: ModelSettings
    directions: Sequence[int]
    seed: int

    def parameters(self, *, rows: int) -> dict[str, Any]:
        """The recipe in LightGBM's words, for a cohort of that many rows."""
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
            "force_row_wise": True,
            "num_threads": training_threads(rows),
            "verbosity": -1,
        }


@dataclass(frozen=True)
class Growth:
    """Trees, the rounds that did best on the later slice, and its log loss after each round."""

    booster: lgb.Booster
    rounds: int
    iterations: tuple[float, ...]


def grow(fit: Cohort, later: Cohort, *, recipe: BoostingSettings) -> Growth:
    """Grow trees on `fit` until log loss on `later` has not fallen for `patience` rounds.

    Both cohorts hold matrices with their gaps filled.
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
    return Growth(booster, booster.best_iteration, tuple(history["later"]["binary_logloss"]))


def regrow(cohort: Cohort, *, recipe: BoostingSettings, rounds: int) -> lgb.Booster:
    """Grow `rounds` trees on the whole cohort, where a later slice has told how many."""
    return lgb.train(recipe.parameters(rows=len(cohort)), _dataset(cohort), num_boost_round=rounds)


def training_threads(rows: int) -> int:
    """Threads worth starting to grow trees on that many rows; they change the time, never the trees."""
    return 1 if rows < _ONE_THREAD_BELOW else (os.cpu_count() or 1)


_History = dict[str, dict[str, list[float]]]


def _dataset(cohort: Cohort) -> lgb.Dataset:
    return lgb.Dataset(cohort.matrix, cohort.dna, weight=cohort.weight, feature_name=list(cohort.factors))


_MUCH: Final = 0.05


def trees(cohort: Cohort, windows: Windows, *, recipe: BoostingSettings) -> tuple[RiskModel, tuple[float, ...]]:
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
