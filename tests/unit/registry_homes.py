"""Copies of a home."""

import shutil
from pathlib import Path

from dnapredict.registry import MODEL_NAME
from dnapredict.registry.moved_home import correct_addresses


def copy_of(home: Path, path: Path) -> Path:
    """A copy of a home at `path`, with its own addresses in MLflow's database."""
    copy = Path(shutil.copytree(home, path))
    correct_addresses(f"sqlite:///{(copy / 'mlflow.db').as_posix()}", copy, experiment=MODEL_NAME)
    return copy
