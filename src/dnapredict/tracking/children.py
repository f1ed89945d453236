"""Runs beneath the run of a training: one for each rival, and one for each trial of tuning.

Figures have the same names in every run, so that an analyst ticks runs and compares columns.
"""

from collections.abc import Iterator
from typing import Any, Final

from dnapredict.risk.metrics import Figures
from dnapredict.risk.record import Figure
from dnapredict.risk.training import Training
from dnapredict.risk.tuning import Trial, Tuned
from dnapredict.tracking.store import Store

# isort: split
from mlflow.entities import Param, RunTag

from dnapredict.tracking.amounts import metrics_of

__all__ = ["record_children"]

_PARENT: Final = "mlflow.parentRunId"


def record_children(store: Store, training: Training, *, parent: str) -> None:
    """Make the runs beneath `parent`."""
    for name, populations in training.baselines.items():
        _child(store, parent, name=name, kind="rival", figures=_of(populations))
    if training.tuned is not None:
        for trial in training.tuned.trials:
            _trial(store, training.tuned, trial, parent=parent)


def _trial(store: Store, tuned: Tuned, trial: Trial, *, parent: str) -> None:
    """One trial: its settings, and the log loss of held weeks, fold by fold as steps, the latest first."""
    settings = trial.settings.model_dump(mode="json")
    _child(
        store,
        parent,
        name=f"trial {trial.number}",
        kind="trial",
        figures=_of_trial(trial),
        params={f"model.{key}": value for key, value in settings.items()},
        taken=str(trial.settings == tuned.settings).lower(),
    )


def _of_trial(trial: Trial) -> Iterator[Figure]:
    yield Figure("held_log_loss", trial.log_loss)
    for step, loss in enumerate(trial.folds, start=1):
        yield Figure("fold_log_loss", loss, step)


def _of(populations: dict[str, Figures]) -> Iterator[Figure]:
    for population, figures in populations.items():
        for name, value in figures.as_dict().items():
            if value is not None:
                yield Figure(f"{population}/{name}", float(value))


def _child(
    store: Store,
    parent: str,
    *,
    name: str,
    kind: str,
    figures: Iterator[Figure],
    params: dict[str, Any] | None = None,
    **tags: str,
) -> None:
    client = store.client
    run = client.create_run(store.experiment(), run_name=name, tags={_PARENT: parent})
    client.log_batch(
        run.info.run_id,
        metrics=metrics_of(figures),
        params=[Param(key, str(value)) for key, value in (params or {}).items()],
        tags=[RunTag("kind", kind), *(RunTag(key, value) for key, value in tags.items())],
    )
    client.set_terminated(run.info.run_id)
