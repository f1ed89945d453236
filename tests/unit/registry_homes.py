"""Homes for the tests of the registry, made cheaply: a registration takes seconds, most of them for charts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnapredict.registry import MODEL_NAME, run_logging
from dnapredict.registry.moved_home import correct_addresses


@pytest.fixture(scope="module", autouse=True)
def without_charts() -> Iterator[None]:
    """No test here looks at the charts of a training, which take longer than all else that is logged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_logging, "chart_files", lambda *_, **__: [])
        yield


def copy_of(home: Path, path: Path) -> Path:
    """A copy of a home at `path`, with its own addresses in MLflow's database."""
    copy = Path(shutil.copytree(home, path))
    correct_addresses(f"sqlite:///{(copy / 'mlflow.db').as_posix()}", copy, experiment=MODEL_NAME)
    return copy
