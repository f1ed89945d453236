"""The stored model of a version: its folder, and the digests that identify it."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import ModelError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.mlflow_store import Store


class Identity(NamedTuple):
    """A version, SHA-256 of its manifest (`model`), and of the files that it computes with (`content`)."""

    version: str
    model: str
    content: str

    @property
    def data(self) -> dict[str, str]:
        """The identity as data of a ledger entry."""
        return self._asdict()


def identity_of(store: Store, record: Any, entries: Sequence[DecisionEntry]) -> Identity:
    """The digests of a version, from the ledger entry of its training; otherwise from MLflow's tag and the files.

    Raises
    ------
    ModelError
        If the files are not those that were registered.
    """
    version = str(record.version)
    for entry in reversed(entries):
        if entry.kind == "training" and entry["version"] == version:
            return Identity(version, entry["model"], entry["content"])
    model = str(record.tags.get("manifest_sha256", ""))
    return Identity(version, model, content_of(model_folder(store, record, digest=model)))


def model_folder(store: Store, record: Any, *, digest: str) -> Path:
    """The folder of a version's stored model, whose manifest has that digest.

    Raises
    ------
    ModelError
        If there is none.
    """
    model_id = str(record.source).rpartition("/")[2]
    artefacts = store.home / "mlruns" / "models" / model_id / "artifacts" / "artifacts"
    for manifest in artefacts.glob("*/manifest.json"):
        with contextlib.suppress(OSError):
            if file_sha256(manifest) == digest:
                return manifest.parent
    raise ModelError(f"{artefacts}: does not hold the model that was registered. Restore it from a backup.")


def content_of(folder: Path) -> str:
    """SHA-256 of the files that a stored model computes with, equal for every repetition of a training.

    The manifest also names the code revision and the versions of libraries, so its digest differs between
    two runs of the same training.
    """
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
