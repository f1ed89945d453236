"""The report as a page that needs no network and no script, and prints on A4."""

import calendar
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2

from dnapredict.check_report.figures import MonthOutcomes, Report
from dnapredict.data import codes
from dnapredict.data.quality.missed import LITTLE_NOTICE_DAYS, MOVED_WITHIN_DAYS
from dnapredict.data.quality.months import BLANK
from dnapredict.data.quality.unknown_codes import FEWEST_PATIENTS

__all__ = ["render"]

# The audit's style sheet is the house's: both reports look the same. Its package is not loaded for it.
_PACKAGE: Final = Path(__file__).parents[1]
_TEMPLATES: Final = (_PACKAGE / "check_report" / "templates", _PACKAGE / "audit" / "templates")
# What fits a sheet of A4; the JSON holds all.
_MOST_MONTHS: Final = 12
_MOST_SITES: Final = 40
# By how much a column's worst month falls behind its best before it is named.
_WORTH_A_WORD: Final = 0.05
# Classes of the outcome chart and its legend, in the order in which they stack.
_STACK: Final = {
    "came": ("Attended", codes.ATTENDED),
    "missed": ("Missed", codes.MISSED),
    "patient": ("Cancelled by the patient", (codes.CANCELLED_BY_PATIENT,)),
    "provider": ("Cancelled by the provider", (codes.CANCELLED_BY_PROVIDER,)),
    "other": ("No outcome", (codes.NOT_APPLICABLE, BLANK)),
}


def render(report: Report) -> str:
    """The page as HTML: styles inside, nothing asked of anybody, every value escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number=number, month=_month_name)
    shown = [month.month for month in report.outcomes_by_month][-_MOST_MONTHS:]
    return environment.get_template("check.html.j2").render(
        report=report,
        refused=report.rows - report.kept,
        months=shown,
        stack=_STACK,
        outcomes=[(month, _stacked(month)) for month in report.outcomes_by_month],
        sites=report.ethnicity_by_site[:_MOST_SITES],
        deprivation=_of(report, "deprivation"),
        ethnicity=_of(report, "ethnicity"),
        everybody=_of(report, "all"),
        fed=sum(factor.fed for factor in report.factors),
        little_notice_days=LITTLE_NOTICE_DAYS,
        moved_within_days=MOVED_WITHIN_DAYS,
        fewest_patients=FEWEST_PATIENTS,
        lowest=_lowest,
        best=_best,
    )


def percent(share: float | None) -> str:
    """A share in words: never 100% or 0% of what is not all or none.

    >>> [percent(share) for share in (1.0, 0.9996, 0.5, 0.0004, 0.0, None)]
    ['100%', 'over 99%', '50%', 'under 1%', '0%', 'hidden']
    """
    if share is None:
        return "hidden"
    if 0.995 <= share < 1:
        return "over 99%"
    return "under 1%" if 0 < share < 0.005 else f"{share:.0%}"


def number(count: int | None) -> str:
    """A count with its thousands apart; None is one that must be hidden.

    >>> number(12345), number(None)
    ('12,345', 'hidden')
    """
    return "hidden" if count is None else f"{count:,}"


def _month_name(month: str) -> str:
    """`2026-04` as a person writes it.

    >>> _month_name("2026-04")
    'Apr 2026'
    """
    return f"{calendar.month_abbr[int(month[5:])]} {month[:4]}"


def _stacked(month: MonthOutcomes) -> dict[str, float | None]:
    """Share of each kind of outcome in a month; None where a part of it is hidden."""
    kinds = {name: [month.outcomes.get(code) for code in of] for name, (_, of) in _STACK.items()}
    return {name: _sum_share(counts, month.rows) for name, counts in kinds.items()}


def _sum_share(counts: list[int | None], rows: int | None) -> float | None:
    told = [count for count in counts if count is not None]
    return None if not rows or not told else min(sum(told) / rows, 1.0)


def _of(report: Report, grouping: str) -> list[Any]:
    return [each for each in report.missed_by_group if each.grouping == grouping]


def _best(by_month: Mapping[str, float | None]) -> float:
    return max((share for share in by_month.values() if share is not None), default=0.0)


def _lowest(by_month: Mapping[str, float | None]) -> tuple[str, float] | None:
    """The month in which a column is least filled, where months differ."""
    known = {month: share for month, share in by_month.items() if share is not None}
    if not known or max(known.values()) - min(known.values()) < _WORTH_A_WORD:
        return None
    month = min(known, key=lambda name: (known[name], name))
    return month, known[month]
