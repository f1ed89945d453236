"""Control charts as pictures: the months, their limits and those that are outside."""

from typing import Final

from dnapredict.audit.drawing import AMBER, BLUE, GREY, Chart, canvas, chart_of
from dnapredict.audit.months import ControlChart

__all__ = ["MEASURED", "by_month"]

# What each rate is called on a chart, and of whom it is a share.
MEASURED: Final = {
    "reach": ("Reach", "of 100 who missed"),
    "base_rate": ("Missed", "of 100 appointments"),
    "selection_rate": ("Called", "of 100 appointments"),
}
_FEWEST_MONTHS: Final = 3


def by_month(chart: ControlChart) -> Chart | None:
    """The picture of a control chart; None with fewer than three months."""
    months = [(month.name, month.rate) for month in chart.months if month.rate]
    if len(months) < _FEWEST_MONTHS:
        return None
    what, whom = MEASURED[chart.measure]
    figure, axes = canvas(height=2.6)
    places = range(len(months))
    value, low, high = ([100 * getattr(rate, end) for _, rate in months] for end in ("value", "low", "high"))
    axes.fill_between(places, low, high, step="mid", color=BLUE, alpha=0.12, linewidth=0)
    axes.axhline(100 * chart.centre, color=GREY, linewidth=1)
    axes.plot(places, value, color=BLUE, marker="o", linewidth=1.2)
    out = [place for place in places if not low[place] <= value[place] <= high[place]]
    axes.plot(out, [value[place] for place in out], "D", color=AMBER, markersize=9)
    axes.set_xticks(list(places), [name for name, _ in months], rotation=40, ha="right")
    axes.set_ylabel(f"{what}, {whom}")
    axes.set_ylim(0, max(*high, *value) * 1.15)
    told = ", ".join(f"{name} {number:.0f}" for (name, _), number in zip(months, value, strict=True))
    return chart_of(
        f"months-{chart.measure}-" + "".join(letter for letter in chart.group.lower() if letter.isalnum()),
        figure,
        title=f"{chart.group}: {chart.signal}",
        description=f"{what} {whom} by month, with limits around {100 * chart.centre:.0f}: {told}.",
        numbers="chart_months.csv",
    )
