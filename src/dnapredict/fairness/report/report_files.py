"""The report folder: one self-contained page, one JSON file, and a CSV file for each table."""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnapredict.data.engine import running_step
from dnapredict.fairness import report_folder
from dnapredict.fairness.publish.change_since import what_changed
from dnapredict.fairness.publish.chart_data import CrossedCell
from dnapredict.fairness.publish.group_tables import GroupRow
from dnapredict.fairness.report import wording
from dnapredict.fairness.report.charts import charts, further_charts
from dnapredict.fairness.report.csv_tables import csv_files
from dnapredict.fairness.report.page_one import page_one
from dnapredict.fairness.report.phrases import group_sentences
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.report_folder import FIGURES, REPORT, TABLES
from dnapredict.fairness.run_audit import AuditResult, ReportContext
from dnapredict.fairness.verdicts import Check, Verdict

_SCHEMA = 1
_WORST_CELLS = 3
# Exact numbers of rows would help to derive hidden counts.
_NOT_WRITTEN = ("previous", "rows_expected", "coverage", "before", "accumulated")


def write(result: AuditResult, out: Path, *, extra_files: Mapping[str, bytes] | None = None) -> Path:
    """Write `report.html`, `audit.json` and the CSVs into the folder `out`; returns the page's path.

    `extra_files` are further files by name, such as the months or a summary in Easy Read. An earlier report is
    replaced, a signed one never.

    Raises
    ------
    UsageError
        If `out` holds a signed report, or something that is not a report.
    StoreError
        If the folder cannot be written.
    """
    return report_folder.write_folder(report_files(result) | dict(extra_files or {}), out, proof=FIGURES) / REPORT


require_free = functools.partial(report_folder.require_free, proof=FIGURES)


def report_files(result: AuditResult) -> dict[str, bytes]:
    """The files of every report by name: the page, the page of tables, and the figures."""
    running_step.begin("Writing the report")
    files = {name: text.encode("utf-8-sig") for name, text in csv_files(result).items()}
    files[FIGURES] = json.dumps(as_json(result), indent=1, ensure_ascii=False).encode()
    digest = hashlib.sha256(files[FIGURES]).hexdigest()
    files[TABLES] = render_tables(result, figures_sha256=digest).encode()
    tables = hashlib.sha256(files[TABLES]).hexdigest()
    files[REPORT] = render(result, figures_sha256=digest, tables_sha256=tables).encode()
    return files


def as_json(result: AuditResult) -> dict[str, Any]:
    """Every published figure and verdict as JSON values; None is hidden or not estimable."""
    return {
        "schema": _SCHEMA,
        "verdict": str(result.verdict),
        "sentence": wording.describe_verdict(result.verdict),
        "headline": list(_headline(result)),
        "page_one": to_json_value(page_one(result, changes=_changes(result))),
        "synthetic": result.context.synthetic,
        "context": _provenance(result.context),
        "policy": result.policy.model_dump(mode="json"),
        "verdicts": to_json_value(result.verdicts),
        "findings": to_json_value(result.findings),
        "gates": to_json_value(result.gates),
        "harms": to_json_value(result.harms),
        "overall": to_json_value(result.everyone.rows[0]),
        "pictures": to_json_value(result.chart_data),
        "sharing": to_json_value(result.allocation_costs),
        "groupings": {table.name: to_json_value(table) for table in result.tables},
        "not_in_this_extract": list(result.absent),
        "trusts": to_json_value(result.trusts),
        "outcomes": list(result.outcomes),
    }


def _provenance(context: ReportContext) -> dict[str, Any]:
    written = to_json_value(dataclasses.replace(context, before=None))
    return {name: value for name, value in written.items() if name not in _NOT_WRITTEN}


def to_json_value(value: Any) -> Any:
    """Dataclasses, tuples and enumerations as what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json_value(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity: not estimable
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def render(result: AuditResult, *, figures_sha256: str, tables_sha256: str) -> str:
    """The report as HTML: no script, no outside request, styles inside."""
    return page(
        "report.html.j2",
        result=result,
        context=result.context,
        policy=result.policy,
        one=page_one(result, changes=_changes(result)),
        decision=None,
        charts=charts(result),
        figures_sha256=figures_sha256,
        tables_sha256=tables_sha256,
    )


def render_tables(result: AuditResult, *, figures_sha256: str) -> str:
    """The page of all figures, group by group."""
    smallest = result.policy.smallest_group
    return page(
        "figures.html.j2",
        result=result,
        context=result.context,
        policy=result.policy,
        charts=further_charts(result),
        cells=_grid(result),
        lines=_lines(result),
        gaps=_gaps(result),
        details=[(gate, said) for gate in result.gates if (said := group_sentences(gate, smallest))],
        worst=_worst(result),
        figures_sha256=figures_sha256,
    )


def _headline(result: AuditResult) -> tuple[str, ...]:
    found = wording.headline(
        result.gates,
        {table.name: table for table in result.tables},
        result.everyone.rows[0],
        smallest_group=result.policy.smallest_group,
    )
    return (*result.outcomes, *found)


def _changes(result: AuditResult) -> tuple[str, ...]:
    previous = result.context.previous
    if previous is None:
        return ()
    return what_changed(result.verdict, result.gates, result.tables, previous)


def _grid(result: AuditResult) -> dict[str, list[CrossedCell]]:
    """Cells of ethnic group by deprivation, a list for each ethnic group."""
    rows: dict[str, list[CrossedCell]] = {}
    for cell in result.chart_data.cells:
        rows.setdefault(cell.ethnic_group, []).append(cell)
    return rows


def _worst(result: AuditResult) -> list[CrossedCell]:
    """The cells with the lowest reach after shrinkage."""
    known = [cell for cell in result.chart_data.cells if cell.shrunk is not None]
    return sorted(known, key=lambda cell: cell.shrunk or 0.0)[:_WORST_CELLS]


def _lines(result: AuditResult) -> list[tuple[str, GroupRow]]:
    """Rows whose calibration is listed under the chart: Core20 and the five broad ethnic groups."""
    tables = [table for name in ("core20", "ethnicity_5") if (table := result.table(name))]
    return [(table.name, row) for table in tables for row in table.rows if row.group.known]


def _gaps(result: AuditResult) -> list[tuple[Check, GroupRow]]:
    """Groups whose reach was judged, each with the row that has its gap to everyone else."""
    gate = result.gate("G3")
    judged = [c for c in gate.checks if c.verdict is not Verdict.NOT_ENOUGH_DATA] if gate else []
    tables = {table.name: {row.group.code: row for row in table.rows} for table in result.tables}
    return [(check, tables[check.grouping][check.group.code]) for check in judged]
