"""The stored model of a version: where it lies, and the digests that it is known by."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dnapredict.errors import ModelError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.mlflow_store import Store


class Identity(NamedTuple):
    """A version, SHA-256 of its manifest, and SHA-256 of what it computes with."""

    version: str
    model: str
    content: str

    @property
    def data(self) -> dict[str, str]:
        """As it stands in an entry of the ledger."""
        return self._asdict()


def identity_of(store: Store, found: Any, entries: Sequence[DecisionEntry]) -> Identity:
    """What a version is, by the ledger's entry of its training; otherwise by MLflow's tag and the files.

    Raises
    ------
    ModelError
        If the files are not those that were registered.
    """
    version = str(found.version)
    for entry in reversed(entries):
        if entry.kind == "training" and entry["version"] == version:
            return Identity(version, entry["model"], entry["content"])
    model = str(found.tags.get("manifest_sha256", ""))
    return Identity(version, model, content_of(model_folder(store, found, digest=model)))


def model_folder(store: Store, found: Any, *, digest: str) -> Path:
    """The folder of a version's stored model, whose manifest has that digest.

    Raises
    ------
    ModelError
        If there is none.
    """
    model_id = str(found.source).rpartition("/")[2]
    artefacts = store.home / "mlruns" / "models" / model_id / "artifacts" / "artifacts"
    for manifest in artefacts.glob("*/manifest.json"):
        with contextlib.suppress(OSError):
            if hashlib.sha256(manifest.read_bytes()).hexdigest() == digest:
                return manifest.parent
    raise ModelError(f"{artefacts}: does not hold the model that was registered. Restore it from a backup.")


def content_of(folder: Path) -> str:
    """SHA-256 of what a stored model computes with, the same however often it is trained or registered.

    The manifest also names the revision of the code and the versions of libraries, so that its own digest
    changes where the same training is run again.
    """
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
