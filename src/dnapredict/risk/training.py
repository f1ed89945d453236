"""Train a model on the past, calibrate it on the latest slice, and say how it does on what came after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.training import ModelSettings, TrainingConfig
from dnapredict.risk.alarm import leak_alarm
from dnapredict.risk.baselines import BASE_RATE, rivals
from dnapredict.risk.boosting import Recipe, grow, regrow
from dnapredict.risk.calibrators import choose_calibrator
from dnapredict.risk.calling import Calls
from dnapredict.risk.cohort import SITE, Cohort
from dnapredict.risk.curves import fit_curves
from dnapredict.risk.drift import WeekRate, rates_by_week
from dnapredict.risk.gaps import fill_gaps, gap_filling
from dnapredict.risk.metrics import Figures, figures
from dnapredict.risk.model import Form, RiskModel
from dnapredict.risk.sites import fit_sites
from dnapredict.risk.treatment import Contacts, without_contacted
from dnapredict.risk.trees import Trees
from dnapredict.risk.tuning import Place, Tuned, Watch, tune
from dnapredict.risk.uncertainty import Difference, Interval, intervals, loss_difference
from dnapredict.risk.windows import Split, Windows, cut

__all__ = ["LIGHTGBM", "LOGISTIC", "Skill", "Training", "figures_by_population", "train"]

LIGHTGBM: Final = "lightgbm"
LOGISTIC: Final = "logistic_regression"
_MUCH: Final = 0.05
_SAMPLE: Final = 2_000
_ENOUGH: Final = 100_000  # rows for a quartile
_TENTH: Final = Calls(0.10)


@dataclass(frozen=True)
class Skill:
    """Whether a model is worth having: differences of log loss on the test, below 0 where it is better.

    Parameters
    ----------
    chosen : `lightgbm`, or `logistic_regression` where trees are not better beyond chance
    over_base_rate : the chosen model less everyone at the base rate
    over_logistic : trees less logistic regression on the same factors
    """

    chosen: str
    over_base_rate: Difference
    over_logistic: Difference

    @property
    def exists(self) -> bool:
        """Whether the model beats the base rate beyond chance; without that it is never promoted."""
        return self.over_base_rate.high < 0

    def __str__(self) -> str:
        """The verdict in a sentence."""
        if not self.exists:
            return "No skill over the base rate: these factors do not tell who will miss an appointment."
        if self.chosen == LOGISTIC:
            return "Trees are not better than logistic regression beyond chance: the simpler model is used."
        return "Trees are better than logistic regression beyond chance."


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
    split: Split
    contacts: Contacts | None
    test: dict[str, Figures]
    intervals: dict[str, dict[str, Interval]]
    baselines: dict[str, dict[str, Figures]]
    iterations: tuple[float, ...]
    specimens: NDArray[np.float64]
    test_rows: NDArray[np.bool_]
    tested: Cohort
    test_probability: NDArray[np.float64]
    weeks: tuple[WeekRate, ...]
    calls: Calls
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
    calls: Calls = _TENTH,
    study: Place | None = None,
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
    seed = config.seed
    cohort, windows, contacts = without_contacted(cohort, cut(cohort, config=config))
    tuned = None
    if config.tuning.trials:
        tuned = tune(cohort, windows=windows, config=config, directions=directions, place=study, watch=watch)
    settings = tuned.settings if tuned else config.model
    trees, iterations = _trees(cohort, windows, recipe=Recipe(settings, directions, seed))
    models = {LIGHTGBM: trees, LOGISTIC: _logistic_regression(cohort, windows, seed=seed)}
    tested = cohort.take(windows.test)
    risks = {name: model.probability(tested.matrix, sites=tested.sites) for name, model in models.items()}
    risks |= rivals(cohort, windows=windows, seed=seed)
    skill = _skill(tested, risks, seed=seed)
    reported = {name: figures_by_population(tested, risk) for name, risk in risks.items()}
    return Training(
        model=models[skill.chosen],
        skill=skill,
        settings=settings,
        tuned=tuned,
        alarm=leak_alarm(tested, risks[skill.chosen], above=config.leak_alarm_auroc),
        split=windows.split,
        contacts=contacts,
        test=reported[skill.chosen],
        intervals=_intervals(tested, risks[skill.chosen], seed=seed),
        baselines={
            name: found for name, found in reported.items() if name != skill.chosen or name == LOGISTIC
        },
        iterations=iterations,
        specimens=_specimens(cohort.take(windows.train).matrix),
        test_rows=windows.test,
        tested=tested.without_factors(),
        test_probability=risks[skill.chosen],
        weeks=rates_by_week(cohort, windows, risks[skill.chosen]),
        calls=calls,
        sample=_sample(tested.matrix, seed=seed),
    )


def figures_by_population(cohort: Cohort, probability: NDArray[np.float64]) -> dict[str, Figures]:
    """The figures of each population of `cohort`; an empty one has n = 0 and nothing else."""
    return {name: figures(cohort.dna[mask], probability[mask]) for name, mask in cohort.populations().items()}


def _trees(cohort: Cohort, windows: Windows, *, recipe: Recipe) -> tuple[RiskModel, tuple[float, ...]]:
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


def _logistic_regression(cohort: Cohort, windows: Windows, *, seed: int) -> RiskModel:
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


def _skill(tested: Cohort, risks: dict[str, NDArray[np.float64]], *, seed: int) -> Skill:
    def less(one: str, other: str) -> Difference:
        return loss_difference(tested.dna, risks[one], risks[other], patient=tested.patient, seed=seed)

    over_logistic = less(LIGHTGBM, LOGISTIC)
    chosen = LIGHTGBM if over_logistic.high < 0 else LOGISTIC
    return Skill(chosen, less(chosen, BASE_RATE), over_logistic)


def _intervals(
    tested: Cohort, probability: NDArray[np.float64], *, seed: int
) -> dict[str, dict[str, Interval]]:
    return {
        name: intervals(tested.dna[mask], probability[mask], patient=tested.patient[mask], seed=seed)
        for name, mask in tested.populations().items()
    }


def _sample(matrix: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).permutation(len(matrix))[:_SAMPLE]
    return matrix[np.sort(rows)]


def _specimens(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = matrix[:: -(-len(matrix) // _ENOUGH)]
    known = ~np.isnan(matrix).all(axis=0)
    rows = np.full((4, matrix.shape[1]), np.nan)
    rows[:3, known] = np.nanquantile(matrix[:, known], [0.25, 0.5, 0.75], axis=0)
    return rows
