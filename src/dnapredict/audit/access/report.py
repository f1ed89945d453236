"""The report on access: a page of four sheets, a table of indicators and the same figures as JSON."""

import json
from pathlib import Path

from dnapredict.audit import folder
from dnapredict.audit.access.assessing import Access
from dnapredict.audit.access.drawings import drawings
from dnapredict.audit.access.findings import findings
from dnapredict.audit.access.indicators import indicators
from dnapredict.audit.pages import page
from dnapredict.audit.report import plain

__all__ = ["PAGE", "render", "require_free", "write"]

PAGE = "access.html"
_FIGURES = "access.json"
_SCHEMA = 1


def write(access: Access, out: Path) -> Path:
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
        "context": plain(access.context),
        "everyone": plain(access.everyone),
        "groupings": {table.name: plain(table) for table in access.tables},
        "not_in_this_extract": list(access.absent),
    }
    files = {
        PAGE: render(access).encode(),
        _FIGURES: json.dumps(figures, indent=1, ensure_ascii=False).encode(),
        "indicators.csv": indicators(access).encode("utf-8-sig"),
    }
    return folder.put(files, out, proof=_FIGURES) / PAGE


def require_free(out: Path) -> None:
    """Refuse a folder that `write` would refuse, before the work.

    Raises
    ------
    UsageError
        If `out` is a file, or holds something that is not of a report.
    """
    folder.require_free(out.resolve(), proof=_FIGURES)


def render(access: Access) -> str:
    """The page as HTML: no script, no outside request, styles inside."""
    return page(
        "access.html.j2",
        access=access,
        context=access.context,
        policy=access.policy,
        everyone=access.everyone.rows[0],
        findings=findings(access),
        charts=drawings(access),
    )
