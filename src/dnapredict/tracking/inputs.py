"""What a run was fitted, calibrated and tested on, as MLflow's datasets: digests, dates and counts."""

import json

from dnapredict.risk.artefact import StoredModel
from dnapredict.risk.training import Training
from dnapredict.risk.windows import Window
from dnapredict.tracking.store import Store

# isort: split
from mlflow.entities import Dataset, DatasetInput, InputTag

__all__ = ["record_inputs"]

_DIGEST = 36  # characters that MLflow keeps of a digest; the whole is the tag `data_sha256`


def record_inputs(store: Store, training: Training, stored: StoredModel, *, run_id: str) -> None:
    """Name the three windows of the extract as inputs of the run; no row of it is written."""
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
    dataset = Dataset(name, f"{digest[: _DIGEST - 4]}", "extract", source, profile=json.dumps(profile))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", name)])
