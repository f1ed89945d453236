"""The page, the JSON and the tables of `dnapredict monitor`."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dnapredict.fairness import report_folder
from dnapredict.fairness.report.csv_tables import csv_text
from dnapredict.fairness.report.templating import Chart, chart_of, page
from dnapredict.model.report.chart_canvas import AMBER, BLUE, GREY, canvas
from dnapredict.monitoring.alarms import day_words
from dnapredict.monitoring.monitor_result import FIGURES, WEEKS_TOGETHER, MonitorResult, ratios
from dnapredict.monitoring.weekly_counts import GroupWeeks

Floats = NDArray[np.float64]

PAGE: Final = "monitor.html"
_WEEKS: Final = "weeks.csv"
_GROUPS: Final = "groups.csv"
_ALARMS: Final = "alarms.csv"
_INPUTS_SHOWN: Final = 15


def write(result: MonitorResult, out: Path) -> Path:
    """Write `monitor.html`, `monitor.json` and the tables into the folder `out`; returns the page's path.

    Raises
    ------
    UsageError
        If `out` holds something else.
    StoreError
        If the folder cannot be written.
    """
    figures = result.figures()
    tables = {_ALARMS: _alarm_table(figures), _WEEKS: _week_table(figures), _GROUPS: _group_table(figures)}
    return report_folder.write_page((PAGE, render(result)), (FIGURES, figures), tables, out)


require_free = functools.partial(report_folder.require_free, proof=FIGURES)


def render(result: MonitorResult) -> str:
    """The page as HTML: no script, no outside request, styles inside."""
    return page(
        "monitor.html.j2",
        result=result,
        context=result.context,
        lasting=result.lasting,
        past=[alarm for alarm in result.alarms if not alarm.lasts],
        summary=result.summary,
        charts=_charts(result),
        groups=_group_tables(result),
        inputs=_input_rows(result),
        together=WEEKS_TOGETHER,
        awaited=_awaited(result),
        day_words=day_words,
    )


def _awaited(result: MonitorResult) -> list[dict[str, Any]]:
    """The estimated performance of the weeks after the last with outcomes."""
    last = result.counts.weeks[-1]
    return [
        {"week": day_words(week), "estimate": each} for week, each in result.estimates() if np.datetime64(week) > last
    ]


def _charts(result: MonitorResult) -> list[Chart]:
    weeks = result.counts.weeks
    found = ratios(result.counts.everyone, together=1, rule=result.context.rule)
    return [
        _weekly_chart(
            "level",
            weeks,
            found["level"],
            title=_level_title(result),
            words="Missed, divided by predicted",
            line=1.0,
        ),
        _weekly_chart(
            "reach",
            weeks,
            100 * found["reach"],
            title="Share of the missed appointments that were on the list",
            words="On the list, of 100 missed",
        ),
    ]


def _level_title(result: MonitorResult) -> str:
    everyone = result.counts.everyone
    ratio = float(everyone.missed.sum() / max(float(everyone.expected.sum()), np.finfo(float).tiny))
    return f"Missed appointments divided by predicted ones: {ratio:.2f} over all weeks; 1 is as predicted"


def _weekly_chart(
    name: str, weeks: NDArray[np.datetime64], values: Floats, *, title: str, words: str, line: float | None = None
) -> Chart:
    shown = np.flatnonzero(np.isfinite(values))

    def draw(width: float) -> Figure:
        figure, axes = canvas(height=2.6, width=width)
        if line is not None:
            axes.axhline(line, color=AMBER, linewidth=1.2, linestyle="--")
        axes.plot(weeks[shown].astype("datetime64[D]").astype(object), values[shown], "o-", color=BLUE, markersize=3)
        axes.set_ylabel(words)
        axes.tick_params(axis="x", rotation=30)
        axes.grid(axis="y", color=GREY, alpha=0.2)
        return figure

    first = "; ".join(f"{day_words(weeks[at].item())} {values[at]:.3g}" for at in shown)
    return chart_of(name, draw, title=title, description=f"{words}, by week: {first}.", numbers=_WEEKS)


def _group_tables(result: MonitorResult) -> list[dict[str, Any]]:
    """A table for each grouping: the figures of each group in the last weeks, and over all weeks. Everyone first."""
    by_grouping: dict[str, list[GroupWeeks]] = {}
    for group in result.counts.groups:
        by_grouping.setdefault(group.grouping.title, []).append(group)
    return [
        {"title": title, "rows": [_group_row(group, result) for group in groups]}
        for title, groups in by_grouping.items()
    ]


def _group_row(group: GroupWeeks, result: MonitorResult) -> dict[str, str]:
    last = ratios(group, together=WEEKS_TOGETHER, rule=result.context.rule)
    whole = ratios(group, together=max(1, len(group.missed)), rule=result.context.rule)
    return {
        "name": group.group.full_name,
        "level": _text(whole["level"], 2),
        "level_now": _text(last["level"], 2),
        "reach": _text(100 * whole["reach"], 0),
        "reach_now": _text(100 * last["reach"], 0),
    }


def _text(values: Floats, decimals: int) -> str:
    return f"{values[-1]:.{decimals}f}" if len(values) and np.isfinite(values[-1]) else "too few"


def _input_rows(result: MonitorResult) -> list[dict[str, Any]]:
    """The inputs that differ most from the reference in the last week with a row, by PSI."""
    last = [(each.column, each.psi[np.isfinite(each.psi)]) for each in result.inputs]
    known = sorted(((name, float(psi[-1])) for name, psi in last if len(psi)), key=lambda pair: -pair[1])
    return [{"name": name, "psi": psi} for name, psi in known[:_INPUTS_SHOWN]]


def _alarm_table(figures: dict[str, Any]) -> str:
    names = ["what", "grouping", "group", "raised", "since", "lasts", "message"]
    return csv_text([names, *([alarm[name] for name in names] for alarm in figures["alarms"])])


def _week_table(figures: dict[str, Any]) -> str:
    names = ("level", "reach", "share_missed", "log_loss", "slope")
    by_week: dict[str, dict[str, Any]] = {}
    for name in names:
        for each in figures[name]:
            by_week.setdefault(each["week"], {})[name] = each[name]
    rows = [[week, *(_cell(values.get(name)) for name in names)] for week, values in sorted(by_week.items())]
    return csv_text([["week", *names], *rows])


def _group_table(figures: dict[str, Any]) -> str:
    rows: list[Sequence[Any]] = [["grouping", "group", f"{WEEKS_TOGETHER} weeks from", "level", "reach"]]
    rows += [
        [group["grouping"], group["group"], each["week"], _cell(each["level"]), _cell(each["reach"])]
        for group in figures["groups"]
        for each in group["by_week"]
    ]
    return csv_text([list(row) for row in rows])


def _cell(value: float | None) -> Any:
    return "*" if value is None else value
