"""Look for better settings of the trees, inside the training window only, within a budget of time.

Settings are judged as they will be used: on later weeks than they learned from, recalibrated, and by
log loss. Trees stay so shallow that their exact SHAP values can be looked up (`lookup`): what each
leaf more costs there is in docs/results.md.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from dnapredict.config.training_config import ModelSettings, TrainingConfig
from dnapredict.errors import StoreError
from dnapredict.model.cohort.cohort import Cohort
from dnapredict.model.cohort.time_split import Fold, Windows, rolling
from dnapredict.model.fit.fitting import BoostingSettings, grow
from dnapredict.model.form.calibrators import fit_platt
from dnapredict.model.form.tree_ensemble import Trees, fill_gaps, gap_filling

# Settings that do well on an even share over time do well on all of it; a trial must end in minutes.
_ENOUGH: Final = 200_000
# Least, most, and whether steps are ratios. Eight leaves ask at most seven factors: 3 ** 7 ways through a
# tree still make a table to look up.
_SEARCHED: Final[dict[str, tuple[Any, Any, bool]]] = {
    "num_leaves": (3, 8, False),
    "learning_rate": (0.02, 0.2, True),
    "min_child_samples": (20, 2_000, True),
    "feature_fraction": (0.2, 1.0, False),
    "bagging_fraction": (0.4, 1.0, False),
    "lambda_l2": (0.1, 300.0, True),
}
_LEAST_RISK: Final = 1e-15


@dataclass(frozen=True)
class TuningProgress:
    """How far a search has come: trials done, of how many, and the least log loss so far."""

    done: int
    wanted: int
    best: float


@dataclass(frozen=True)
class StudyStorage:
    """Where a study is kept, so that one that was stopped goes on: a database's address, and a name."""

    storage: str
    name: str


@dataclass(frozen=True)
class Trial:
    """Some settings, and their log loss on each fold."""

    number: int
    settings: ModelSettings
    folds: tuple[float, ...]

    @property
    def log_loss(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.folds))


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    `settings` are those to use: the best trial's where they beat those of the configuration, trial 0,
    by more than one standard error on held rows, otherwise those of the configuration.
    """

    settings: ModelSettings
    trials: tuple[Trial, ...]
    gain: float
    standard_error: float

    def __str__(self) -> str:
        """The outcome in a sentence."""
        kept = "taken" if self.gain > self.standard_error else "not taken"
        return (
            f"{len(self.trials)} settings were tried on rolling weeks of the training window; the best "
            f"lowers log loss by {self.gain:.5f} (standard error {self.standard_error:.5f}): {kept}."
        )


Watch = Callable[[TuningProgress], None]


def tune(
    cohort: Cohort,
    *,
    windows: Windows,
    config: TrainingConfig,
    directions: Sequence[int],
    place: StudyStorage | None = None,
    watch: Watch | None = None,
) -> Tuned | None:
    """Search for settings of the trees; None where the training window is too short for a fold.

    Parameters
    ----------
    place : where trials are kept; without it they are forgotten when the search ends
    watch : told after each trial

    Raises
    ------
    StoreError
        If the study cannot be read or written.
    """
    thinned = _thinned(windows)
    folds = rolling(cohort, windows=thinned, most=config.tuning.folds, gap_days=config.gap_days)
    if not folds:
        return None
    judge = _CrossValidatedLoss(cohort, folds, directions=directions, seed=config.seed)
    try:
        study = _study(config, place)
        _search(study, judge, config=config, watch=watch)
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError):
        raise StoreError("The study of settings cannot be read or written; is the disk full?") from None
    trials = tuple(_trial(trial) for trial in study.trials if trial.state.is_finished() and trial.values)
    return _chosen(trials, judge)


class _CrossValidatedLoss:
    """Log loss of held rows under some settings, fold by fold."""

    def __init__(self, cohort: Cohort, folds: Sequence[Fold], *, directions: Sequence[int], seed: int) -> None:
        self._cohort, self._folds = cohort, folds
        self._directions, self._seed = directions, seed

    def losses(self, settings: ModelSettings) -> list[NDArray[np.float64]]:
        """For each fold, the log loss of each held row."""
        return [self._of(fold, BoostingSettings(settings, self._directions, self._seed)) for fold in self._folds]

    def _of(self, fold: Fold, recipe: BoostingSettings) -> NDArray[np.float64]:
        fit, later, held = (self._cohort.take(rows) for rows in (fold.fit, fold.later, fold.held))
        fill = gap_filling(fit.matrix, enough=recipe.settings.min_child_samples)
        filled = [replace(part, matrix=fill_gaps(part.matrix, fill)) for part in (fit, later)]
        trees = Trees(grow(*filled, recipe=recipe).booster, fill)
        risk = fit_platt(later.dna, trees.margin(later.matrix)).probability(trees.margin(held.matrix))
        return -np.log(np.maximum(np.where(held.dna, risk, 1 - risk), _LEAST_RISK))


def _study(config: TrainingConfig, place: StudyStorage | None) -> optuna.Study:
    """The study of that name, as far as it has come; the settings of the configuration go first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    study = optuna.create_study(
        storage=place.storage if place else None,
        study_name=place.name if place else None,
        load_if_exists=True,
    )
    if not study.trials:
        study.enqueue_trial(_searched(config.model))
    study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
    return study


