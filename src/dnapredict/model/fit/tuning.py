"""Tune the settings of the trees inside the training window, within a time budget.

Settings are evaluated on later weeks than they were fitted on, recalibrated, and by log loss. Trees stay so shallow
that their exact SHAP values can be looked up (`tree_ensemble`); docs/results.md has the cost of each further leaf.
"""

import datetime
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from dnapredict.config.training_config import ModelSettings, TrainingConfig
from dnapredict.errors import StoreError
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.risk_metrics import row_losses
from dnapredict.model.fit.calibration import fit_platt
from dnapredict.model.fit.fitting import BoostingSettings, fit_boosting
from dnapredict.model.time_split import Fold, Windows, rolling_folds
from dnapredict.model.tree_ensemble import Trees, imputation_values

if TYPE_CHECKING:
    import optuna

# A sample, so that a trial ends in minutes; it is spread evenly over time.
_MOST_ROWS: Final = 200_000
# Lowest, highest, and whether the scale is logarithmic. Eight leaves split on at most seven factors: a table of
# 3 ** 7 rows can still be looked up.
_SEARCHED: Final[dict[str, tuple[Any, Any, bool]]] = {
    "num_leaves": (3, 8, False),
    "learning_rate": (0.02, 0.2, True),
    "min_child_samples": (20, 2_000, True),
    "feature_fraction": (0.2, 1.0, False),
    "bagging_fraction": (0.4, 1.0, False),
    "lambda_l2": (0.1, 300.0, True),
}


@dataclass(frozen=True)
class TuningProgress:
    """Trials done, of how many, and the lowest log loss so far."""

    done: int
    wanted: int
    best: float


@dataclass(frozen=True)
class StudyStorage:
    """Database URL and name of a study, under which an interrupted search is resumed."""

    url: str
    name: str


@dataclass(frozen=True)
class Trial:
    """Settings, their log loss on each fold, and when they were tried."""

    number: int
    settings: ModelSettings
    folds: tuple[float, ...]
    began: datetime.datetime | None = field(default=None, compare=False)
    ended: datetime.datetime | None = field(default=None, compare=False)

    @property
    def log_loss(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.folds))


@dataclass(frozen=True)
class TuningResult:
    """The result of a search.

    `settings` are those to use: the best trial's where they beat those of the configuration (trial 0) by more than
    one standard error on held-out rows, otherwise those of the configuration.
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


ProgressCallback = Callable[[TuningProgress], None]


def tune(
    cohort: Cohort,
    *,
    windows: Windows,
    config: TrainingConfig,
    directions: Sequence[int],
    storage: StudyStorage | None = None,
    on_trial: ProgressCallback | None = None,
) -> TuningResult | None:
    """Search for settings of the trees; None where the training window is too short for a fold.

    Parameters
    ----------
    storage : where trials are kept; without it they are lost when the search ends
    on_trial : called after each trial

    Raises
    ------
    StoreError
        If the study cannot be read or written.
    """
    from optuna.exceptions import StorageInternalError  # here, since every verb loads this module

    thinned = _thinned(windows)
    folds = rolling_folds(cohort, windows=thinned, most=config.tuning.folds, gap_days=config.gap_days)
    if not folds:
        return None
    judge = _CrossValidatedLoss(cohort, folds, directions=directions, seed=config.seed)
    try:
        study = _study(config, storage)
        _search(study, judge, config=config, on_trial=on_trial)
    except (StorageInternalError, SQLAlchemyError):
        raise StoreError("The study of settings cannot be read or written; is the disk full?") from None
    trials = tuple(_trial(trial) for trial in study.trials if trial.state.is_finished() and trial.values)
    return _chosen(trials, judge)


class _CrossValidatedLoss:
    """Log loss of held-out rows under given settings, by fold."""

    def __init__(self, cohort: Cohort, folds: Sequence[Fold], *, directions: Sequence[int], seed: int) -> None:
        self._cohort, self._folds = cohort, folds
        self._directions, self._seed = directions, seed

    def losses(self, settings: ModelSettings) -> list[NDArray[np.float64]]:
        """For each fold, the log loss of each held-out row."""
        return [self._of(fold, BoostingSettings(settings, self._directions, self._seed)) for fold in self._folds]

    def _of(self, fold: Fold, recipe: BoostingSettings) -> NDArray[np.float64]:
        fit, later, held = (self._cohort.take(rows) for rows in (fold.fit, fold.later, fold.held))
        fill = imputation_values(fit.matrix, enough=recipe.settings.min_child_samples)
        trees = Trees(fit_boosting(fit, later, recipe=recipe, fill=fill).booster, fill)
        risk = fit_platt(later.dna, trees.margin(later.matrix)).probability(trees.margin(held.matrix))
        return row_losses(held.dna, risk)


def _study(config: TrainingConfig, storage: StudyStorage | None) -> "optuna.Study":
    """The stored study, or a new one whose first trial is the settings of the configuration."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    study = optuna.create_study(
        storage=storage.url if storage else None,
        study_name=storage.name if storage else None,
        load_if_exists=True,
    )
    if not study.trials:
        study.enqueue_trial(_searched(config.model))
    study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
    return study


