"""The charts of the report as inline SVG, each with its finding as the title and a description in words.

Charts use only published figures, and name the CSV file that holds the numbers.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.publish.chart_data import GroupCurve
from dnapredict.fairness.publish.group_tables import GroupRow, GroupTable
from dnapredict.fairness.report.monthly_page import monthly_chart
from dnapredict.fairness.report.phrases import in_100, list_and
from dnapredict.fairness.report.templating import MARKERS, PALETTE, Chart, chart_of
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, canvas

_FEWEST_ROWS = 3
_ENOUGH = 100  # missed appointments below which a dot is drawn hollow
_LIMITS = ((1.96, "--", "95 in 100"), (3.09, "-", "998 in 1,000"))


def charts(result: AuditResult) -> tuple[Chart, ...]:
    """Every chart that this extract can give, in the order of the report."""
    drawn = [
        _reach_by_group(result),
        _need_and_calls(result.table("imd_decile")),
        _meaning(result.chart_data.calibration),
        _by_capacity(result),
        *(_funnel(result.table(name), result) for name in ("site", "specialty")),
        *(monthly_chart(chart) for chart in result.chart_data.months if chart.measure == "reach"),
        _who_is_missing(result),
        _trust_side(result),
    ]
    return tuple(chart for chart in drawn if chart is not None)


def _rows(result: AuditResult, names: Sequence[str], rate: str) -> list[tuple[GroupRow, Interval]]:
    tables = [table for name in names if (table := result.table(name))]
    rows = [row for table in tables for row in table.rows if row.group.known]
    return [(row, figure) for row in rows if (figure := row.rates[rate])]


def _reach_by_group(result: AuditResult) -> Chart | None:
    rows = _rows(result, ("core20", "ethnicity", "interpreter", "plus"), "reach")
    everyone = result.everyone.rows[0].rates["reach"]
    if not rows or everyone is None:
        return None
    tolerance = result.policy.limits.reach.max_harm_gap
    figure, axes = canvas(height=1.2 + 0.27 * len(rows))
    axes.axvspan(100 * (everyone.value - tolerance), 100 * everyone.value, color=BLUE, alpha=0.12, linewidth=0)
    axes.axvline(100 * everyone.value, color=BLUE, linewidth=1.2)
    _dots(axes, rows)
    axes.set_xlabel("Called, of 100 people who missed. Shaded: within the limit. Hollow: not enough data to say")
    lowest, figure_of = min(_enough(rows) or rows, key=lambda pair: pair[1].value)
    title = f"Lowest reach: {lowest.group.name}, {in_100(figure_of)}; everyone: {in_100(everyone)}"
    numbers = "figures_core20.csv, figures_ethnicity.csv"
    return chart_of("reach", figure, title=title, description=_in_words(rows), numbers=numbers)


def _who_is_missing(result: AuditResult) -> Chart | None:
    """Appointments of unknown group, by grouping."""
    unknown = [
        (f"{title}: {row.group.name.lower()}", row.counts["appointments"] or 0)
        for name, title in (("ethnicity", "Ethnic group"), ("core20", "Area"), ("disability", "Disability"))
        if (table := result.table(name))
        for row in table.rows
        if not row.group.known and row.counts["appointments"]
    ]
    everyone = result.everyone.rows[0].counts["appointments"]
    if not unknown or not everyone:
        return None
    shares = [100 * number / everyone for _, number in unknown]
    figure, axes = canvas(height=1.1 + 0.3 * len(unknown))
    axes.barh(range(len(unknown)), shares, 0.6, color=BLUE, hatch="//", edgecolor="white")
    axes.set_yticks(range(len(unknown)), [f"{name}  (n {number:,})" for name, number in unknown])
    axes.invert_yaxis()
    axes.set_xlabel("Appointments, of 100")
    listed = "; ".join(f"{name} {share:.1f}" for (name, _), share in zip(unknown, shares, strict=True))
    name, most = max(zip((name for name, _ in unknown), shares, strict=True), key=lambda pair: pair[1])
    title = f"Who is missing: {name.partition(': ')[2]} ({name.partition(': ')[0].lower()}), {most:.0f} in 100"
    numbers = "figures_ethnicity.csv, figures_core20.csv"
    return chart_of("missing", figure, title=title, description=f"Of 100 appointments: {listed}.", numbers=numbers)


def _trust_side(result: AuditResult) -> Chart | None:
    rows = _rows(result, ("core20", "ethnicity_5"), "trust_side")
    if not rows or all(figure.value == 0 for _, figure in rows):
        return None
    figure, axes = canvas(height=1.2 + 0.27 * len(rows))
    _dots(axes, rows)
    axes.set_xlabel("With a reason on the trust's side, of 100 missed appointments")
    highest, figure_of = max(rows, key=lambda pair: pair[1].value)
    title = f"Reasons on the trust's side are most common for {highest.group.name}: {in_100(figure_of)}"
    numbers = "figures_core20.csv, figures_ethnicity_5.csv"
    return chart_of("trust-side", figure, title=title, description=_in_words(rows), numbers=numbers)


def _enough(rows: Sequence[tuple[GroupRow, Interval]]) -> list[tuple[GroupRow, Interval]]:
    return [pair for pair in rows if (pair[0].counts["missed"] or 0) >= _ENOUGH]


def _dots(axes: Axes, rows: Sequence[tuple[GroupRow, Interval]]) -> None:
    for y, (row, figure) in enumerate(rows):
        solid = (row.counts["missed"] or 0) >= _ENOUGH
        axes.plot([100 * figure.low, 100 * figure.high], [y, y], color=GREY, linewidth=1.6)
        axes.plot(100 * figure.value, y, "o", color=BLUE, markerfacecolor=BLUE if solid else "white", zorder=3)
    labels = [f"{row.group.name}  (n {row.counts['missed']:,})" for row, _ in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()


def _in_words(rows: Sequence[tuple[GroupRow, Interval]]) -> str:
    parts = [
        f"{row.group.name} {100 * value.value:.0f} ({100 * value.low:.0f} to {100 * value.high:.0f})"
        for row, value in rows
    ]
    return f"In 100, with the likely range: {'; '.join(parts)}."


def _need_and_calls(table: GroupTable | None) -> Chart | None:
    known = [row for row in table.rows if row.group.known] if table else []
    shown = [row for row in known if row.counts["missed"] and row.counts["selected"]]
    if len(shown) < len(known) or not shown:
        return None
    need = _shares(shown, "missed")
    calls = _shares(shown, "selected")
    figure, axes = canvas(height=3.2)
    positions = range(len(shown))
    axes.bar([x - 0.2 for x in positions], need, 0.38, color=GREY, label="of all who missed")
    axes.bar([x + 0.2 for x in positions], calls, 0.38, color=BLUE, hatch="//", edgecolor="white",
             label="of all calls")  # fmt: skip
    axes.set_xticks(list(positions), [row.group.code for row in shown])
    axes.set_xlabel("Deprivation decile of the area (1 is the most deprived)")
    axes.set_ylabel("Share, in 100")
    axes.set_ylim(0, 1.25 * max(*need, *calls))
    axes.legend(frameon=False, ncols=2)
    title = (
        f"The two most deprived tenths have {sum(need[:2]):.0f} in 100 of the need and get "
        f"{sum(calls[:2]):.0f} in 100 of the calls"
    )
    pairs = zip(shown, need, calls, strict=True)
    description = "; ".join(f"decile {row.group.code}: need {n:.0f}, calls {c:.0f}" for row, n, c in pairs)
    return chart_of("need", figure, title=title, description=description, numbers="figures_imd_decile.csv")


def _shares(rows: Sequence[GroupRow], count: str) -> list[float]:
    numbers = [row.counts[count] or 0 for row in rows]
    return [100 * number / sum(numbers) for number in numbers]


def _meaning(curves: Sequence[GroupCurve]) -> Chart | None:
    if not any(point.y for curve in curves for point in curve.points):
        return None
    figure, axes = canvas(height=4.0)
    top = 100 * max(max(p.x, p.y.high) for curve in curves for p in curve.points if p.y)
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle="--")
    axes.text(top, top, "as predicted ", ha="right", va="bottom", color=GREY)
    _lines(axes, curves)
    axes.set(xlabel="Predicted to miss, of 100", ylabel="Missed, of 100")
    description = "Predicted and observed, in 100. " + _points_in_words(curves, "predicted", "missed")
    title = "Does 20 in 100 mean 20 in 100? Points on the dashed line mean what they say"
    return chart_of("meaning", figure, title=title, description=description, numbers="chart_calibration.csv")


def _lines(axes: Axes, curves: Sequence[GroupCurve]) -> None:
    for curve, colour, marker in zip(curves, PALETTE, MARKERS, strict=False):
        shown = [(100 * point.x, 100 * point.y.value) for point in curve.points if point.y]
        x, y = zip(*shown, strict=True) if shown else ((), ())
        axes.plot(x, y, color=colour, marker=marker, linewidth=1.2, label=curve.group)
    axes.legend(frameon=False)


def _points_in_words(curves: Sequence[GroupCurve], x: str, y: str) -> str:
    """Description of the points of curves."""
    return "; ".join(
        f"{curve.group}: " + ", ".join(f"{100 * p.x:.0f} {x}, {100 * p.y.value:.0f} {y}" for p in curve.points if p.y)
        for curve in curves
    )


def _by_capacity(result: AuditResult) -> Chart | None:
    curves, share = result.chart_data.capacity, result.everyone.rows[0].rates["selection_rate"]
    if share is None or not any(point.y for curve in curves for point in curve.points):
        return None
    figure, axes = canvas(height=3.4)
    _lines(axes, curves)
    axes.axvline(100 * share.value, color=AMBER, linewidth=1.4, linestyle="--")
    axes.text(100 * share.value, 2, " this list", color=AMBER)
    axes.set(xlabel="People called, of 100", ylabel="Reach, of 100 who missed", ylim=(0, 100))
    description = "In 100. " + _points_in_words(curves, "called", "reached")
    title = f"A longer list reaches more people; this one calls {in_100(share)}"
    return chart_of("capacity", figure, title=title, description=description, numbers="chart_capacity.csv")


def _funnel(table: GroupTable | None, result: AuditResult) -> Chart | None:
    everyone = result.everyone.rows[0].rates["reach"]
    rows = [(row, reach) for row in (table.rows if table else ()) if (reach := row.rates["reach"])]
    if table is None or len(rows) < _FEWEST_ROWS or everyone is None:
        return None
    figure, axes = canvas(height=3.4)
    _limits(axes, everyone.value, most=max(_missed(row) for row, _ in rows))
    outside = [pair for pair in rows if _is_outside(pair, everyone.value)]
    for row, reach in rows:
        marked = (row, reach) in outside
        axes.plot(_missed(row), 100 * reach.value, "D" if marked else "o", color=AMBER if marked else BLUE)
    for row, reach in outside:
        point = (_missed(row), 100 * reach.value)
        axes.annotate(row.group.name, point, xytext=(5, 4), textcoords="offset points")
    axes.set(xlabel="Missed appointments", ylabel="Reach, of 100 who missed", ylim=(0, 100))
    axes.legend(frameon=False, title="Chance alone stays inside for")
    kind = table.title.partition(" (")[0].lower()
    title = f"Reach by {kind}; outside what chance allows: {list_and([row.group.name for row, _ in outside])}"
    numbers = f"figures_{table.name}.csv"
    return chart_of(table.name, figure, title=title, description=_in_words(rows), numbers=numbers)


def _missed(row: GroupRow) -> int:
    return row.counts["missed"] or 0


def _is_outside(pair: tuple[GroupRow, Interval], centre: float) -> bool:
    """Whether reach is outside the outer limit, which chance alone exceeds twice in a thousand."""
    error = math.sqrt(centre * (1 - centre) / max(1, _missed(pair[0])))
    return abs(pair[1].value - centre) > _LIMITS[1][0] * error


def _limits(axes: Axes, centre: float, *, most: int) -> None:
    sizes = [max(8.0, most * step / 60) for step in range(1, 64)]
    axes.axhline(100 * centre, color=GREY, linewidth=1)
    for z, style, label in _LIMITS:
        half = [z * (centre * (1 - centre) / size) ** 0.5 for size in sizes]
        axes.plot(sizes, [100 * min(1, centre + h) for h in half], color=GREY, linestyle=style, label=label)
        axes.plot(sizes, [100 * max(0, centre - h) for h in half], color=GREY, linestyle=style)
