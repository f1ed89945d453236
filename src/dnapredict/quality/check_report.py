"""The report of `dnapredict check`: JSON for programs, and a self-contained page for people."""

import calendar
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting
from dnapredict.data.contract import codes
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.readers.table_file import is_synthetic
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.errors import UsageError
from dnapredict.features.factors import factor_register
from dnapredict.quality.label_checks import extract_label_faults
from dnapredict.quality.published_figures import ReportSource, publish_report
from dnapredict.quality.quality_profile import SourceWord, profile
from dnapredict.quality.record_quality import BLANK, FEWEST_PATIENTS, LITTLE_NOTICE_DAYS, MOVED_WITHIN_DAYS
from dnapredict.quality.report_figures import LabelFault, MonthOutcomes, Report

# Both reports use the audit's style sheet, without importing the audit's package.
_PACKAGE: Final = Path(__file__).parents[1]
_TEMPLATES: Final = (_PACKAGE / "quality" / "templates", _PACKAGE / "fairness" / "templates")
# What fits a sheet of A4; the JSON holds all.
_MOST_MONTHS: Final = 12
_MOST_SITES: Final = 40
# Difference between a column's best and worst month from which the worst is named.
_NAMED_FROM: Final = 0.05
# Classes of the outcome chart and its legend, in the order in which they stack.
_STACK: Final = {
    "came": ("Attended", codes.ATTENDED),
    "missed": ("Missed", codes.MISSED),
    "patient": ("Cancelled by the patient", (codes.CANCELLED_BY_PATIENT,)),
    "provider": ("Cancelled by the provider", (codes.CANCELLED_BY_PROVIDER,)),
    "other": ("No outcome", (codes.NOT_APPLICABLE, BLANK)),
}


def render(report: Report) -> str:
    """The page as HTML: styles inside, no outside request, every value escaped."""
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
        has_outcomes=any(_has_outcomes(month) for month in report.outcomes_by_month),
        lowest=_lowest,
        best=_best,
    )


def _has_outcomes(month: MonthOutcomes) -> bool:
    """Whether appointments of the month were attended or missed; a hidden count is not 0."""
    return any(month.outcomes.get(code) != 0 for code in (*codes.ATTENDED, *codes.MISSED))


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
    """A count with thousands separators; None is a hidden count.

    >>> number(12345), number(None)
    ('12,345', 'hidden')
    """
    return "hidden" if count is None else f"{count:,}"


def _month_name(month: str) -> str:
    """`2026-04` in words.

    >>> _month_name("2026-04")
    'Apr 2026'
    """
    return f"{calendar.month_abbr[int(month[5:])]} {month[:4]}"


def _stacked(month: MonthOutcomes) -> dict[str, float | None]:
    """Share of each kind of outcome in a month; None where a part of it is hidden."""
    kinds = {name: [month.outcomes.get(code) for code in of] for name, (_, of) in _STACK.items()}
    return {name: _sum_share(counts, month.rows) for name, counts in kinds.items()}


def _sum_share(counts: list[int | None], rows: int | None) -> float | None:
    shown = [count for count in counts if count is not None]
    return None if not rows or not shown else min(sum(shown) / rows, 1.0)


def _of(report: Report, grouping: str) -> list[Any]:
    return [each for each in report.missed_by_group if each.grouping == grouping]


def _best(by_month: Mapping[str, float | None]) -> float:
    return max((share for share in by_month.values() if share is not None), default=0.0)


def _lowest(by_month: Mapping[str, float | None]) -> tuple[str, float] | None:
    """The month in which a column is least complete, where months differ."""
    known = {month: share for month, share in by_month.items() if share is not None}
    if not known or max(known.values()) - min(known.values()) < _NAMED_FROM:
        return None
    month = min(known, key=lambda name: (known[name], name))
    return month, known[month]


# Keys by which a report is distinguished from other JSON.
_KEYS = {"schema", "rejected_share", "columns"}


def write_report(report: Report, out: Path) -> tuple[Path, Path]:
    """Write JSON and page of a report; returns their paths. Raises StoreError if they cannot be written."""
    figures, page = report_paths(out)
    with write_atomically(figures) as draft:
        draft.write_text(as_json(report), encoding="utf-8")
    with write_atomically(page) as draft:
        draft.write_text(render(report), encoding="utf-8")
    return figures, page


def require_free(out: Path) -> None:
    """Refuse paths at which there is something other than such a report; called before the work.

    Raises
    ------
    UsageError
        If one of the two files is a folder, or is there and is not part of a report.
    """
    figures, page = report_paths(out)
    for path in (figures, page):
        if path.is_dir():
            raise UsageError(f"{path}: is a folder. Name the file of the report in it, such as check.json.")
    if (figures.exists() or page.exists()) and not _is_report(figures):
        existing = figures if figures.exists() else page
        raise UsageError(f"{existing}: is there already and is no report of 'check'. Give another name.")


def _is_report(figures: Path) -> bool:
    try:
        found = json.loads(figures.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.keys() >= _KEYS


def report_of(
    checked: CheckedExtract,
    workspace: SqlEngine,
    *,
    extract: Path | str,
    setting: Setting,
    synthetic: bool | None = None,
    labels: tuple[LabelFault, ...] | None = None,
    words: tuple[SourceWord, ...] | None = None,
) -> Report:
    """The report of an extract that was checked against the contract, with the policy's small-number rule.

    `extract` is its file, or the name of a table. `synthetic` says whether its patients are made up; by default the
    file says it. `labels` are the faults of its outcomes, and `words` the result of `source_words`, if they were
    computed before.
    """
    if synthetic is None:
        synthetic = is_synthetic(Path(extract))
    if labels is None:
        labels = extract_label_faults(checked, workspace, synthetic=synthetic, setting=setting)
    source = ReportSource(Path(extract).name, synthetic, setting.training.max_rejected_share, labels)
    return publish_report(
        profile(checked, workspace, zone=setting.mapping.timezone, words=words),
        source=source,
        rule=load(shipped("fairness/policy.toml"), Policy).disclosure,
        register=factor_register(),
    )


def report_paths(out: Path) -> tuple[Path, Path]:
    """Paths of the JSON and the page of a report named `out`.

    >>> [path.name for path in report_paths(Path("week-47.json"))]
    ['week-47.json', 'week-47.html']
    >>> [path.name for path in report_paths(Path("week-47.html"))]
    ['week-47.json', 'week-47.html']
    """
    if out.suffix.lower() in (".html", ".htm"):
        return out.with_suffix(".json"), out
    return out, out.with_suffix(".html")


def as_json(report: Report) -> str:
    """The report as JSON, with the field names of `report_figures` as keys."""
    return json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) + "\n"
