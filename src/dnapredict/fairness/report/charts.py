"""The charts of the report as inline SVG, each with its finding as the title and a description in words.

Charts use only published figures, and name the CSV file that holds the numbers.
"""

import math
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.publish.chart_data import GroupCurve
from dnapredict.fairness.publish.group_tables import GroupRow, GroupTable
from dnapredict.fairness.report.gap_chart import gap_chart
from dnapredict.fairness.report.group_phrases import people, place_name, row_name
from dnapredict.fairness.report.monthly_page import monthly_chart
from dnapredict.fairness.report.phrases import in_100, list_and
from dnapredict.fairness.report.templating import MARKERS, PALETTE, Chart, chart_of, label_of
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, WIDTH, canvas

_FEWEST_ROWS: Final = 3
_ENOUGH: Final = 100  # missed appointments below which a dot is drawn hollow
_LIMITS: Final = ((1.96, "--", "95 in 100"), (3.09, "-", "998 in 1,000"))
_MOST_ROWS: Final = 18
_MOST_NAMED: Final = 5
_ROOM: Final = 20  # of 100, above and below the dots of a funnel

Dot = tuple[str, GroupRow, Interval]
"""Grouping, row and figure of a group."""


def charts(result: AuditResult) -> tuple[Chart, ...]:
    """The charts of the report, in their order; those that this extract can give."""
    drawn = [
        gap_chart(result),
        _reach_by_group(result, most=_MOST_ROWS),
        _need_and_calls(result.table("imd_decile")),
        _meaning(result.chart_data.calibration),
        _by_capacity(result),
        *(_funnel(result.table(name), result) for name in ("site", "specialty")),
    ]
    return tuple(chart for chart in drawn if chart is not None)


def further_charts(result: AuditResult) -> tuple[Chart, ...]:
    """The charts of the page of figures."""
    drawn = [
        _reach_by_group(result, most=None),
        *(monthly_chart(chart) for chart in result.chart_data.months if chart.measure == "reach"),
        _who_is_missing(result),
        _trust_side(result),
    ]
    return tuple(chart for chart in drawn if chart is not None)


def _dots_of(result: AuditResult, names: Sequence[str], rate: str) -> list[Dot]:
    tables = [table for name in names if (table := result.table(name))]
    rows = [(table.name, row) for table in tables for row in table.rows if row.group.known]
    return [(name, row, figure) for name, row in rows if (figure := row.rates[rate])]


def _judged_dots(result: AuditResult) -> list[Dot]:
    """Reach of every group that is compared with others."""
    gate = result.gate("G3")
    judged = {(check.grouping, check.group.code) for check in gate.checks} if gate else set()
    names = dict.fromkeys(name for name, _ in judged)
    rows = [
        (table.name, row)
        for table in result.tables
        if table.name in names
        for row in table.rows
        if (table.name, row.group.code) in judged
    ]
    dots = [(name, row, figure) for name, row in rows if (figure := row.rates["reach"])]
    # People whose area is not known are a group of several groupings.
    return list({(row_name(name, row.group), figure): (name, row, figure) for name, row, figure in dots}.values())


def _reach_by_group(result: AuditResult, *, most: int | None) -> Chart | None:
    dots, everyone = _judged_dots(result), result.everyone.rows[0].rates["reach"]
    if not dots or everyone is None or (most is None and len(dots) <= _MOST_ROWS):
        return None
    if most is not None:
        furthest = sorted(dots, key=lambda dot: -abs(dot[2].value - everyone.value))[:most]
        dots = [dot for dot in dots if dot in furthest]
    tolerance = result.policy.limits.reach.max_harm_gap

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=0.9 + (0.23 if width >= WIDTH else 0.36) * len(dots), width=width)
        axes.axvspan(100 * (everyone.value - tolerance), 100 * everyone.value, color=BLUE, alpha=0.12, linewidth=0)
        axes.axvline(100 * everyone.value, color=BLUE, linewidth=1.2)
        _dots(axes, dots, width=width)
        axes.set_xlabel("Called, of 100 who missed")
        return figure

    name, row, figure_of = min(_enough(dots) or dots, key=lambda dot: dot[2].value)
    title = f"{_whom(name, row)} are reached least: {in_100(figure_of)}; everyone: {in_100(everyone)}"
    if most is None:
        title = "Reach of every group that is compared"
    return chart_of(
        "reach" if most is not None else "reach-of-all",
        draw,
        title=title,
        description=_in_words(dots),
        numbers="figures_*.csv, one of each grouping",
        note="Of 100 who missed, how many would have been called, with the likely range. The line is everyone, the "
        "shaded band is within the limit. Hollow: not enough data to say.",
    )


