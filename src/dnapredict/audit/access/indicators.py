"""The table of indicators: one line a figure and group, to be published each year and compared."""

from collections.abc import Iterator
from typing import Any

from dnapredict.audit.access.assessing import Access
from dnapredict.audit.access.measures import MEASURES
from dnapredict.audit.access.tabulating import AccessRow, AccessTable
from dnapredict.audit.csvs import csv_text, ends, or_hidden

__all__ = ["indicators"]

_HEADER = (
    "indicator", "title", "unit", "grouping", "code", "group", "numerator", "denominator", "value", "low",
    "high", "england", "from", "to",
)  # fmt: skip
_ENGLAND = {
    "imd_decile": {str(decile): 0.1 for decile in range(1, 11)},
    "core20": {"core20": 0.2, "rest": 0.8},
}


def indicators(access: Access) -> str:
    """All indicators as CSV; "*" is hidden or not estimable.

    Shares are between 0 and 1 and waits are days; `england` is the country's share where it is fixed by
    what the group means.
    """
    period = [day.isoformat() for day in access.context.window]
    tables = (access.everyone, *access.tables)
    lines = [[*line, *period] for table in tables for row in table.rows for line in _lines(table, row)]
    return csv_text([list(_HEADER), *lines])


def _lines(table: AccessTable, row: AccessRow) -> Iterator[list[Any]]:
    group = [table.name, row.group.code, row.group.name]
    numbers = {name: or_hidden(number) for name, number in row.numbers.items()}
    england = _ENGLAND.get(table.name, {}).get(row.group.code, "")
    yield [
        "patients",
        "People with an appointment",
        "number",
        *group,
        "",
        "",
        numbers["patients"],
        "",
        "",
        "",
    ]
    yield ["appointments", "Appointments", "number", *group, "", "", numbers["appointments"], "", "", ""]
    share = [numbers["patients"], "", *ends(row.share), england]
    yield ["share_of_patients", "Share of people with an appointment", "share", *group, *share]
    ahead = [numbers["upcoming"], "", *ends(row.waiting), england]
    yield ["share_of_waiting", "Share of appointments that lie ahead", "share", *group, *ahead]
    for measure in MEASURES:
        found = row.measures[measure.name]
        counts = [or_hidden(found.above), or_hidden(found.below)]
        yield [measure.name, measure.title, "share", *group, *counts, *ends(found.rate), ""]
    more = [*ends(row.more_missed), ""]
    yield [
        "more_missed",
        "Missed more often than by everyone else",
        "difference of shares",
        *group,
        "",
        "",
        *more,
    ]
    wait = [*ends(row.median_wait), ""]
    yield ["median_wait", "Median days to a first appointment", "days", *group, "", "", *wait]
    ninth = [or_hidden(row.ninth_wait), "", "", ""]
    yield ["ninth_wait", "Days within which nine of ten had it", "days", *group, "", "", *ninth]
