"""Train a model on the past, calibrate it on the latest slice, and say how it does on what came after."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dnapredict.config.training_config import ModelSettings, TrainingConfig
from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import TimeWindows, Windows, cut
from dnapredict.model.evaluate.capacity_metrics import WeeklyCapacity
from dnapredict.model.evaluate.metric_intervals import PercentileInterval, intervals
from dnapredict.model.evaluate.model_checks import WeekRate, leak_alarm, rates_by_week
from dnapredict.model.evaluate.risk_metrics import Figures, falling, figures
from dnapredict.model.fit.baselines import LIGHTGBM, LOGISTIC, Skill, rivals, skill_of
from dnapredict.model.fit.contacted_weights import Contacts, without_contacted
from dnapredict.model.fit.fitting import BoostingSettings, logistic_regression, trees
from dnapredict.model.fit.tuning import StudyStorage, Tuned, Watch, tune
from dnapredict.model.form.risk_model import RiskModel

_SAMPLE: Final = 2_000
_ENOUGH: Final = 100_000  # rows for a quartile
_TENTH: Final = WeeklyCapacity(0.10)

Risks = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Training:
    """A model, and the figures by which to judge it.

    Parameters
    ----------
    model : the chosen form and its calibration
    skill : why that form, and whether it is worth having
    settings : of the trees: the configuration's, or those that tuning found
    tuned : what a search for better settings came to, where one was asked for
    alarm : a sentence where the figures are too good to be true, else empty
    split : the windows, by date, with their rows and missed appointments
    contacts : what was left out because a call had reached the patient, where the extract says so
    test : figures on the test window, by population
    intervals : the 95% interval of each of them, patients drawn again
    baselines : the figures of each rival, by its name
    iterations : log loss on the later slice after each round of boosting
    specimens : (4, p) float64
        Rows made of quartiles of the training matrix, and one of which nothing is known: what a
        stored model is tried on. They are no patient's.
    test_rows : (n,) bool, which rows of the cohort were the test
    tested : those rows, without their factors
    test_probability : the model's risk of each of them
    weeks : the share missed week by week, and the mean risk in those of the test
    calls : how many calls a week's list can have
    sample : (m, p) float64
        At most 2,000 rows of the test, drawn by the seed, over which what factors contribute is
        averaged. They are patients' and are stored nowhere.
    """

    model: RiskModel
    skill: Skill
    settings: ModelSettings
    tuned: Tuned | None
    alarm: str
    split: TimeWindows
    contacts: Contacts | None
    test: dict[str, Figures]
    intervals: dict[str, dict[str, PercentileInterval]]
    baselines: dict[str, dict[str, Figures]]
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
        """Whether each appointment of the test was missed."""
        return self.tested.dna


def train(
    cohort: Cohort,
    *,
    config: TrainingConfig,
    directions: Sequence[int],
    calls: WeeklyCapacity = _TENTH,
    study: StudyStorage | None = None,
    watch: Watch | None = None,
) -> Training:
    """Train on `cohort`, which holds matured outcomes and factors as known at `scored_at`.

    Parameters
    ----------
    directions : for each factor, -1, 0 or 1
        1 where it was agreed that the risk never falls as the factor rises (a monotone constraint).
    calls : how many calls a week's list can have, for what it would reach
    study : where the trials of tuning are kept, so that a search that was stopped goes on
    watch : told after each trial of tuning

    Raises
    ------
    NoEventsError
        If a window holds no missed, or no attended, appointment.
    """
    cohort, windows, contacts = without_contacted(cohort, cut(cohort, config=config))
    tuned = None
    if config.tuning.trials:
        tuned = tune(cohort, windows=windows, config=config, directions=directions, place=study, watch=watch)
    settings = tuned.settings if tuned else config.model
    # Threads of a BLAS wait for one another, which takes seconds on a busy machine, and gain little here.
    with threadpool_limits(limits=1, user_api="blas"):
        grown, iterations = trees(cohort, windows, recipe=BoostingSettings(settings, directions, config.seed))
        logistic, simple = _rivals(cohort, windows, seed=config.seed)
        models = {LIGHTGBM: grown, LOGISTIC: logistic}
        tested = cohort.take(windows.test)
        risks = {name: model.probability(tested.matrix, sites=tested.sites) for name, model in models.items()}
        risks |= simple
        skill = skill_of(tested, risks, seed=config.seed)
        risk = risks[skill.chosen]
        reported = {name: figures_by_population(tested, each) for name, each in risks.items()}
        return Training(
            model=models[skill.chosen],
            skill=skill,
            settings=settings,
            tuned=tuned,
            alarm=leak_alarm(tested, risk, above=config.leak_alarm_auroc),
            split=windows.split,
            contacts=contacts,
            test=reported[skill.chosen],
            intervals=_intervals(tested, risk, seed=config.seed),
            baselines={name: found for name, found in reported.items() if name != skill.chosen or name == LOGISTIC},
            iterations=iterations,
            specimens=_specimens(cohort.take(windows.train).matrix),
            test_rows=windows.test,
            tested=tested.without_factors(),
            test_probability=risk,
            weeks=rates_by_week(cohort, windows, risk),
            calls=calls,
            sample=_sample(tested.matrix, seed=config.seed),
        )


def figures_by_population(cohort: Cohort, probability: NDArray[np.float64]) -> dict[str, Figures]:
    """The figures of each population of `cohort`; an empty one has n = 0 and nothing else."""
    order = falling(probability)  # once for all populations: what is in order is not sorted again
    dna, risk = cohort.dna[order], probability[order]
    masks = {name: mask[order] for name, mask in cohort.populations().items()}
    return {name: figures(dna[mask], risk[mask]) for name, mask in masks.items()}


def _rivals(cohort: Cohort, windows: Windows, *, seed: int) -> tuple[RiskModel, Risks]:
    """Logistic regression, and the risks of simpler rivals: side by side, since each takes one processor."""
    with ThreadPoolExecutor(1) as beside:
        simple = beside.submit(rivals, cohort, windows=windows, seed=seed)
        return logistic_regression(cohort, windows, seed=seed), simple.result()


def _intervals(
    tested: Cohort, probability: NDArray[np.float64], *, seed: int
) -> dict[str, dict[str, PercentileInterval]]:
    populations = tested.populations()
    return intervals(tested.dna, probability, populations=populations, patient=tested.patient, seed=seed)


def _sample(matrix: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).permutation(len(matrix))[:_SAMPLE]
    return matrix[np.sort(rows)]


def _specimens(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = matrix[:: -(-len(matrix) // _ENOUGH)]
    known = ~np.isnan(matrix).all(axis=0)
    rows = np.full((4, matrix.shape[1]), np.nan)
    rows[:3, known] = np.nanquantile(matrix[:, known], [0.25, 0.5, 0.75], axis=0)
    return rows
