"""A page of control charts: how Core20 and the five ethnic groups fare from month to month."""

from dnapredict.audit.auditing import AuditResult
from dnapredict.audit.drawing import Chart
from dnapredict.audit.months import CHARTED, RUN, SIGMAS
from dnapredict.audit.months_drawn import MEASURED, by_month
from dnapredict.audit.pages import page

__all__ = ["monthly_page"]

_CALM = "Months differ no more than chance makes them."
_TITLES = {
    "reach": "Reach: of 100 people who missed, how many the list would have called",
    "base_rate": "Missed: of 100 appointments, how many were missed",
    "selection_rate": "Called: of 100 appointments, how many the list would have called",
}


def monthly_page(result: AuditResult) -> str:
    """The page as HTML. Charts that signal something are named first."""
    found = [(chart, drawn) for chart in result.pictures.months if (drawn := by_month(chart))]
    measures: dict[str, list[Chart]] = {
        measure: [drawn for chart, drawn in found if chart.measure == measure] for measure in CHARTED
    }
    signals = [(MEASURED[c.measure][0], f"{c.group}. {c.signal}") for c, _ in found if c.signal != _CALM]
    return page(
        "monthly.html.j2",
        context=result.context,
        measures={measure: charts for measure, charts in measures.items() if charts},
        titles=_TITLES,
        signals=signals,
        sigmas=SIGMAS,
        run=RUN,
    )