def _whom(name: str, row: GroupRow) -> str:
    phrase = people(name, row.group)
    return phrase[:1].upper() + phrase[1:]


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

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=1.0 + 0.3 * len(unknown), width=width)
        axes.barh(range(len(unknown)), shares, 0.6, color=BLUE, hatch="//", edgecolor="white")
        axes.set_yticks(range(len(unknown)), [label_of(f"{name}  ({number:,})", width) for name, number in unknown])
        axes.invert_yaxis()
        axes.set_xlabel("Appointments, of 100")
        return figure

    listed = "; ".join(f"{name} {share:.1f}" for (name, _), share in zip(unknown, shares, strict=True))
    name, most = max(zip((name for name, _ in unknown), shares, strict=True), key=lambda pair: pair[1])
    title = f"Who is missing: {name.partition(': ')[2]} ({name.partition(': ')[0].lower()}), {most:.0f} in 100"
    numbers = "figures_ethnicity.csv, figures_core20.csv"
    return chart_of("missing", draw, title=title, description=f"Of 100 appointments: {listed}.", numbers=numbers)


def _trust_side(result: AuditResult) -> Chart | None:
    dots = _dots_of(result, ("core20", "ethnicity_5"), "trust_side")
    if not dots or all(figure.value == 0 for *_, figure in dots):
        return None

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=0.9 + (0.23 if width >= WIDTH else 0.36) * len(dots), width=width)
        _dots(axes, dots, width=width)
        axes.set_xlabel("Reason on the trust's side, of 100 missed", wrap=True)
        return figure

    name, row, figure_of = max(dots, key=lambda dot: dot[2].value)
    title = f"Reasons on the trust's side are most common for {people(name, row.group)}: {in_100(figure_of)}"
    numbers = "figures_core20.csv, figures_ethnicity_5.csv"
    return chart_of("trust-side", draw, title=title, description=_in_words(dots), numbers=numbers)


def _enough(dots: Sequence[Dot]) -> list[Dot]:
    return [dot for dot in dots if (dot[1].counts["missed"] or 0) >= _ENOUGH]


def _dots(axes: Axes, dots: Sequence[Dot], *, width: float) -> None:
    for y, (_, row, figure) in enumerate(dots):
        solid = (row.counts["missed"] or 0) >= _ENOUGH
        axes.plot([100 * figure.low, 100 * figure.high], [y, y], color=GREY, linewidth=1.6)
        axes.plot(100 * figure.value, y, "o", color=BLUE, markerfacecolor=BLUE if solid else "white", zorder=3)
    names = [f"{row_name(name, row.group)}  ({row.counts['missed'] or 0:,})" for name, row, _ in dots]
    axes.set_yticks(range(len(dots)), [label_of(name, width) for name in names])
    axes.invert_yaxis()


def _in_words(dots: Sequence[Dot]) -> str:
    parts = [
        f"{row_name(name, row.group)} {100 * value.value:.0f} ({100 * value.low:.0f} to {100 * value.high:.0f})"
        for name, row, value in dots
    ]
    return f"In 100, with the likely range: {'; '.join(parts)}."


def _need_and_calls(table: GroupTable | None) -> Chart | None:
    known = [row for row in table.rows if row.group.known] if table else []
    shown = [row for row in known if row.counts["missed"] and row.counts["selected"]]
    if len(shown) < len(known) or not shown:
        return None
    need = _shares(shown, "missed")
    calls = _shares(shown, "selected")

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=2.9, width=width)
        positions = range(len(shown))
        axes.bar([x - 0.2 for x in positions], need, 0.38, color=GREY, label="of all who missed")
        axes.bar([x + 0.2 for x in positions], calls, 0.38, color=BLUE, hatch="//", edgecolor="white",
                 label="of all calls")  # fmt: skip
        axes.set_xticks(list(positions), [row.group.code for row in shown])
        axes.set_xlabel("Deprivation tenth of the area (1 is the most deprived)")
        axes.set_ylabel("Share, in 100")
        axes.set_ylim(0, 1.3 * max(*need, *calls))
        axes.legend(frameon=False, ncols=2, loc="upper right", borderaxespad=0)
        return figure

    title = (
        f"The two most deprived tenths have {sum(need[:2]):.0f} in 100 of the need and get "
        f"{sum(calls[:2]):.0f} in 100 of the calls"
    )
    pairs = zip(shown, need, calls, strict=True)
    description = "; ".join(f"decile {row.group.code}: need {n:.0f}, calls {c:.0f}" for row, n, c in pairs)
    return chart_of("need", draw, title=title, description=description, numbers="figures_imd_decile.csv")


