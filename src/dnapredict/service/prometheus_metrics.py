"""Counts and times for Prometheus by route name, never by the requested path.

BentoML's own metrics have a line for every path ever requested, so that a stranger could fill the memory, and a
patient's number in a mistyped address would appear in the metrics.
"""

import contextlib
import datetime
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.monitoring.monitor_state import MonitorState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# The folder in which BentoML's workers share their metrics, so that one of them can report all.
_SHARED_BY_WORKERS: Final = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)


@dataclass(frozen=True)
class Metrics:
    """Count and time each request.

    Parameters
    ----------
    route_of
        The route name of a path, one of a small set.
    """

    app: ASGIApp
    route_of: Callable[[str], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        counted, timed = _figures()
        route, status, began = self.route_of(scope["path"]), 500, time.perf_counter()

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_look)
        finally:
            counted.labels(route=route, status=str(status)).inc()
            timed.labels(route=route).observe(time.perf_counter() - began)


@cache
def _figures() -> tuple[Any, Any]:
    """The metrics of this process.

    prometheus_client decides on import, by the environment, whether metrics are shared between processes. BentoML
    sets that in its workers, so that it is imported at the first request.
    """
    from prometheus_client import Counter, Histogram

    return (
        Counter("dnapredict_requests", "Requests that were answered.", ["route", "status"]),
        Histogram("dnapredict_request_seconds", "How long answers took.", ["route"], buckets=_SECONDS),
    )


def note_background(thread: str, *, failed: bool, seconds: float) -> None:
    """Record a run of a background thread: whether it failed, and for how many seconds it has been failing."""
    with _MAKING:
        failures, failing = _background_figures()
    failures.labels(thread=thread).inc(int(failed))
    failing.labels(thread=thread).set(seconds)


# Two threads that begin at once would both register the metrics, and the second be refused and end.
_MAKING: Final = threading.Lock()


@cache
def _background_figures() -> tuple[Any, Any]:
    from prometheus_client import Counter, Gauge

    return (
        Counter("dnapredict_background_failures", "Failed runs of a background thread.", ["thread"]),
        Gauge(
            "dnapredict_background_failing_seconds",
            "Seconds for which a background thread has been failing, the longest of all workers.",
            ["thread"],
            multiprocess_mode="livemax",
        ),
    )


def note_lost_line() -> None:
    """Count a line of the service's log that could not be written."""
    with _MAKING:
        lost = _lost_lines()
    lost.inc()


@cache
def _lost_lines() -> Any:
    from prometheus_client import Counter

    return Counter("dnapredict_log_lines_lost", "Lines of the service's log that could not be written.")


def exposition(state: MonitorState | None = None, *, today: datetime.date = datetime.date.min) -> bytes:
    """The metrics of all workers in Prometheus's text format, and those of the last monitor run.

    Parameters
    ----------
    state
        The last monitor run of the home; None if there was none, and then there are no gauges of it.
    today
        The day from which the weeks since the last outcome are counted.
    """
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    monitored = b"" if state is None else generate_latest(_monitor_registry(state, today))
    if _SHARED_BY_WORKERS not in os.environ:
        return generate_latest(REGISTRY) + monitored
    _forget_ended_workers(Path(os.environ[_SHARED_BY_WORKERS]))
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together) + monitored


_MONITOR_GAUGES: Final = {
    "level_ratio": "Missed appointments divided by predicted ones, of everyone, as the monitor's page prints it.",
    "reach_ratio": "Share of the missed appointments that was on the list, as the monitor's page prints it.",
    "alarms": "Alarms of the monitor that hold.",
    "weeks_since_outcome": "Calendar weeks since the last week with an outcome.",
    "last_run_timestamp_seconds": "When the model in use was last monitored, in seconds since 1970.",
}


@dataclass(frozen=True)
class _MonitorCollector:
    """The gauges of a monitor run, by the version that was watched; a figure that is not printed has none.

    prometheus_client's own gauges would be kept in the files that workers share, and outlive the run.
    """

    state: MonitorState
    today: datetime.date

    def collect(self) -> Iterator[Any]:
        """One gauge after the other."""
        from prometheus_client.core import GaugeMetricFamily

        values = {
            "level_ratio": self.state.level,
            "reach_ratio": self.state.reach,
            "alarms": len(self.state.alarms),
            "weeks_since_outcome": self.state.weeks_since_outcome(self.today),
            "last_run_timestamp_seconds": self.state.created_at.timestamp(),
        }
        for name, value in values.items():
            if value is not None:
                gauge = GaugeMetricFamily(f"dnapredict_monitor_{name}", _MONITOR_GAUGES[name], labels=["model_version"])
                gauge.add_metric([self.state.model_version], value)
                yield gauge


def _monitor_registry(state: MonitorState, today: datetime.date) -> Any:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(_MonitorCollector(state, today))
    return registry


def _forget_ended_workers(folder: Path) -> None:
    """Remove the metrics of workers that have ended, whose threads no longer fail."""
    import psutil  # type: ignore[import-untyped]
    from prometheus_client.multiprocess import mark_process_dead

    for path in folder.glob("gauge_live*_*.db"):
        number = re.search(r"_(\d+)\.db$", path.name)
        if number and not psutil.pid_exists(int(number[1])):
            with contextlib.suppress(FileNotFoundError):
                mark_process_dead(int(number[1]))  # type: ignore[no-untyped-call]
