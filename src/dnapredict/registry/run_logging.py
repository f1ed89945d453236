"""Log a training as an MLflow run: parameters, metrics, datasets, child runs, charts, the model and its card."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from dnapredict.model.artefact import StoredModel
from dnapredict.model.evaluate.metric_intervals import ModelComparison
from dnapredict.model.evaluate.risk_metrics import RiskMetrics
from dnapredict.model.fit.training import Training
from dnapredict.model.fit.tuning import Trial, TuningResult
from dnapredict.model.report.model_card import model_card
from dnapredict.model.report.training_charts import chart_files
from dnapredict.model.report.training_records import (
    RunMetric,
    comparison_metrics,
    comparison_table,
    run_metrics,
    run_parameters,
    run_tags,
    selection_tags,
    table_files,
)
from dnapredict.model.time_split import Window
from dnapredict.registry.mlflow_store import Store

_BATCH: Final = 1_000  # metrics that MLflow takes in one call
_DIGEST: Final = 32  # MLflow stores 36 characters of a digest; the tag `data_sha256` has all of it
_PARENT: Final = "mlflow.parentRunId"
_SERVED: Final = Path(__file__).with_name("pyfunc_model.py")


def _metrics(figures: Iterable[RunMetric]) -> list[Metric]:
    """Figures as metrics, all with the same time."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(figure.name, figure.value, now, figure.step) for figure in figures]


def _log_inputs(store: Store, training: Training, stored: StoredModel, *, run_id: str) -> None:
    """Log the three windows of the extract as inputs of the run; no row of it is written."""
    split, digest = training.split, stored.manifest.provenance.data_sha256
    windows = {"fitting": split.fit, "calibration": split.calibrate, "test": split.test}
    inputs = [_input(name, window, digest=digest) for name, window in windows.items()]
    store.client.log_inputs(run_id, datasets=inputs)


def _input(name: str, window: Window, *, digest: str) -> DatasetInput:
    profile = {
        "first": window.first.isoformat(),
        "last": window.last.isoformat(),
        "num_rows": window.rows,
        "missed": window.dna,
    }
    source = json.dumps({"sha256": digest})
    dataset = Dataset(name, digest[:_DIGEST], "extract", source, profile=json.dumps(profile))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", name)])


def _log_children(store: Store, training: Training, *, parent: str) -> None:
    """Log the baselines and the trials of tuning as runs below `parent`."""
    for name, populations in training.baselines.items():
        _child(store, parent, name=name, kind="rival", figures=_of_populations(populations))
    if training.tuned is not None:
        for trial in training.tuned.trials:
            _trial(store, training.tuned, trial, parent=parent)


def _trial(store: Store, tuned: TuningResult, trial: Trial, *, parent: str) -> None:
    """One trial: its settings, and the log loss of the validation weeks, a step for each fold, the latest first."""
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


def _of_trial(trial: Trial) -> Iterator[RunMetric]:
    yield RunMetric("held_log_loss", trial.log_loss)
    for step, loss in enumerate(trial.folds, start=1):
        yield RunMetric("fold_log_loss", loss, step)


def _of_populations(populations: dict[str, RiskMetrics]) -> Iterator[RunMetric]:
    for population, figures in populations.items():
        for name, value in figures.as_dict().items():
            if value is not None:
                yield RunMetric(f"{population}/{name}", float(value))


def _child(
    store: Store,
    parent: str,
    *,
    name: str,
    kind: str,
    figures: Iterable[RunMetric],
    params: dict[str, Any] | None = None,
    **tags: str,
) -> None:
    client = store.client
    run = client.create_run(store.experiment(), run_name=name, tags={_PARENT: parent})
    client.log_batch(
        run.info.run_id,
        metrics=_metrics(figures),
        params=[Param(key, str(value)) for key, value in (params or {}).items()],
        tags=[RunTag("kind", kind), *(RunTag(key, value) for key, value in tags.items())],
    )
    client.set_terminated(run.info.run_id)


def log_training(store: Store, training: Training, stored: StoredModel, *, files: Mapping[str, str]) -> str:
    """Log a training as a run with its child runs, and return its id.

    `files` are texts to keep with it, by name, such as those that reproduce the model.
    """
    client = store.client
    run = client.create_run(store.experiment(), run_name=stored.digest[:8])
    run_id = str(run.info.run_id)
    tags = run_tags(stored) | selection_tags(training) | {"kind": "training"}
    params = [Param(key, value) for key, value in run_parameters(stored).items()]
    client.log_batch(run_id, params=params, tags=[RunTag(key, value) for key, value in tags.items()])
    metrics = _metrics(run_metrics(training))
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
    client.log_text(run_id, model_card(training, stored), "model-card.md")
    worth = stored.manifest.provenance.config.worth
    register = stored.manifest.provenance.register_of_factors
    titles = [register.factor(name).title for name in stored.manifest.factors]
    for name, figure in chart_files(training, titles=titles, worth=worth):
        client.log_text(run_id, figure, f"figures/{name}")
    for name, content in table_files(training, worth=worth):
        client.log_text(run_id, content, f"tables/{name}")
    for name, content in files.items():
        client.log_text(run_id, content, name)
    _log_inputs(store, training, stored, run_id=run_id)
    _log_children(store, training, parent=run_id)
    client.set_terminated(run_id)
    return run_id


def log_model(store: Store, folder: Path, run_id: str, *, factors: tuple[str, ...]) -> str:
    """Log the stored model with its run, in a form that MLflow loads without pickle; return its id."""
    mlflow.set_tracking_uri(store.address)
    mlflow.set_registry_uri(store.address)
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_SERVED),
            artifacts={"model": str(folder)},
            # Given, or MLflow starts a process to infer them: 7 s for each training.
            pip_requirements=[f"dnapredict=={installed('dnapredict')}"],
            # No input schema: MLflow's own check prints the whole frame of patients when it fails.
            signature=ModelSignature(outputs=Schema([ColSpec("double")])),
            metadata={"factors": list(factors)},
        )
    return str(logged.model_id)


def log_comparison(store: Store, comparison: ModelComparison, *, versions: tuple[str, str]) -> str:
    """Log the paired differences of two versions as a run and return its id."""
    client, (one, other) = store.client, versions
    run = client.create_run(store.experiment(), run_name=f"version {one} less version {other}")
    run_id = str(run.info.run_id)
    tags = {
        "kind": "comparison",
        "version": one,
        "compared_with": other,
        "verdict": comparison.verdict(f"Version {one}", f"version {other}"),
    }
    client.log_batch(
        run_id,
        metrics=_metrics(comparison_metrics(comparison)),
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.log_text(run_id, comparison_table(comparison, versions=versions), "comparison.csv")
    client.set_terminated(run_id)
    return run_id
