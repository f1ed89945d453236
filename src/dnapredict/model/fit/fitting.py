"""Fit LightGBM trees with monotone constraints, or spline logistic regression, without the effect of calls.

The model estimates the risk without a call. A call changes the outcome: a patient at high risk who was called and
came would teach a model that such patients come. So contacted appointments are left out of fitting, calibration
and test, and similar ones that were not contacted are weighted by `1 / (1 - propensity)`, the inverse probability
of not being called given the same factors (Robins et al. 2000, Epidemiology). This assumes that calls depend on
the factors only, as with a list ranked by risk, and that some patients at every risk are not reached.
`benchmarks/contacted.py` shows the bias that it removes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.config.training_config import ModelSettings
from dnapredict.data.engine import running_step
from dnapredict.model.cohort import SITE, Cohort
from dnapredict.model.fit.calibration import choose_calibrator, fit_sites
from dnapredict.model.risk_model import Form, RiskModel, fit_splines
from dnapredict.model.time_split import Windows
from dnapredict.model.tree_ensemble import Trees, imputation_values, impute

# Larger weights would let a few appointments dominate the fit.
_LARGEST_WEIGHT: Final = 20.0
# With fewer contacted appointments the propensity cannot be estimated, and no weights are used.
_FEWEST_CONTACTED: Final = 100
_PROPENSITY_PENALTY: Final = 1.0


@dataclass(frozen=True)
class ExcludedContacts:
    """Appointments that were left out of each window because their patient was reached by a call.

    `most_weight` is the largest weight of the others; 1 where no weights are used.
    """

    trained: int
    tested: int
    most_weight: float

    def __str__(self) -> str:
        """The method in words, for the model card."""
        return (
            f"{self.trained:,} appointments of the training window and {self.tested:,} of the test were left "
            "out because a validation call had reached the patient; the model gives the risk without a call. "
            "Similar patients who were not called represent them, with a weight of up to "
            f"{self.most_weight:.1f}."
        )


def exclude_contacted(cohort: Cohort, windows: Windows) -> tuple[Cohort, Windows, ExcludedContacts | None]:
    """The cohort with weights, the windows without contacted appointments, and a summary (None if nobody was)."""
    called = cohort.contacted
    if called is None or not (called & (windows.train | windows.test)).any():
        return cohort, windows, None
    weight = _weights(cohort, called, windows)
    contacts = ExcludedContacts(
        trained=int((called & windows.train).sum()),
        tested=int((called & windows.test).sum()),
        most_weight=float(weight[windows.train & ~called].max(initial=1.0)),
    )
    return replace(cohort, weight=weight), windows.restrict(cohort, ~called), contacts


def _weights(cohort: Cohort, called: NDArray[np.bool_], windows: Windows) -> NDArray[np.float64]:
    """Inverse probability of not being called for rows of the training window; 1 elsewhere."""
    weight = np.ones(len(cohort))
    train = windows.train
    if min(called[train].sum(), (~called[train]).sum()) < _FEWEST_CONTACTED:
        return weight
    # A weak penalty: a call list has a sharp threshold, and shrunken propensities would leave bias.
    known = cohort.take(train)
    propensity = fit_splines(known.matrix, called[train], inverse_penalty=_PROPENSITY_PENALTY)
    not_called = 1 - expit(propensity.margin(known.matrix))
    weight[train] = np.minimum(1 / np.maximum(not_called, 1 / _LARGEST_WEIGHT), _LARGEST_WEIGHT)
    return weight


# Threads wait for one another after every split: on a busy machine boosting 70,000 rows took 141 s with
# two threads and 12 s with one, at somewhat different loads. An idle machine was not measured.
_ONE_THREAD_BELOW = 200_000
# 200,000 to 1,000,000 rows a tree gave the same log loss (docs/decisions.md); the time of a tree grows with them.
_MOST_ROWS_OF_A_TREE: Final = 1_000_000


@dataclass(frozen=True)
class BoostingSettings:
    """Settings of boosting. Equal settings and data give equal trees with any number of threads.

    `directions` is -1, 0 or 1 for each factor: where it is 1, the risk never falls as the factor rises.
    """

    settings: ModelSettings
    directions: Sequence[int]
    seed: int

    def parameters(self, *, rows: int) -> dict[str, Any]:
        """The settings as LightGBM's parameters, for a cohort of that many rows.

        Each tree is grown on a new sample of `bagging_fraction` of the rows, and of at most 1,000,000.
        """
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "num_leaves": self.settings.num_leaves,
            "learning_rate": self.settings.learning_rate,
            "min_data_in_leaf": self.settings.min_child_samples,
            "feature_fraction": self.settings.feature_fraction,
            "bagging_fraction": min(self.settings.bagging_fraction, _MOST_ROWS_OF_A_TREE / rows),
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


def fit_boosting(
    fit: Cohort, later: Cohort, *, recipe: BoostingSettings, fill: NDArray[np.float64] | None = None
) -> BoostingFit:
    """Boost trees on `fit` until the log loss on `later` has not fallen for `patience` rounds.

    `fill` is imputed in both cohorts (`imputation_values`).
    """
    settings, history = recipe.settings, _History()
    running_step.begin("Growing trees", of=settings.max_rounds)
    data = _dataset(fit, fill)
    latest = _Dataset(_ImputedRows(later.matrix, fill), later.dna, weight=later.weight, reference=data)
    stop = lgb.early_stopping(settings.patience, verbose=False)
    booster = lgb.train(
        recipe.parameters(rows=len(fit)),
        data,
        num_boost_round=settings.max_rounds,
        valid_sets=[latest],
        valid_names=["later"],
        callbacks=[stop, lgb.record_evaluation(history), _show_trees],
    )
    return BoostingFit(booster, booster.best_iteration, tuple(history["later"]["binary_logloss"]))


def refit_boosting(
    cohort: Cohort, *, recipe: BoostingSettings, rounds: int, fill: NDArray[np.float64] | None = None
) -> lgb.Booster:
    """Boost `rounds` trees on the whole cohort, without early stopping."""
    running_step.begin("Growing trees on all rows", of=rounds)
    data = _dataset(cohort, fill)
    return lgb.train(recipe.parameters(rows=len(cohort)), data, num_boost_round=rounds, callbacks=[_show_trees])


def _show_trees(round_: lgb.callback.CallbackEnv) -> None:
    running_step.advance(round_.iteration + 1)


def training_threads(rows: int) -> int:
    """Threads to boost with on that many rows; they change the time, never the trees."""
    return 1 if rows < _ONE_THREAD_BELOW else (os.cpu_count() or 1)


_History = dict[str, dict[str, list[float]]]


class _ImputedRows(lgb.Sequence):  # type: ignore[misc]  # LightGBM has no types
    """The rows of a matrix with unknown values imputed, given to LightGBM some thousands at a time.

    LightGBM puts them into bins, so that neither an imputed copy of the matrix nor, where it is in a file
    (`features.matrix.write_matrix`), the matrix itself is held in memory. The bins, and so the trees, are those that
    the whole matrix gives.
    """

    batch_size = 65_536

    def __init__(self, matrix: NDArray[np.float64], fill: NDArray[np.float64] | None) -> None:
        self._matrix, self._fill = matrix, fill

    def __len__(self) -> int:
        return len(self._matrix)

    def __getitem__(self, rows: int | slice | list[int]) -> NDArray[np.float64]:
        part = np.asarray(self._matrix[rows])
        return part if self._fill is None else impute(part, self._fill)


class _Dataset(lgb.Dataset):  # type: ignore[misc]
    """A data set whose bins depend on all parameters of the training, whether its rows come in parts or as a matrix.

    For rows in parts LightGBM leaves `seed` and `min_data_in_leaf` out, by which it samples rows for the bins and omits
    factors that cannot be split.
    """

    def get_params(self) -> dict[str, Any]:
        return dict(self.params or {})


def _dataset(cohort: Cohort, fill: NDArray[np.float64] | None) -> lgb.Dataset:
    rows = _ImputedRows(cohort.matrix, fill)
    return _Dataset(rows, cohort.dna, weight=cohort.weight, feature_name=list(cohort.factors))


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
    fit, later = (known.take(window[windows.train]) for window in (windows.fit, windows.calibrate))
    growth = fit_boosting(fit, later, recipe=recipe, fill=fill)
    model = _calibrated(Trees(growth.booster, fill), cohort, windows, seed=recipe.seed)
    if windows.calibrate.sum() > _REFIT_ABOVE * windows.train.sum():
        booster = refit_boosting(known, recipe=recipe, rounds=growth.rounds, fill=fill)
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