def _shares(rows: Sequence[GroupRow], count: str) -> list[float]:
    numbers = [row.counts[count] or 0 for row in rows]
    return [100 * number / sum(numbers) for number in numbers]


def _meaning(curves: Sequence[GroupCurve]) -> Chart | None:
    if not any(point.y for curve in curves for point in curve.points):
        return None
    top = 100 * max(max(p.x, p.y.high) for curve in curves for p in curve.points if p.y)

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=3.6 if width >= WIDTH else 4.6, width=width)
        axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle="--", label="as predicted")
        _lines(axes, curves, width=width)
        axes.set(xlabel="Predicted to miss, of 100", ylabel="Missed, of 100")
        return figure

    description = "Predicted and observed, in 100. " + _points_in_words(curves, "predicted", "missed")
    title = "Does a risk of 20 in 100 mean 20 in 100? On the dashed line it does"
    return chart_of("meaning", draw, title=title, description=description, numbers="chart_calibration.csv")


def _lines(axes: Axes, curves: Sequence[GroupCurve], *, width: float) -> None:
    for curve, colour, marker in zip(curves, PALETTE, MARKERS, strict=False):
        shown = [(100 * point.x, 100 * point.y.value) for point in curve.points if point.y]
        x, y = zip(*shown, strict=True) if shown else ((), ())
        axes.plot(x, y, color=colour, marker=marker, linewidth=1.2, label=curve.group)
    if width >= WIDTH:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    else:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(-0.05, -0.16), ncols=1)


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

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=3.0 if width >= WIDTH else 3.8, width=width)
        axes.axvline(100 * share.value, color=AMBER, linewidth=1.4, linestyle="--", label="this list")
        _lines(axes, curves, width=width)
        axes.set(xlabel="People called, of 100", ylabel="Reached, of 100 who missed", ylim=(0, 100))
        return figure

    description = "In 100. " + _points_in_words(curves, "called", "reached")
    title = f"A longer list reaches more people; this one calls {in_100(share)}"
    return chart_of("capacity", draw, title=title, description=description, numbers="chart_capacity.csv")


def _funnel(table: GroupTable | None, result: AuditResult) -> Chart | None:
    everyone = result.everyone.rows[0].rates["reach"]
    rows = [(row, reach) for row in (table.rows if table else ()) if (reach := row.rates["reach"])]
    if table is None or len(rows) < _FEWEST_ROWS or everyone is None:
        return None
    centre = everyone.value
    outside = sorted((pair for pair in rows if _is_outside(pair, centre)), key=lambda pair: pair[1].value)
    numbered = list(enumerate(outside[:_MOST_NAMED], start=1))

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=3.0, width=width)
        _limits(axes, centre, most=max(_missed(row) for row, _ in rows))
        for row, reach in rows:
            marked = (row, reach) in outside
            axes.plot(_missed(row), 100 * reach.value, "D" if marked else "o", color=AMBER if marked else BLUE)
        for number, (row, reach) in numbered:
            point = (_missed(row), 100 * reach.value)
            offset = (6, 5) if reach.value > centre else (-4, -16)
            axes.annotate(str(number), point, xytext=offset, textcoords="offset points", fontweight="bold")
        ends = [100 * reach.value for _, reach in rows]
        axes.set(xlabel="Missed appointments", ylabel="Reached, of 100 who missed")
        axes.set_ylim(max(0, min(ends) - _ROOM), min(100, max(ends) + _ROOM))
        axes.legend(frameon=False, title="Chance alone stays inside for", loc="upper right")
        return figure

    kind = "site" if table.name == "site" else "specialty"
    among = f"{len(outside)} of {len(rows)} {'differ' if len(outside) > 1 else 'differs'}"
    title = f"Reach by {kind}: {among if outside else 'none differs'} by more than chance allows"
    named = [f"{number} {place_name(table.name, row.group)} ({in_100(reach)})" for number, (row, reach) in numbered]
    return chart_of(
        table.name,
        draw,
        title=title,
        description=_in_words([(table.name, row, reach) for row, reach in rows]),
        numbers=f"figures_{table.name}.csv",
        note=f"Outside: {list_and(named)}." if named else "",
    )


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
