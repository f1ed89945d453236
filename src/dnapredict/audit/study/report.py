"""The study as a page and a CSV."""

from typing import Any

from dnapredict.audit.auditing import ReportContext
from dnapredict.audit.csvs import csv_text, ends
from dnapredict.audit.pages import page
from dnapredict.audit.study.comparing import Method, Study

__all__ = ["study_files"]

_FIGURES = ("called", "reach", "by_risk", "core20", "rest")


def study_files(study: Study, context: ReportContext) -> dict[str, bytes]:
    """`study.html` and `study.csv` by name."""
    header = ["method", "research", *(f"{name}{end}" for name in _FIGURES for end in ("", "_low", "_high"))]
    header += ["lowest_ethnic_group", "lowest", "lowest_low", "lowest_high", "breaks"]
    lines = [header, *(_line(method) for method in study.methods)]
    html = page("study.html.j2", study=study, context=context)
    return {"study.html": html.encode(), "study.csv": csv_text(lines).encode("utf-8-sig")}


def _line(method: Method) -> list[Any]:
    figures = [end for name in _FIGURES for end in ends(getattr(method, name))]
    name, lowest = method.lowest or ("", None)
    return [method.name, method.research, *figures, name, *ends(lowest), " ".join(method.breaks)]
