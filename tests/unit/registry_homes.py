"""Homes and reports for tests that look at neither charts nor figures, which take longest to make."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dnapredict.fairness.report import report_files
from dnapredict.registry import MODEL_NAME, run_logging
from dnapredict.registry.moved_home import correct_addresses


@pytest.fixture(scope="module", autouse=True)
def without_charts() -> Iterator[None]:
    """No test here looks at the charts of a training or an audit, which take longer than most of the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_logging, "chart_files", lambda *_, **__: [])
        with pages_without_charts():
            yield


@contextmanager
def pages_without_charts() -> Iterator[None]:
    """The pages of reports hold no chart, which halves the time that an audit takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_files, "charts", lambda _: [])
        patch.setattr(report_files, "further_charts", lambda _: [])
        yield


def copy_of(home: Path, path: Path) -> Path:
    """A copy of a home at `path`, with its own addresses in MLflow's database."""
    copy = Path(shutil.copytree(home, path))
    correct_addresses(f"sqlite:///{(copy / 'mlflow.db').as_posix()}", copy, experiment=MODEL_NAME)
    return copy