def _search(study: optuna.Study, judge: _CrossValidatedLoss, *, config: TrainingConfig, watch: Watch | None) -> None:
    wanted = config.tuning.trials

    def objective(trial: optuna.Trial) -> float:
        settings = _suggested(trial, config)
        folds = [float(losses.mean()) for losses in judge.losses(settings)]
        trial.set_user_attr("settings", settings.model_dump(mode="json"))
        trial.set_user_attr("folds", folds)
        return float(np.mean(folds))

    def tell(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        if watch is not None:
            watch(TuningProgress(_finished(study), wanted, study.best_value))

    left = wanted - _finished(study)
    if left > 0:
        study.optimize(objective, n_trials=left, timeout=config.tuning.minutes * 60, callbacks=[tell])


def _suggested(trial: optuna.Trial, config: TrainingConfig) -> ModelSettings:
    found: dict[str, float] = {}
    for name, (least, most, log) in _SEARCHED.items():
        usual = getattr(config.model, name)  # a study begins with it, wherever it lies
        suggest = trial.suggest_int if isinstance(usual, int) else trial.suggest_float
        found[name] = suggest(name, min(least, usual), max(most, usual), log=log)
    return config.model.model_copy(update=found)


def _searched(settings: ModelSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in _SEARCHED}


def _chosen(trials: tuple[Trial, ...], judge: _CrossValidatedLoss) -> Tuned | None:
    """The best trial, where it beats trial 0 by more than chance in the held weeks would."""
    if not trials:
        return None
    first, best = trials[0], min(trials, key=lambda trial: trial.log_loss)
    if best is first:
        return Tuned(first.settings, trials, 0.0, 0.0)
    less = [one - other for one, other in zip(judge.losses(first.settings), judge.losses(best.settings), strict=True)]
    gain = float(np.mean([losses.mean() for losses in less]))
    error = float(np.sqrt(sum(losses.var() / len(losses) for losses in less))) / len(less)
    return Tuned(best.settings if gain > error else first.settings, trials, gain, error)


def _trial(trial: optuna.trial.FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    settings = ModelSettings.model_validate(attributes["settings"])
    return Trial(trial.number, settings, tuple(attributes["folds"]))


def _finished(study: optuna.Study) -> int:
    return sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)


def _thinned(windows: Windows) -> Windows:
    """The same windows with at most 200,000 rows to train on, evenly over time."""
    rows = np.flatnonzero(windows.train)
    kept = np.zeros(len(windows.train), dtype=bool)
    kept[rows[:: -(-len(rows) // _ENOUGH)]] = True
    return replace(windows, fit=windows.fit & kept, calibrate=windows.calibrate & kept)
