"""Log a training as an MLflow run: parameters, metrics, datasets, child runs, charts, the model and its card."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param, RunTag

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
from dnapredict.registry.decision_ledger import account_name
from dnapredict.registry.mlflow_store import TrackingStore

_BATCH: Final = 1_000  # metrics that MLflow takes in one call
_DIGEST: Final = 32  # MLflow stores 36 characters of a digest; the tag `data_sha256` has all of it
_PARENT: Final = "mlflow.parentRunId"
_NOTE: Final = "mlflow.note.content"
_TRAIN: Final = "dnapredict train"
_NOTES: Final = {
    "rival": "A simpler model, fitted and tested on the same appointments as the model of the run above.",
    "trial": "Settings that tuning tried, and their log loss on held-out weeks; each step is a fold.",
}


def open_run(
    store: TrackingStore,
    *,
    name: str,
    kind: str,
    command: str,
    note: str = "",
    began: datetime | None = None,
    revision: str = "",
    parent: str = "",
) -> str:
    """Create a run and return its id.

    Parameters
    ----------
    kind
        What it is a run of, as the tag `kind`: `training`, `rival`, `trial` (of a tuning), `comparison`, `audit`,
        `monitor`, `trial_report`.
    command
        The command that made it, shown by MLflow as its source.
    note
        Its description, Markdown.
    began
        When the work began; by default now, so that the run lasts as long as it is logged.
    revision
        Revision of the code, where it is known.
    parent
        The run that this one is beneath.
    """
    tags = {
        "kind": kind,
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
        "mlflow.user": account_name(),
        "mlflow.source.git.commit": revision.removesuffix("+dirty"),
        _NOTE: note,
        _PARENT: parent,
    }
    given = {key: value for key, value in tags.items() if value}
    start = None if began is None else _milliseconds(began)
    return str(store.client.create_run(store.experiment(), start, given, name).info.run_id)


def _milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def _metrics(figures: Iterable[RunMetric]) -> list[Metric]:
    """Figures as metrics, all with the same time."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(figure.name, figure.value, now, figure.step) for figure in figures]


def _log_metrics(store: TrackingStore, run_id: str, figures: Iterable[RunMetric]) -> None:
    """Log any number of figures."""
    metrics = _metrics(figures)
    for start in range(0, len(metrics), _BATCH):
        store.client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _log_inputs(store: TrackingStore, training: Training, stored: StoredModel, *, run_id: str) -> None:
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


def _log_children(store: TrackingStore, training: Training, *, parent: str) -> None:
    """Log the baselines and the trials of tuning as runs below `parent`."""
    for name, populations in training.baselines.items():
        _child(store, parent, name=name, kind="rival", figures=_of_populations(populations))
    if training.tuned is not None:
        for trial in training.tuned.trials:
            _trial(store, training.tuned, trial, parent=parent)


def _trial(store: TrackingStore, tuned: TuningResult, trial: Trial, *, parent: str) -> None:
    """One trial: its settings, and the log loss of the validation weeks, a step for each fold, the latest first."""
    settings = trial.settings.model_dump(mode="json")
    _child(
        store,
        parent,
        name=f"trial {trial.number}",
        kind="trial",
        figures=_of_trial(trial),
        params={f"model.{key}": value for key, value in settings.items()},
        times=(trial.began, trial.ended),
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
    store: TrackingStore,
    parent: str,
    *,
    name: str,
    kind: str,
    figures: Iterable[RunMetric],
    params: dict[str, Any] | None = None,
    times: tuple[datetime | None, datetime | None] = (None, None),
    **tags: str,
) -> None:
    client, (began, ended) = store.client, times
    run_id = open_run(store, name=name, kind=kind, command=_TRAIN, note=_NOTES[kind], began=began, parent=parent)
    client.log_batch(
        run_id,
        metrics=_metrics(figures),
        params=[Param(key, str(value)) for key, value in (params or {}).items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(run_id, end_time=None if ended is None else _milliseconds(ended))


def log_training(
    store: TrackingStore,
    *,
    training: Training,
    stored: StoredModel,
    files: Mapping[str, str],
    began: datetime | None = None,
) -> str:
    """Log a training as a run with its child runs, and return its id.

    `files` are texts to keep with it, by name, such as those that reproduce the model. `began` is when the training
    began.
    """
    client, origin = store.client, stored.manifest.provenance
    run_id = open_run(
        store,
        name=f"Training on {origin.data_from} to {origin.data_to}, model {stored.digest[:8]}",
        kind="training",
        command=_TRAIN,
        note=training_note(training, stored),
        began=began,
        revision=origin.code_revision,
    )
    tags = run_tags(stored) | selection_tags(training)
    params = [Param(key, value) for key, value in run_parameters(stored).items()]
    client.log_batch(run_id, params=params, tags=[RunTag(key, value) for key, value in tags.items()])
    _log_metrics(store, run_id, run_metrics(training))
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


def log_comparison(store: TrackingStore, comparison: ModelComparison, *, versions: tuple[str, str]) -> str:
    """Log the paired differences of two versions as a run and return its id."""
    client, (one, other) = store.client, versions
    verdict = comparison.verdict(f"Version {one}", f"version {other}")
    run_id = open_run(
        store,
        name=f"version {one} less version {other}",
        kind="comparison",
        command=f"dnapredict compare {one} {other}",
        note=f"{verdict}\n\nPaired differences on the appointments that both versions were tested on.",
    )
    tags = {"version": one, "compared_with": other, "verdict": verdict}
    client.log_batch(
        run_id,
        metrics=_metrics(comparison_metrics(comparison)),
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.log_text(run_id, comparison_table(comparison, versions=versions), "comparison.csv")
    client.set_terminated(run_id)
    return run_id


def log_linked_run(
    store: TrackingStore,
    model_ids: Sequence[str],
    *,
    name: str,
    kind: str,
    command: str,
    note: str,
    tags: Mapping[str, str],
    figures: Iterable[RunMetric] = (),
    files: Mapping[str, str] = MappingProxyType({}),
    began: datetime | None = None,
) -> str:
    """Log a run about registered models, which MLflow shows on the page of each model too, and return its id.

    For audits, monitor runs, trial reports, and whatever else is measured of a version later. Only published figures
    and `files` (texts by name) may be given: MLflow has no disclosure control.
    """
    client = store.client
    run_id = open_run(store, name=name, kind=kind, command=command, note=note, began=began)
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    _log_metrics(store, run_id, figures)
    for file, text in files.items():
        client.log_text(run_id, text, file)
    if model_ids:
        client.log_inputs(run_id, models=[LoggedModelInput(model_id) for model_id in model_ids])
    client.set_terminated(run_id)
    return run_id


def model_ids_of(records: Iterable[Any]) -> tuple[str, ...]:
    """The logged models behind MLflow's records of versions."""
    return tuple(str(record.model_id or str(record.source).rpartition("/")[2]) for record in records)


def training_note(training: Training, stored: StoredModel) -> str:
    """The description of a training and of its version, Markdown."""
    origin = stored.manifest.provenance
    lines = [
        f"{training.selection}",
        f"Appointments of {origin.data_from} to {origin.data_to}; those from {origin.test_from} are the test.",
    ]
    if origin.synthetic:
        lines.insert(0, "**SYNTHETIC**: made-up patients, for demonstration only.")
    if training.leakage_warning:
        lines.append(f"**{training.leakage_warning}**")
    return "\n\n".join([*lines, "`model-card.md` among the artefacts says the rest."])
