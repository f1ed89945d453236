"""The report: one self-contained page, one JSON file, one CSV a table, written whole or not at all."""

import csv
import dataclasses
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from dnapredict.audit import words
from dnapredict.audit.auditing import AuditResult
from dnapredict.audit.charts import charts
from dnapredict.audit.intervals import Interval
from dnapredict.audit.pictures import Cell, Curve, Pictures
from dnapredict.audit.sharing import Sharing
from dnapredict.audit.since import what_changed
from dnapredict.audit.tables import COUNTS, GroupTable, Row
from dnapredict.audit.tiles import tiles
from dnapredict.config.policy import REFUSED_USES
from dnapredict.errors import StoreError, UsageError

__all__ = ["REPORT", "SIGNATURE", "as_json", "as_tables", "render", "write"]

REPORT = "report.html"
FIGURES = "audit.json"
SIGNATURE = "signature.json"
_SCHEMA = 1
_HIDDEN = "*"
_RUNS_AS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(result: AuditResult, out: Path) -> Path:
    """Write `report.html`, `audit.json` and the CSVs into the folder `out`; returns the page's path.

    Everything is written beside `out` first and moved when whole. An earlier report is replaced,
    a signed one never: the signature belongs to exactly those files.

    Raises
    ------
    UsageError
        If `out` holds a signed report, or something that is not a report.
    StoreError
        If the folder cannot be written.
    """
    out = out.resolve()
    _may_be_replaced(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            for name, content in _files(result).items():
                (fresh / name).write_bytes(content)
            fresh.chmod(0o755)
            _move(fresh, out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written ({error.strerror}).") from None
    return out / REPORT


def _may_be_replaced(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out} is a file; the report needs a folder.")
    if (out / SIGNATURE).exists():
        raise UsageError(f"{out} holds a signed report, which is never overwritten. Choose another folder.")
    if any(out.iterdir()) and not (out / FIGURES).exists():
        raise UsageError(f"{out} holds other files and no report. Choose a new or empty folder.")


def _move(fresh: Path, out: Path) -> None:
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
        out.rename(old / "report")
        fresh.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(out)


def _files(result: AuditResult) -> dict[str, bytes]:
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
        "sentence": words.verdict_words(result.verdict),
        "synthetic": result.context.synthetic,
        "context": {k: v for k, v in _plain(result.context).items() if k != "previous"},
        "policy": result.policy.model_dump(mode="json"),
        "gates": _plain(result.gates),
        "overall": _plain(result.everyone.rows[0]),
        "pictures": _plain(result.pictures),
        "sharing": _plain(result.sharings),
        "groupings": {table.name: _plain(table) for table in result.tables},
        "not_in_this_extract": list(result.absent),
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def as_tables(result: AuditResult) -> dict[str, str]:
    """The CSV files by name: the gates, and the figures of each grouping ("*" is a hidden number)."""
    found = {"gates.csv": _gates(result)}
    for table in (result.everyone, *result.tables):
        found[f"figures_{table.name}.csv"] = _figures(table)
    if result.sharings:
        found["sharing.csv"] = _shared(result.sharings)
    return found | _drawn(result.pictures)


def _shared(sharings: Sequence[Sharing]) -> str:
    """Each rule of sharing the calls by fifth of deprivation; the price stands in the line of everyone."""
    header = ["rule", "in_use", "group", "missed", "called", "reached", "reach", "low", "high"]
    lines: list[list[Any]] = [[*header, "fewer_reached", "price", "price_low", "price_high"]]
    for one in sharings:
        start = [one.rule, one.in_use]
        price = [_or_hidden(one.fewer), *_ends(one.price)]
        lines.append([*start, "Everyone", "", "", _or_hidden(one.reached), *_ends(one.reach), *price])
        for row in one.table.rows:
            counts = [_or_hidden(row.counts[name]) for name in ("missed", "selected", "reached")]
            lines.append([*start, row.group.name, *counts, *_ends(row.rates["reach"]), *[""] * 4])
    return _csv(lines)


def _drawn(pictures: Pictures) -> dict[str, str]:
    """The numbers of the charts that are in no table."""
    curve = ["group", "x", "value", "low", "high", "n"]
    months = ["group", "month", "reach", "limit_low", "limit_high", "centre"]
    cells = ["ethnic_group", "deprivation", "missed", "reach", "low", "high", "shrunk"]
    return {
        "chart_calibration.csv": _csv([curve, *_points(pictures.calibration)]),
        "chart_capacity.csv": _csv([curve, *_points(pictures.capacity)]),
        "chart_months.csv": _csv(
            [months]
            + [[c.group, m.name, *_ends(m.reach), c.centre] for c in pictures.months for m in c.months]
        ),
        "chart_ethnicity_by_deprivation.csv": _csv(
            [cells]
            + [
                [c.ethnic_group, c.deprivation, _or_hidden(c.missed), *_ends(c.reach), _or_hidden(c.shrunk)]
                for c in pictures.cells
            ]
        ),
    }


def _points(curves: Sequence[Curve]) -> list[list[Any]]:
    return [[curve.group, p.x, *_ends(p.y), _or_hidden(p.n)] for curve in curves for p in curve.points]


def _or_hidden(number: float | None) -> Any:
    return _HIDDEN if number is None else number


def _figures(table: GroupTable) -> str:
    rates = list(table.rows[0].rates)
    ranged = [*rates, "own_top_reach", "observed_over_expected", "allocation_index"]
    header = ["code", "group", *COUNTS, *(f"{name}{end}" for name in ranged for end in ("", "_low", "_high"))]
    return _csv([[*header, "ranking_quality"], *(_cells(row, rates) for row in table.rows)])


def _cells(row: Row, rates: list[str]) -> list[Any]:
    ranged = [
        *(row.rates[name] for name in rates),
        row.own_top_reach,
        row.observed_over_expected,
        row.allocation_index,
    ]
    counts = [_or_hidden(row.counts[name]) for name in COUNTS]
    parts = [part for figure in ranged for part in _ends(figure)]
    return [row.group.code, row.group.name, *counts, *parts, _or_hidden(row.ranking_quality)]


def _ends(figure: Interval | None) -> list[Any]:
    return [_HIDDEN] * 3 if figure is None else [figure.value, figure.low, figure.high]


def _gates(result: AuditResult) -> str:
    header = ["gate", "title", "grouping", "group", "verdict", "measure", "estimate", "low", "high"]
    lines: list[list[Any]] = [[*header, "p_adjusted", "cause", "sentence"]]
    for gate in result.gates:
        lines.append([gate.code, gate.title, "", "", gate.verdict, *[""] * 6, gate.sentence])
        for check in gate.checks:
            start = [gate.code, gate.title, check.grouping, check.group.name, check.verdict, check.measure]
            p_value = "" if check.p_adjusted is None else check.p_adjusted
            lines.append([*start, *_ends(check.estimate), p_value, check.cause or "", check.sentence])
    return _csv(lines)


def _csv(lines: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_safe(cell) for cell in line] for line in lines])
    return text.getvalue()


