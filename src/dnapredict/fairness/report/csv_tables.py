"""The CSV files of a report: a hidden number is "*", and no cell is read as a formula."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from dnapredict.data.spreadsheet_formulas import neutral_cell
from dnapredict.fairness.compare.allocation_cost import AllocationCost
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.publish.chart_data import ChartData, GroupCurve
from dnapredict.fairness.publish.group_tables import COUNTS, GroupRow, GroupTable
from dnapredict.fairness.run_audit import AuditResult, TrustPlace
from dnapredict.fairness.verdicts import GroupFinding

_HIDDEN = "*"
# Figures of a row that have a range and are not rates.
_ALSO_RANGED = (
    "reach_gap",
    "reach_ratio",
    "own_top_reach",
    "observed_over_expected",
    "allocation_index",
    "calibration_slope",
    "calibration_intercept",
)


def csv_files(result: AuditResult) -> dict[str, str]:
    """The CSV files by name: the gates, and the figures of each grouping ("*" is a hidden number)."""
    files = {"gates.csv": _gates(result), "gap_parts.csv": _gap_parts(result.findings)}
    for table in (result.everyone, *result.tables):
        files[f"figures_{table.name}.csv"] = _figures(table)
    if result.trusts:
        files["trusts.csv"] = _trusts(result.trusts)
    if result.allocation_costs:
        files["sharing.csv"] = _allocation_rows(result.allocation_costs)
    return files | _chart_tables(result.chart_data)


def _gap_parts(findings: Sequence[GroupFinding]) -> str:
    """How the largest gaps split into causes."""
    header = ["grouping", "group", "verdict", "gap", "gap_low", "gap_high", "cause", "points", "low", "high", "action"]
    lines: list[list[Any]] = [header]
    for one in findings:
        start = [one.grouping, one.group.name, one.verdict, *interval_cells(one.gap)]
        lines += [[*start, part.cause, *interval_cells(part.points), part.action] for part in one.parts]
    return csv_text(lines)


def _trusts(places: Sequence[TrustPlace]) -> str:
    """The trusts of a pooled audit: verdict, reach and the group that is furthest behind."""
    header = ["trust", "verdict", "appointments", "missed", "reach", "reach_low", "reach_high", "behind"]
    lines: list[list[Any]] = [[*header, "gap", "gap_low", "gap_high"]]
    for one in places:
        start = [one.trust, one.verdict, or_hidden(one.appointments), or_hidden(one.missed)]
        lines.append([*start, *interval_cells(one.reach), one.behind or "", *interval_cells(one.largest_gap)])
    return csv_text(lines)


def _allocation_rows(sharings: Sequence[AllocationCost]) -> str:
    """Each allocation rule by fifth of deprivation; the row of everyone has the cost."""
    header = ["rule", "in_use", "group", "called", "reached", "reach", "low", "high"]
    lines: list[list[Any]] = [[*header, "fewer_reached", "price", "price_low", "price_high"]]
    for one in sharings:
        start = [one.rule, one.in_use]
        price = [or_hidden(one.fewer), *interval_cells(one.price)]
        lines.append([*start, "Everyone", "", or_hidden(one.reached), *interval_cells(one.reach), *price])
        for fifth in one.fifths:
            counts = [or_hidden(fifth.selected), or_hidden(fifth.reached)]
            lines.append([*start, fifth.group.name, *counts, *interval_cells(fifth.reach), *[""] * 4])
    return csv_text(lines)


def _chart_tables(pictures: ChartData) -> dict[str, str]:
    """The numbers of the charts that are in no table."""
    curve = ["group", "x", "value", "low", "high", "n"]
    months = ["measure", "group", "month", "rate", "limit_low", "limit_high", "centre"]
    cells = ["ethnic_group", "deprivation", "missed", "reach", "low", "high", "shrunk"]
    return {
        "chart_calibration.csv": csv_text([curve, *_points(pictures.calibration)]),
        "chart_capacity.csv": csv_text([curve, *_points(pictures.capacity)]),
        "chart_months.csv": csv_text(
            [months]
            + [
                [c.measure, c.group, m.name, *interval_cells(m.rate), c.centre]
                for c in pictures.months
                for m in c.months
            ]
        ),
        "chart_ethnicity_by_deprivation.csv": csv_text(
            [cells]
            + [
                [c.ethnic_group, c.deprivation, or_hidden(c.missed), *interval_cells(c.reach), or_hidden(c.shrunk)]
                for c in pictures.cells
            ]
        ),
    }


def _points(curves: Sequence[GroupCurve]) -> list[list[Any]]:
    return [[curve.group, p.x, *interval_cells(p.y), or_hidden(p.n)] for curve in curves for p in curve.points]


def or_hidden(number: float | None) -> Any:
    """A number as it may be printed, "*" where it is hidden."""
    return _HIDDEN if number is None else number


def _figures(table: GroupTable) -> str:
    rates = list(table.rows[0].rates)
    ranged = [*rates, *_ALSO_RANGED]
    header = ["code", "group", *COUNTS, *(f"{name}{end}" for name in ranged for end in ("", "_low", "_high"))]
    return csv_text([[*header, "ranking_quality"], *(_cells(row, rates) for row in table.rows)])


def _cells(row: GroupRow, rates: list[str]) -> list[Any]:
    ranged = [*(row.rates[name] for name in rates), *(getattr(row, name) for name in _ALSO_RANGED)]
    counts = [or_hidden(row.counts[name]) for name in COUNTS]
    parts = [part for figure in ranged for part in interval_cells(figure)]
    return [row.group.code, row.group.full_name, *counts, *parts, or_hidden(row.ranking_quality)]


def interval_cells(figure: Interval | None) -> list[Any]:
    """Value, low and high of a figure, three times "*" where it is hidden."""
    return [_HIDDEN] * 3 if figure is None else [figure.value, figure.low, figure.high]


def _gates(result: AuditResult) -> str:
    header = ["gate", "title", "grouping", "group", "verdict", "measure", "estimate", "low", "high"]
    lines: list[list[Any]] = [[*header, "p_adjusted", "cause", "detectable", "sentence"]]
    for gate in result.gates:
        lines.append([gate.code, gate.title, "", "", gate.verdict, *[""] * 7, gate.sentence])
        for check in gate.checks:
            start = [gate.code, gate.title, check.grouping, check.group.name, check.verdict, check.measure]
            p_value = "" if check.p_adjusted is None else check.p_adjusted
            smallest = "" if check.detectable is None else check.detectable
            figures = [*interval_cells(check.estimate), p_value, check.cause or "", smallest]
            lines.append([*start, *figures, check.sentence])
    return csv_text(lines)


def csv_text(lines: list[list[Any]]) -> str:
    """Lines as CSV; text that a spreadsheet would read as a formula is neutralised."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[neutral_cell(cell) for cell in line] for line in lines])
    return text.getvalue()
