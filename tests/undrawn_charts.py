"""Charts that are not drawn, which takes longer than most of the audit or training that they belong to."""

import html
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Each module that knows `chart_of`. Where the command line is tested, all are imported first; otherwise those that
# nobody has imported yet draw, as it takes seconds to import them.
_OF_PAGES = (
    "dnapredict.fairness.access.access_charts",
    "dnapredict.fairness.report.charts",
    "dnapredict.fairness.report.gap_chart",
    "dnapredict.fairness.report.monthly_page",
    "dnapredict.monitoring.monitor_report",
    "dnapredict.trial.trial_report",
)
_OF_TRAININGS = "dnapredict.registry.run_logging"


@contextmanager
def charts_undrawn() -> Iterator[pytest.MonkeyPatch]:
    """Pages have each chart's title, description, note and numbers, but an empty picture; trainings log no chart.

    Undoing the patch that is given draws charts again.
    """
    with pytest.MonkeyPatch.context() as patch:
        _replace(patch)
        yield patch


@contextmanager
def charts_drawn(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Charts are drawn meanwhile; `patch` is of `charts_undrawn`."""
    patch.undo()
    try:
        yield
    finally:
        _replace(patch)


def _replace(patch: pytest.MonkeyPatch) -> None:
    if "dnapredict.cli" in sys.modules:
        for module in (*_OF_PAGES, _OF_TRAININGS):
            importlib.import_module(module)
    for module in filter(None, map(sys.modules.get, _OF_PAGES)):
        patch.setattr(module, "chart_of", _undrawn)
    if _OF_TRAININGS in sys.modules:
        patch.setattr(sys.modules[_OF_TRAININGS], "chart_files", lambda *_, **__: [])


def _undrawn(name: str, _: object, *, title: str, description: str, numbers: str, note: str = "") -> object:
    from dnapredict.fairness.report.templating import Chart

    picture = f'<svg role="img" aria-label="{html.escape(description, quote=True)}"></svg>'
    return Chart(name, title, description, picture, picture, numbers, note)
