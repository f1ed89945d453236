"""The page of control charts by month, for Core20 and the five broad ethnic groups."""

from typing import Final

from matplotlib.figure import Figure

from dnapredict.fairness.compare.control_charts import CHARTED, RUN, SIGMAS, ControlChart
from dnapredict.fairness.report.templating import Chart, chart_of, page
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, WIDTH, canvas

# Name of each rate on a chart, and its denominator.
MEASURED: Final = {
    "reach": ("Reach", "of 100 who missed"),
    "base_rate": ("Missed", "of 100 appointments"),
    "selection_rate": ("Called", "of 100 appointments"),
}
_FEWEST_MONTHS: Final = 3


def monthly_chart(chart: ControlChart) -> Chart | None:
    """The drawing of a control chart; None with fewer than three months."""
    months = [(month.name, month.rate) for month in chart.months if month.rate]
    if len(months) < _FEWEST_MONTHS:
        return None
    what, whom = MEASURED[chart.measure]
    positions = range(len(months))
    value, low, high = ([100 * getattr(rate, end) for _, rate in months] for end in ("value", "low", "high"))
    out = [x for x in positions if not low[x] <= value[x] <= high[x]]

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=2.6, width=width)
        axes.fill_between(positions, low, high, step="mid", color=BLUE, alpha=0.12, linewidth=0)
        axes.axhline(100 * chart.centre, color=GREY, linewidth=1)
        axes.plot(positions, value, color=BLUE, marker="o", linewidth=1.2)
        axes.plot(out, [value[x] for x in out], "D", color=AMBER, markersize=9)
        axes.set_xticks(list(positions), [name for name, _ in months], rotation=90)
        axes.set_ylabel(f"{what}, {whom}" if width >= WIDTH else what)
        axes.set_ylim(0, max(*high, *value) * 1.15)
        return figure

    listed = ", ".join(f"{name} {number:.0f}" for (name, _), number in zip(months, value, strict=True))
    return chart_of(
        f"months-{chart.measure}-" + "".join(letter for letter in chart.group.lower() if letter.isalnum()),
        draw,
        title=f"{chart.group}: {chart.signal}",
        description=f"{what} {whom} by month, with limits around {100 * chart.centre:.0f}: {listed}.",
        numbers="chart_months.csv",
    )


_CALM = "Months differ no more than chance makes them."
_TITLES = {
    "reach": "Reach: of 100 people who missed, how many the list would have called",
    "base_rate": "Missed: of 100 appointments, how many were missed",
    "selection_rate": "Called: of 100 appointments, how many the list would have called",
}


def monthly_page(result: AuditResult) -> str:
    """The page as HTML; charts with a signal are listed first."""
    drawings = [(chart, drawn) for chart in result.chart_data.months if (drawn := monthly_chart(chart))]
    measures: dict[str, list[Chart]] = {
        measure: [drawn for chart, drawn in drawings if chart.measure == measure] for measure in CHARTED
    }
    signals = [(MEASURED[c.measure][0], f"{c.group}. {c.signal}") for c, _ in drawings if c.signal != _CALM]
    return page(
        "monthly.html.j2",
        context=result.context,
        measures={measure: charts for measure, charts in measures.items() if charts},
        titles=_TITLES,
        signals=signals,
        sigmas=SIGMAS,
        run=RUN,
    )
