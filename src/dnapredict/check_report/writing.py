"""Count an extract's quality and write it down: JSON for programs, a page for people."""

import dataclasses
import json
from pathlib import Path

from dnapredict.check_report.figures import Report
from dnapredict.check_report.page import render
from dnapredict.check_report.publishing import Source, published
from dnapredict.config.loading import load, shipped
from dnapredict.config.policy import Policy
from dnapredict.config.setting import Setting
from dnapredict.data.checked import Checked
from dnapredict.data.extract import is_synthetic
from dnapredict.data.quality.profile import profile
from dnapredict.data.workspace import Workspace
from dnapredict.errors import UsageError
from dnapredict.prepared import factor_register
from dnapredict.whole_files import whole

__all__ = ["as_json", "places", "report_of", "require_free", "write"]

# Some of the keys of every report, by which it is told from other JSON.
_KEYS = {"schema", "rejected_share", "columns"}


def write(
    checked: Checked, workspace: Workspace, out: Path, *, extract: Path, setting: Setting
) -> tuple[Path, Path]:
    """Count what there is to tell of `extract`, and write JSON and page; returns where they are.

    Each is written whole or not at all.

    Raises
    ------
    StoreError
        If the place cannot be written.
    """
    figures, page = places(out)
    report = report_of(checked, workspace, extract=extract, setting=setting)
    with whole(figures) as draft:
        draft.write_text(as_json(report), encoding="utf-8")
    with whole(page) as draft:
        draft.write_text(render(report), encoding="utf-8")
    return figures, page


def require_free(out: Path) -> None:
    """Refuse a name under which something else than such a report is there, before the work.

    Raises
    ------
    UsageError
        If one of the two files is a folder, or is there and is not part of a report.
    """
    figures, page = places(out)
    for path in (figures, page):
        if path.is_dir():
            raise UsageError(f"{path}: is a folder. Name the file of the report in it, such as check.json.")
    if (figures.exists() or page.exists()) and not _is_report(figures):
        there = figures if figures.exists() else page
        raise UsageError(f"{there}: is there already and is no report of 'check'. Give another name.")


def _is_report(figures: Path) -> bool:
    try:
        found = json.loads(figures.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.keys() >= _KEYS


def report_of(checked: Checked, workspace: Workspace, *, extract: Path, setting: Setting) -> Report:
    """The report of an extract that was held against the contract; small numbers as the policy says."""
    source = Source(extract.name, is_synthetic(extract), setting.training.max_rejected_share)
    return published(
        profile(checked, workspace, zone=setting.mapping.timezone),
        source=source,
        rule=load(shipped("fairness/policy.toml"), Policy).disclosure,
        register=factor_register(),
    )


def places(out: Path) -> tuple[Path, Path]:
    """Where the JSON and the page go for a report named `out`: side by side, under one name.

    >>> [place.name for place in places(Path("week-47.json"))]
    ['week-47.json', 'week-47.html']
    >>> [place.name for place in places(Path("week-47.html"))]
    ['week-47.json', 'week-47.html']
    """
    if out.suffix.lower() in (".html", ".htm"):
        return out.with_suffix(".json"), out
    return out, out.with_suffix(".html")


def as_json(report: Report) -> str:
    """The report as JSON, with the names of `figures` as keys."""
    return json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) + "\n"
