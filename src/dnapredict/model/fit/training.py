"""Train a model on the past, calibrate it on the latest slice, and evaluate it on what came after.

Simple baselines are evaluated in the same windows: a model that does not beat them beyond chance has no use, and where
trees do not beat logistic regression beyond chance, the regression is chosen, since a person can read it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dnapredict.config.training_config import ModelSettings, TrainingConfig
from dnapredict.data.engine import running_step
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.capacity_metrics import WeeklyCapacity
from dnapredict.model.evaluate.metric_intervals import (
    PairedDifference,
    PercentileInterval,
    bootstrap_intervals,
    log_loss_difference,
)
from dnapredict.model.evaluate.model_checks import WeekRate, leakage_warning, rates_by_week
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, by_descending_risk, compute_metrics
from dnapredict.model.fit.calibration import fit_platt
from dnapredict.model.fit.fitting import (
    BoostingSettings,
    ExcludedContacts,
    exclude_contacted,
    fit_logistic_model,
    fit_tree_model,
    training_threads,
)
from dnapredict.model.fit.tuning import ProgressCallback, StudyStorage, TuningResult, tune
from dnapredict.model.risk_model import RiskModel, fit_splines
from dnapredict.model.time_split import TimeWindows, Windows, split_by_time
from dnapredict.model.tree_ensemble import Trees

BASE_RATE: Final = "base_rate"
LIGHTGBM_DEFAULT: Final = "lightgbm_default"
# Baselines of one factor each, where the extract has it.
_ONE_FACTOR: Final = {
    "specialty_rate": "specialty_rate",
    "missed_last_time": "last_outcome_dna",
    "patient_rate": "past_dna_rate",
}
# As many as the default trees need to be a fair baseline, and the quartiles of the factors to be exact enough.
_MOST_ROWS: Final = 100_000
_SPLINE_PENALTY: Final = 1.0  # one spline has too few weights to need a penalty
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
    curves = fit_splines(alone[windows.fit], cohort.dna[windows.fit], inverse_penalty=_SPLINE_PENALTY)
    return _calibrated(curves.margin(alone), cohort, windows)


def _lightgbm_default(cohort: Cohort, windows: Windows, *, seed: int) -> NDArray[np.float64]:
    """LightGBM with its default settings: 100 rounds of 31 leaves, on at most 100,000 rows, evenly over time."""
    rows = np.flatnonzero(windows.fit)
    rows = rows[:: -(-len(rows) // _MOST_ROWS)]
    settings = {
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "verbosity": -1,
        "num_threads": training_threads(len(rows)),
    }
    booster = lgb.train(settings, lgb.Dataset(cohort.matrix[rows], cohort.dna[rows]), _DEFAULT_ROUNDS)
    trees, margin = Trees(booster, fill=_NO_IMPUTATION), np.zeros(len(cohort))
    for window in (windows.calibrate, windows.test):
        margin[window] = trees.margin(cohort.take(window).matrix)
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


_SAMPLE: Final = 2_000
_TENTH: Final = WeeklyCapacity(0.10)

Risks = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Training:
    """A trained model and its evaluation.

    Parameters
    ----------
    model : trees or logistic regression, with its calibration
    selection : why this form was chosen, and whether it beats the base rate
    settings : of the trees: the configuration's, or those that tuning found
    tuned : the result of tuning, where the configuration asks for it
    leakage_warning : a sentence where AUROC is too high to be honest, else empty
    split : the windows, by date, with their rows and missed appointments
    contacts : appointments left out because a call had reached the patient, where the extract has calls
    test : metrics on the test window, by population
    intervals : the 95% bootstrap interval of each of them
    baselines : the metrics of each baseline, by its name
    iterations : log loss on the later slice after each round of boosting
    specimens : (4, p) float64
        Quartiles of the training matrix, and a row of unknown values: a stored model is checked on them.
        They are no patient's.
    test_rows : (n,) bool, which rows of the cohort are the test window
    tested : those rows, without their factors
    test_probability : the model's risk of each of them
    weeks : the share missed by week, and the mean risk in weeks of the test window
    calls : the weekly capacity
    sample : (m, p) float64
        At most 2,000 random rows of the test window, over which SHAP values are averaged. They are patients'
        and are not stored.
    """

    model: RiskModel
    selection: ModelSelection
    settings: ModelSettings
    tuned: TuningResult | None
    leakage_warning: str
    split: TimeWindows
    contacts: ExcludedContacts | None
    test: dict[str, RiskMetrics]
    intervals: dict[str, dict[str, PercentileInterval]]
    baselines: dict[str, dict[str, RiskMetrics]]
    iterations: tuple[float, ...]
    specimens: NDArray[np.float64]
    test_rows: NDArray[np.bool_]
    tested: Cohort
    test_probability: NDArray[np.float64]
    weeks: tuple[WeekRate, ...]
    calls: WeeklyCapacity
    sample: NDArray[np.float64]

    @property
    def test_dna(self) -> NDArray[np.bool_]:
        """Whether each appointment of the test window was missed."""
        return self.tested.dna


def train(
    cohort: Cohort,
    *,
    config: TrainingConfig,
    directions: Sequence[int],
    calls: WeeklyCapacity = _TENTH,
    study: StudyStorage | None = None,
    on_trial: ProgressCallback | None = None,
) -> Training:
    """Train on `cohort`, which holds matured outcomes and factors as known at `scored_at`.

    Parameters
    ----------
    directions : for each factor, -1, 0 or 1
        1 where it was agreed that the risk never falls as the factor rises (a monotone constraint).
    calls : the weekly capacity, for reach
    study : where the trials of tuning are stored, so that an interrupted search is resumed
    on_trial : called after each trial of tuning

    Raises
    ------
    NoEventsError
        If a window holds no missed, or no attended, appointment.
    """
    cohort, windows, contacts = exclude_contacted(cohort, split_by_time(cohort, config=config))
    tuned = None
    if config.tuning.trials:
        tuned = tune(cohort, windows=windows, config=config, directions=directions, storage=study, on_trial=on_trial)
    settings = tuned.settings if tuned else config.model
    # Threads of a BLAS wait for one another, which takes seconds on a busy machine, and gain little here.
    with threadpool_limits(limits=1, user_api="blas"):
        grown, iterations = fit_tree_model(cohort, windows, recipe=BoostingSettings(settings, directions, config.seed))
        running_step.begin("Fitting simpler models, to compare")
        logistic, simple = _fit_baselines(cohort, windows, seed=config.seed)
        models = {LIGHTGBM: grown, LOGISTIC: logistic}
        running_step.begin("Testing on later appointments")
        # Taken once for all models: the test window can be a gigabyte.
        tested = cohort.take(windows.test)
        risks = {name: model.probability(tested.matrix, sites=tested.sites) for name, model in models.items()}
        risks |= simple
        selection = select_model(tested, risks, seed=config.seed)
        risk = risks[selection.chosen]
        reported = {name: metrics_by_population(tested, each) for name, each in risks.items()}
        return Training(
            model=models[selection.chosen],
            selection=selection,
            settings=settings,
            tuned=tuned,
            leakage_warning=leakage_warning(tested, risk, above=config.leak_alarm_auroc),
            split=windows.split,
            contacts=contacts,
            test=reported[selection.chosen],
            intervals=_intervals(tested, risk, seed=config.seed),
            baselines={name: each for name, each in reported.items() if name != selection.chosen or name == LOGISTIC},
            iterations=iterations,
            # Quartiles, not rows of patients: they are stored with the model.
            specimens=_specimens(cohort.take(windows.train).matrix),
            test_rows=windows.test,
            tested=tested.without_factors(),
            test_probability=risk,
            weeks=rates_by_week(cohort, windows, risk),
            calls=calls,
            sample=_sample(tested.matrix, seed=config.seed),
        )


def metrics_by_population(cohort: Cohort, probability: NDArray[np.float64]) -> dict[str, RiskMetrics]:
    """The metrics of each population of `cohort`; an empty one has n = 0 only."""
    order = by_descending_risk(probability)  # sorted once for all populations
    dna, risk = cohort.dna[order], probability[order]
    masks = {name: mask[order] for name, mask in cohort.populations().items()}
    return {name: compute_metrics(dna[mask], risk[mask]) for name, mask in masks.items()}


def _fit_baselines(cohort: Cohort, windows: Windows, *, seed: int) -> tuple[RiskModel, Risks]:
    """Logistic regression and the risks of the baselines, fitted in parallel: each takes one processor."""
    with ThreadPoolExecutor(1) as executor:
        simple = executor.submit(baseline_risks, cohort, windows=windows, seed=seed)
        return fit_logistic_model(cohort, windows, seed=seed), simple.result()


def _intervals(
    tested: Cohort, probability: NDArray[np.float64], *, seed: int
) -> dict[str, dict[str, PercentileInterval]]:
    populations = tested.populations()
    return bootstrap_intervals(tested.dna, probability, populations=populations, patient=tested.patient, seed=seed)


def _sample(matrix: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).permutation(len(matrix))[:_SAMPLE]
    return matrix[np.sort(rows)]


def _specimens(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = matrix[:: -(-len(matrix) // _MOST_ROWS)]
    known = ~np.isnan(matrix).all(axis=0)
    rows = np.full((4, matrix.shape[1]), np.nan)
    rows[:3, known] = np.nanquantile(matrix[:, known], [0.25, 0.5, 0.75], axis=0)
    return rows
