"""What can be written beside a report, when it is asked for."""

from collections.abc import Mapping
from typing import Final

from dnapredict.audit.auditing import AuditResult
from dnapredict.audit.easy_read import easy_read_page
from dnapredict.audit.monthly import monthly_page
from dnapredict.audit.printing import as_pdf
from dnapredict.audit.report import REPORT, main_files
from dnapredict.audit.study import Study, study_files

__all__ = ["BESIDE", "beside"]

MONTHLY, EASY_READ, STUDY, PDF = "monthly", "easy-read", "study", "pdf"
BESIDE: Final = frozenset({MONTHLY, EASY_READ, STUDY, PDF})


def beside(result: AuditResult, wanted: frozenset[str], *, studied: Study | None = None) -> dict[str, bytes]:
    """The further files by name: `monthly.html`, `easy-read.html`, `study.html`, and each page as PDF.

    `studied` is made by `study`, which needs appointments and not only their audit.

    Raises
    ------
    UsageError
        If a PDF is wanted and no browser is here to print it.
    """
    files: dict[str, bytes] = {}
    if MONTHLY in wanted:
        files["monthly.html"] = monthly_page(result).encode()
    if EASY_READ in wanted:
        files["easy-read.html"] = easy_read_page(result).encode()
    if studied is not None:
        files |= study_files(studied, result.context)
    return files | (_printed(result, files) if PDF in wanted else {})


def _printed(result: AuditResult, files: Mapping[str, bytes]) -> dict[str, bytes]:
    pages = {REPORT: main_files(result)[REPORT]} | {n: f for n, f in files.items() if n.endswith(".html")}
    return {name.replace(".html", ".pdf"): as_pdf(content, name=name) for name, content in pages.items()}
