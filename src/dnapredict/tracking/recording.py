"""Write a training down as an MLflow run: parameters, figures by step, pictures, the model and its card."""

from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from dnapredict.risk.artefact import StoredModel
from dnapredict.risk.card import card
from dnapredict.risk.comparing import Comparison
from dnapredict.risk.figures import drawn
from dnapredict.risk.record import compared, comparison_table, measured, parameters, tags, verdict
from dnapredict.risk.tables import tables
from dnapredict.risk.training import Training
from dnapredict.tracking.amounts import batches, metrics_of
from dnapredict.tracking.children import record_children
from dnapredict.tracking.inputs import record_inputs
from dnapredict.tracking.store import Store

# isort: split
import mlflow
from mlflow.entities import Param, RunTag
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

__all__ = ["log_comparison", "log_model", "record"]

_SERVED: Final = Path(__file__).parents[1] / "served_model.py"


def record(store: Store, training: Training, stored: StoredModel, *, files: Mapping[str, str]) -> str:
    """Make the run of a training, and those beneath it, and give its id.

    `files` are texts to keep with it, by name, such as what makes the model again.
    """
    client = store.client
    run = client.create_run(store.experiment(), run_name=stored.digest[:8])
    run_id = str(run.info.run_id)
    written = [
        RunTag(key, value) for key, value in (tags(stored) | verdict(training) | {"kind": "training"}).items()
    ]
    params = [Param(key, value) for key, value in parameters(stored).items()]
    client.log_batch(run_id, params=params, tags=written)
    for metrics in batches(metrics_of(measured(training))):
        client.log_batch(run_id, metrics=metrics)
    client.log_text(run_id, card(training, stored), "model-card.md")
    worth = stored.manifest.provenance.config.worth
    for name, figure in drawn(training, titles=_titles(stored), worth=worth):
        client.log_text(run_id, figure, f"figures/{name}")
    for name, content in tables(training, worth=worth):
        client.log_text(run_id, content, f"tables/{name}")
    for name, content in files.items():
        client.log_text(run_id, content, name)
    record_inputs(store, training, stored, run_id=run_id)
    record_children(store, training, parent=run_id)
    client.set_terminated(run_id)
    return run_id


def log_model(store: Store, folder: Path, run_id: str, *, factors: tuple[str, ...]) -> str:
    """Keep the stored model with its run, as MLflow loads one without pickle; give its id."""
    mlflow.set_tracking_uri(store.address)
    mlflow.set_registry_uri(store.address)
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_SERVED),
            artifacts={"model": str(folder)},
            pip_requirements=[f"dnapredict=={installed('dnapredict')}"],
            signature=ModelSignature(outputs=Schema([ColSpec("double")])),
            metadata={"factors": list(factors)},
        )
    return str(logged.model_id)


def log_comparison(store: Store, comparison: Comparison, *, versions: tuple[str, str]) -> str:
    """Make a run of the paired differences of two versions and give its id."""
    client, (one, other) = store.client, versions
    run = client.create_run(store.experiment(), run_name=f"version {one} less version {other}")
    run_id = str(run.info.run_id)
    said = {
        "kind": "comparison",
        "version": one,
        "compared_with": other,
        "verdict": comparison.verdict(f"Version {one}", f"version {other}"),
    }
    client.log_batch(
        run_id,
        metrics=metrics_of(compared(comparison)),
        tags=[RunTag(key, value) for key, value in said.items()],
    )
    client.log_text(run_id, comparison_table(comparison, versions=versions), "comparison.csv")
    client.set_terminated(run_id)
    return run_id


def _titles(stored: StoredModel) -> list[str]:
    register = stored.manifest.provenance.register_of_factors
    return [register.factor(name).title for name in stored.manifest.factors]
