"""Train a model on the past, calibrate it on the latest slice, and evaluate it on what came after."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dnapredict.config.training_config import ModelSettings, TrainingConfig
from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import TimeWindows, Windows, split_by_time
from dnapredict.model.evaluate.capacity_metrics import WeeklyCapacity
from dnapredict.model.evaluate.metric_intervals import PercentileInterval, bootstrap_intervals
from dnapredict.model.evaluate.model_checks import WeekRate, leakage_warning, rates_by_week
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, by_descending_risk, compute_metrics
from dnapredict.model.fit.baselines import LIGHTGBM, LOGISTIC, ModelSelection, baseline_risks, select_model
from dnapredict.model.fit.contacted_weights import ExcludedContacts, exclude_contacted
from dnapredict.model.fit.fitting import BoostingSettings, fit_logistic_model, fit_tree_model
from dnapredict.model.fit.tuning import ProgressCallback, StudyStorage, TuningResult, tune
from dnapredict.model.form.risk_model import RiskModel

_SAMPLE: Final = 2_000
_ENOUGH: Final = 100_000  # rows for a quartile
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
        logistic, simple = _fit_baselines(cohort, windows, seed=config.seed)
        models = {LIGHTGBM: grown, LOGISTIC: logistic}
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
    matrix = matrix[:: -(-len(matrix) // _ENOUGH)]
    known = ~np.isnan(matrix).all(axis=0)
    rows = np.full((4, matrix.shape[1]), np.nan)
    rows[:3, known] = np.nanquantile(matrix[:, known], [0.25, 0.5, 0.75], axis=0)
    return rows
