"""Baselines that a model is compared with, and the choice between trees and logistic regression."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import Windows
from dnapredict.model.evaluate.metric_intervals import PairedDifference, log_loss_difference
from dnapredict.model.fit.calibration import fit_platt
from dnapredict.model.fit.fitting import training_threads
from dnapredict.model.form.spline_logistic import fit_splines
from dnapredict.model.form.tree_ensemble import Trees

BASE_RATE: Final = "base_rate"
LIGHTGBM_DEFAULT: Final = "lightgbm_default"
# Baselines of one factor each, where the extract has it.
_ONE_FACTOR: Final = {
    "specialty_rate": "specialty_rate",
    "missed_last_time": "last_outcome_dna",
    "patient_rate": "past_dna_rate",
}
_ENOUGH: Final = 100_000
_FREEDOM: Final = 1.0  # one spline has too few weights to need a penalty
_DEFAULT_ROUNDS: Final = 100
_NO_IMPUTATION: Final = np.array(np.nan)  # unknown values are left to LightGBM


def baseline_risks(cohort: Cohort, *, windows: Windows, seed: int) -> dict[str, NDArray[np.float64]]:
    """Risk of each test appointment by each baseline whose factors the cohort has.

    Every baseline has the same factors as known at scoring and the same windows as the model, and is calibrated
    by Platt's method on the latest slice.
    """
    risks = {BASE_RATE: np.full(int(windows.test.sum()), cohort.dna[windows.calibrate].mean())}
    for name, factor in _ONE_FACTOR.items():
        if factor in cohort.factors:
            risks[name] = _by_one_factor(cohort, windows, column=cohort.factors.index(factor))
    return risks | {LIGHTGBM_DEFAULT: _lightgbm_default(cohort, windows, seed=seed)}


def _by_one_factor(cohort: Cohort, windows: Windows, *, column: int) -> NDArray[np.float64]:
    alone = cohort.matrix[:, [column]]
    curves = fit_splines(alone[windows.fit], cohort.dna[windows.fit], inverse_penalty=_FREEDOM)
    return _calibrated(curves.margin(alone), cohort, windows)


def _lightgbm_default(cohort: Cohort, windows: Windows, *, seed: int) -> NDArray[np.float64]:
    """LightGBM with its default settings: 100 rounds of 31 leaves, on at most 100,000 rows, evenly over time."""
    rows = np.flatnonzero(windows.fit)
    rows = rows[:: -(-len(rows) // _ENOUGH)]
    settings = {
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "verbosity": -1,
        "num_threads": training_threads(len(rows)),
    }
    booster = lgb.train(settings, lgb.Dataset(cohort.matrix[rows], cohort.dna[rows]), _DEFAULT_ROUNDS)
    later = windows.calibrate | windows.test
    margin = np.zeros(len(cohort))
    margin[later] = Trees(booster, fill=_NO_IMPUTATION).margin(cohort.matrix[later])
    return _calibrated(margin, cohort, windows)


def _calibrated(margin: NDArray[np.float64], cohort: Cohort, windows: Windows) -> NDArray[np.float64]:
    calibrator = fit_platt(cohort.dna[windows.calibrate], margin[windows.calibrate])
    return calibrator.probability(margin[windows.test])


LIGHTGBM: Final = "lightgbm"
LOGISTIC: Final = "logistic_regression"


@dataclass(frozen=True)
class ModelSelection:
    """The choice between trees and logistic regression, by differences of log loss on the test.

    Parameters
    ----------
    chosen : `lightgbm`, or `logistic_regression` where trees are not better beyond chance
    over_base_rate : log loss of the chosen model minus that of the base rate; below 0 is better
    over_logistic : log loss of trees minus that of logistic regression on the same factors
    """

    chosen: str
    over_base_rate: PairedDifference
    over_logistic: PairedDifference

    @property
    def beats_base_rate(self) -> bool:
        """Whether the model beats the base rate beyond chance; otherwise it is never promoted."""
        return self.over_base_rate.high < 0

    def __str__(self) -> str:
        """The choice in a sentence."""
        if not self.beats_base_rate:
            return "No skill over the base rate: these factors do not tell who will miss an appointment."
        if self.chosen == LOGISTIC:
            return "Trees are not better than logistic regression beyond chance: the simpler model is used."
        return "Trees are better than logistic regression beyond chance."


def select_model(tested: Cohort, risks: Mapping[str, NDArray[np.float64]], *, seed: int) -> ModelSelection:
    """Choose logistic regression, the simpler model, unless trees have a lower log loss on the test beyond chance."""

    def less(one: str, other: str) -> PairedDifference:
        return log_loss_difference(tested.dna, risks[one], risks[other], patient=tested.patient, seed=seed)

    over_logistic = less(LIGHTGBM, LOGISTIC)
    chosen = LIGHTGBM if over_logistic.high < 0 else LOGISTIC
    return ModelSelection(chosen, less(chosen, BASE_RATE), over_logistic)