def _search(
    study: "optuna.Study", judge: _CrossValidatedLoss, *, config: TrainingConfig, on_trial: ProgressCallback | None
) -> None:
    wanted = config.tuning.trials

    def objective(trial: "optuna.Trial") -> float:
        settings = _suggested(trial, config)
        folds = [float(losses.mean()) for losses in judge.losses(settings)]
        trial.set_user_attr("settings", settings.model_dump(mode="json"))
        trial.set_user_attr("folds", folds)
        return float(np.mean(folds))

    def report(study: "optuna.Study", _: "optuna.trial.FrozenTrial") -> None:
        if on_trial is not None:
            on_trial(TuningProgress(_finished(study), wanted, study.best_value))

    remaining = wanted - _finished(study)
    if remaining > 0:
        study.optimize(objective, n_trials=remaining, timeout=config.tuning.minutes * 60, callbacks=[report])


def _suggested(trial: "optuna.Trial", config: TrainingConfig) -> ModelSettings:
    settings: dict[str, float] = {}
    for name, (least, most, log) in _SEARCHED.items():
        usual = getattr(config.model, name)  # the first trial, which must be inside the range
        suggest = trial.suggest_int if isinstance(usual, int) else trial.suggest_float
        settings[name] = suggest(name, min(least, usual), max(most, usual), log=log)
    return config.model.model_copy(update=settings)


def _searched(settings: ModelSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in _SEARCHED}


def _chosen(trials: tuple[Trial, ...], judge: _CrossValidatedLoss) -> TuningResult | None:
    """The best trial, where it beats trial 0 by more than one standard error on held-out rows."""
    if not trials:
        return None
    first, best = trials[0], min(trials, key=lambda trial: trial.log_loss)
    if best is first:
        return TuningResult(first.settings, trials, 0.0, 0.0)
    less = [one - other for one, other in zip(judge.losses(first.settings), judge.losses(best.settings), strict=True)]
    gain = float(np.mean([losses.mean() for losses in less]))
    error = float(np.sqrt(sum(losses.var() / len(losses) for losses in less))) / len(less)
    return TuningResult(best.settings if gain > error else first.settings, trials, gain, error)


def _trial(trial: "optuna.trial.FrozenTrial") -> Trial:
    attributes = trial.user_attrs
    settings = ModelSettings.model_validate(attributes["settings"])
    times = [when and when.astimezone(datetime.UTC) for when in (trial.datetime_start, trial.datetime_complete)]
    return Trial(trial.number, settings, tuple(attributes["folds"]), *times)


def _finished(study: "optuna.Study") -> int:
    from optuna.trial import TrialState

    return sum(trial.state == TrialState.COMPLETE for trial in study.trials)


def _thinned(windows: Windows) -> Windows:
    """The same windows with at most 200,000 rows to train on, evenly over time."""
    rows = np.flatnonzero(windows.train)
    kept = np.zeros(len(windows.train), dtype=bool)
    kept[rows[:: -(-len(rows) // _MOST_ROWS)]] = True
    return replace(windows, fit=windows.fit & kept, calibrate=windows.calibrate & kept)
