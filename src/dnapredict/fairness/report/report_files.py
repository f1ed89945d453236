"""The report: one self-contained page, one JSON file, one CSV a table, written whole or not at all."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnapredict.config.fairness_policy import REFUSED_USES
from dnapredict.fairness import report_folder
from dnapredict.fairness.publish.change_since import what_changed
from dnapredict.fairness.publish.chart_data import CrossedCell
from dnapredict.fairness.publish.group_tables import Row
from dnapredict.fairness.report import wording
from dnapredict.fairness.report.charts import charts
from dnapredict.fairness.report.csv_tables import as_tables
from dnapredict.fairness.report.first_page import tiles
from dnapredict.fairness.report.templating import page
from dnapredict.fairness.report_folder import FIGURES, REPORT
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.verdicts import Check, Verdict

_SCHEMA = 1
_WORST_CELLS = 3
_NOT_WRITTEN = ("previous", "rows_expected")  # an exact number of rows would help to work hidden ones out


def write(result: AuditResult, out: Path, *, beside: Mapping[str, bytes] | None = None) -> Path:
    """Write `report.html`, `audit.json` and the CSVs into the folder `out`; returns the page's path.

    `beside` are further files by name, such as the months or a summary in Easy Read. An earlier report is
    replaced, a signed one never.

    Raises
    ------
    UsageError
        If `out` holds a signed report, or something that is not a report.
    StoreError
        If the folder cannot be written.
    """
    return report_folder.put(main_files(result) | dict(beside or {}), out, proof=FIGURES) / REPORT


def require_free(out: Path) -> None:
    """Refuse a folder that `write` would refuse, before the work.

    Raises
    ------
    UsageError
        If `out` is a file, or holds a signed report or something that is not of a report.
    """
    report_folder.require_free(out.resolve(), proof=FIGURES)


def main_files(result: AuditResult) -> dict[str, bytes]:
    """The files of every report by name: page, figures and tables."""
    figures = json.dumps(as_json(result), indent=1, ensure_ascii=False).encode()
    files = {name: text.encode("utf-8-sig") for name, text in as_tables(result).items()}
    files[FIGURES] = figures
    files[REPORT] = render(result, figures_sha256=hashlib.sha256(figures).hexdigest()).encode()
    return files


def as_json(result: AuditResult) -> dict[str, Any]:
    """Every published figure and verdict, as plain values; None is hidden or not estimable."""
    return {
        "schema": _SCHEMA,
        "verdict": str(result.verdict),
        "sentence": wording.verdict_words(result.verdict),
        "synthetic": result.context.synthetic,
        "context": {k: v for k, v in plain(result.context).items() if k not in _NOT_WRITTEN},
        "policy": result.policy.model_dump(mode="json"),
        "gates": plain(result.gates),
        "overall": plain(result.everyone.rows[0]),
        "pictures": plain(result.pictures),
        "sharing": plain(result.sharings),
        "groupings": {table.name: plain(table) for table in result.tables},
        "not_in_this_extract": list(result.absent),
    }


def plain(value: Any) -> Any:
    """Dataclasses, tuples and enumerations as what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it, and neither has a reader: not estimable
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def render(result: AuditResult, *, figures_sha256: str) -> str:
    """The page as HTML: no script, no outside request, styles inside."""
    return page(
        "report.html.j2",
        result=result,
        context=result.context,
        policy=result.policy,
        everyone=result.everyone.rows[0],
        findings=wording.headline(
            result.gates,
            {table.name: table for table in result.tables},
            result.everyone.rows[0],
            smallest_group=result.policy.smallest_group,
        ),
        use=wording.use_words(result.policy.use),
        meaning=wording.verdict_words(result.verdict),
        tiles=tiles(result.gates),
        charts=charts(result),
        changes=_changes(result),
        cells=_grid(result),
        lines=_lines(result),
        gaps=_gaps(result),
        alike=alike.equal_reach_p if (alike := result.table("ethnicity")) else None,
        worst=_worst(result),
        actions=wording.actions_owed(result.gates),
        unseen=_unseen(result),
        refused=REFUSED_USES,
        figures_sha256=figures_sha256,
    )


def _changes(result: AuditResult) -> tuple[str, ...]:
    previous = result.context.previous
    if previous is None:
        return ()
    return what_changed(result.verdict, result.gates, result.tables, previous)


def _grid(result: AuditResult) -> dict[str, list[CrossedCell]]:
    """Cells of ethnic group by deprivation, a list for each ethnic group."""
    found: dict[str, list[CrossedCell]] = {}
    for cell in result.pictures.cells:
        found.setdefault(cell.ethnic_group, []).append(cell)
    return found


def _worst(result: AuditResult) -> list[CrossedCell]:
    """The cells with the lowest reach after leaning on the mean: what a scan of them all would point to."""
    known = [cell for cell in result.pictures.cells if cell.shrunk is not None]
    return sorted(known, key=lambda cell: cell.shrunk or 0.0)[:_WORST_CELLS]


def _lines(result: AuditResult) -> list[Row]:
    """Rows whose calibration is told in numbers beside the chart: Core20 and the five ethnic groups."""
    tables = [table for name in ("core20", "ethnicity_5") if (table := result.table(name))]
    return [row for table in tables for row in table.rows if row.group.known]


def _gaps(result: AuditResult) -> list[tuple[Check, Row]]:
    """Groups whose reach was judged, each with the row that tells its gap to everyone else."""
    gate = result.gate("G3")
    judged = [c for c in gate.checks if c.verdict is not Verdict.NOT_ENOUGH_DATA] if gate else []
    tables = {table.name: {row.group.code: row for row in table.rows} for table in result.tables}
    return [(check, tables[check.grouping][check.group.code]) for check in judged]


def _unseen(result: AuditResult) -> dict[str, list[Row]]:
    """Groups that stand for "we do not know", by what is not known."""
    found: dict[str, list[Row]] = {}
    for name, title in (("ethnicity", "Ethnic group"), ("core20", "Area")):
        table = result.table(name)
        rows = [row for row in table.rows if not row.group.known] if table else []
        shown = [row for row in rows if row.counts["appointments"] != 0]
        if shown:
            found[title] = shown
    return found