def _safe(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula is made a plain text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_RUNS_AS_FORMULA) else cell


def render(result: AuditResult, *, figures_sha256: str) -> str:
    """The page as HTML: no script, no outside request, styles inside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dnapredict.audit", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        in_100=words.in_100,
        range_of=words.range_of,
        ratio_of=words.ratio_of,
        count_of=words.count_of,
        named=words.named,
    )
    return environment.get_template("report.html.j2").render(
        result=result,
        context=result.context,
        policy=result.policy,
        everyone=result.everyone.rows[0],
        findings=words.headline(result.gates, {t.name: t for t in result.tables}, result.everyone.rows[0]),
        meaning=words.verdict_words(result.verdict),
        tiles=tiles(result.gates),
        charts=charts(result),
        changes=_changes(result),
        cells=_grid(result),
        actions=words.actions_owed(result.gates),
        unseen=_unseen(result),
        refused=REFUSED_USES,
        figures_sha256=figures_sha256,
    )


def _changes(result: AuditResult) -> tuple[str, ...]:
    previous = result.context.previous
    if previous is None:
        return ()
    return what_changed(result.verdict, result.gates, result.tables, previous)


def _grid(result: AuditResult) -> dict[str, list[Cell]]:
    """Cells of ethnic group by deprivation, a list for each ethnic group."""
    found: dict[str, list[Cell]] = {}
    for cell in result.pictures.cells:
        found.setdefault(cell.ethnic_group, []).append(cell)
    return found


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
