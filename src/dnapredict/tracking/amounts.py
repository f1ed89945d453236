"""Figures in MLflow's form."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from mlflow.entities import Metric

from dnapredict.risk.record import Figure

__all__ = ["batches", "metrics_of"]

_AT_ONCE: Final = 1_000  # metrics that MLflow takes in one call


def metrics_of(figures: Iterable[Figure]) -> list[Metric]:
    """Figures as metrics, all of one moment."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(figure.name, figure.value, now, figure.step) for figure in figures]


def batches(metrics: list[Metric]) -> Iterator[list[Metric]]:
    """The metrics, as many at a time as MLflow takes."""
    for start in range(0, len(metrics), _AT_ONCE):
        yield metrics[start : start + _AT_ONCE]
