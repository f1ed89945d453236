"""What can be written beside a report, when it is asked for."""

from typing import Final

from dnapredict.audit.auditing import AuditResult
from dnapredict.audit.easy_read import easy_read_page
from dnapredict.audit.monthly import monthly_page
from dnapredict.audit.printing import as_pdf
from dnapredict.audit.report import REPORT, main_files

__all__ = ["BESIDE", "beside"]

MONTHLY, EASY_READ, PDF = "monthly", "easy-read", "pdf"
BESIDE: Final = frozenset({MONTHLY, EASY_READ, PDF})


def beside(result: AuditResult, wanted: frozenset[str]) -> dict[str, bytes]:
    """The further files by name: `monthly.html`, `easy-read.html`, and each page as PDF.

    Raises
    ------
    UsageError
        If a PDF is wanted and no browser is here to print it.
    """
    pages = {}
    if MONTHLY in wanted:
        pages["monthly.html"] = monthly_page(result).encode()
    if EASY_READ in wanted:
        pages["easy-read.html"] = easy_read_page(result).encode()
    if PDF not in wanted:
        return pages
    printed = {**pages, REPORT: main_files(result)[REPORT]}
    return pages | {
        name.replace(".html", ".pdf"): as_pdf(content, name=name) for name, content in printed.items()
    }
