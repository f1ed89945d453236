"""The report on access: a page of four sheets, a table of indicators, and the same figures as JSON."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dnapredict.data.contract.codes import BARRIER
from dnapredict.fairness import report_folder
from dnapredict.fairness.access.access_charts import access_charts
from dnapredict.fairness.access.access_findings import findings
from dnapredict.fairness.access.access_measures import MEASURES, WAIT_BEGINS
from dnapredict.fairness.access.assessment import AccessAssessment, AccessRow, AccessTable
from dnapredict.fairness.report.csv_tables import csv_text, interval_cells, or_hidden
from dnapredict.fairness.report.report_files import to_json_value
from dnapredict.fairness.report.templating import page

_HEADER = (
    "indicator", "title", "unit", "grouping", "code", "group", "numerator", "denominator", "value", "low",
    "high", "england", "from", "to",
)  # fmt: skip
_ENGLAND = {
    "imd_decile": {str(decile): 0.1 for decile in range(1, 11)},
    "core20": {"core20": 0.2, "rest": 0.8},
}


def indicators(access: AccessAssessment) -> str:
    """All indicators as CSV; "*" is hidden or not estimable.

    Shares are between 0 and 1 and waits are days; `england` is the country's share where it is fixed by
    what the group means.
    """
    period = [day.isoformat() for day in access.context.window]
    tables = (access.everyone, *access.tables)
    begins = access.wait_begins.removesuffix(",")
    lines = [[*line, *period] for table in tables for row in table.rows for line in _lines(table, row, begins)]
    return csv_text([list(_HEADER), *lines])


def _lines(table: AccessTable, row: AccessRow, wait_begins: str) -> Iterator[list[Any]]:
    """The indicators of one group, in the columns of `_HEADER` up to `england`."""
    group = [table.name, row.group.code, row.group.full_name]
    numbers = {name: or_hidden(number) for name, number in row.numbers.items()}
    england = _ENGLAND.get(table.name, {}).get(row.group.code, "")
    for name, title in (("patients", "People with an appointment"), ("appointments", "Appointments")):
        yield [name, title, "number", *group, "", "", numbers[name], "", "", ""]
    share = [numbers["patients"], "", *interval_cells(row.share), england]
    yield ["share_of_patients", "Share of people with an appointment", "share", *group, *share]
    ahead = [numbers["upcoming"], "", *interval_cells(row.waiting), england]
    yield ["share_of_waiting", "Share of appointments that lie ahead", "share", *group, *ahead]
    for measure in MEASURES:
        found = row.measures[measure.name]
        counts = [or_hidden(found.above), or_hidden(found.below)]
        yield [
            measure.name,
            measure.title.replace(WAIT_BEGINS, wait_begins),
            "share",
            *group,
            *counts,
            *interval_cells(found.rate),
            "",
        ]
    for code, number in row.barriers.items():
        name, title = f"barrier_{code}", f"Hard to come because of: {BARRIER[code].lower()}"
        yield [name, title, "number", *group, "", "", or_hidden(number), "", "", ""]
    title, unit = "Missed more often than by everyone else", "difference of shares"
    yield ["more_missed", title, unit, *group, "", "", *interval_cells(row.more_missed), ""]
    wait = interval_cells(row.median_wait)
    yield ["median_wait", "Median days to a first appointment", "days", *group, "", "", *wait, ""]
    ninth = or_hidden(row.ninth_wait)
    yield ["ninth_wait", "Days within which nine of ten had it", "days", *group, "", "", ninth, "", "", ""]


PAGE = "access.html"
_FIGURES = "access.json"
_SCHEMA = 1


def write(access: AccessAssessment, out: Path) -> Path:
    """Write `access.html`, `access.json` and `indicators.csv` into the folder `out`; returns the page's path.

    Raises
    ------
    UsageError
        If `out` holds something else.
    StoreError
        If the folder cannot be written.
    """
    figures = {
        "schema": _SCHEMA,
        "synthetic": access.context.synthetic,
        "context": {
            key: value
            for key, value in to_json_value(dataclasses.replace(access.context, before=None)).items()
            if key != "before"
        },
        "waits_counted_from": access.wait_begins.removesuffix(","),
        "everyone": to_json_value(access.everyone),
        "groupings": {table.name: to_json_value(table) for table in access.tables},
        "not_in_this_extract": list(access.absent),
    }
    tables = {"indicators.csv": indicators(access)}
    return report_folder.write_page((PAGE, render(access)), (_FIGURES, figures), tables, out)


require_free = functools.partial(report_folder.require_free, proof=_FIGURES)


def render(access: AccessAssessment) -> str:
    """The page as HTML: no script, no outside request, styles inside."""
    return page(
        "access.html.j2",
        access=access,
        context=access.context,
        policy=access.policy,
        everyone=access.everyone.rows[0],
        findings=findings(access),
        charts=access_charts(access),
        barriers=BARRIER,
    )
