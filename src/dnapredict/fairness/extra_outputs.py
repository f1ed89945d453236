"""Extra outputs of an audit on request: monthly charts, Easy Read, the study, and PDFs printed by a local browser."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dnapredict.data.files.operating_system import is_root
from dnapredict.data.files.temporary_folder import temporary_folder
from dnapredict.errors import StoreError, UsageError
from dnapredict.fairness.report.easy_read import easy_read_page
from dnapredict.fairness.report.monthly_page import monthly_page
from dnapredict.fairness.report.report_files import report_files
from dnapredict.fairness.run_audit import AuditResult
from dnapredict.fairness.study import Study, study_files

BROWSER: Final = "DNAPREDICT_BROWSER"  # path of a browser that is not found by its name
_NAMES: Final = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
    "msedge",
)  # fmt: skip
_PATHS: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
    "C:/Program Files/Microsoft/Edge/Application/msedge.exe",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)
_QUIET: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-pdf-header-footer",
)
_SECONDS: Final = 180


def browser() -> str:
    """Path of Chromium, Chrome or Edge on this machine.

    Raises
    ------
    UsageError
        If there is none.
    """
    named = os.environ.get(BROWSER, "")
    paths = (shutil.which(name) for name in ((named,) if named else (*_NAMES, *_PATHS)))
    first = next((path for path in paths if path), None)
    if first is None:
        raise UsageError(
            "--pdf prints with Chromium, Chrome or Edge, and none is found here. Install one, name it in "
            f"{BROWSER}, or open report.html in any browser and print it."
        )
    return first


def as_pdf(page: bytes, *, name: str) -> bytes:
    """The page as a PDF of A4 sheets; `name` is its file name, for error messages.

    Raises
    ------
    UsageError
        If there is no browser.
    StoreError
        If the browser printed nothing.
    """
    with temporary_folder() as folder:
        source, out = folder / "page.html", folder / "page.pdf"
        source.write_bytes(page)
        _print(source, out, profile=folder / "profile")
        if not out.is_file():
            raise StoreError(f"{name}: the browser printed no PDF. Open the page and print it from there.")
        return out.read_bytes()


def _print(source: Path, out: Path, *, profile: Path) -> None:
    # As root, in containers, the browser's own sandbox cannot start; the page holds no script.
    root = ["--no-sandbox"] if is_root() else []
    command = [
        browser(),
        *_QUIET,
        *root,
        f"--user-data-dir={profile}",
        f"--print-to-pdf={out}",
        source.as_uri(),
    ]
    try:
        subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS)  # noqa: S603 - a fixed command
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"The browser cannot print ({type(error).__name__}).") from None


MONTHLY, EASY_READ, STUDY, PDF = "monthly", "easy-read", "study", "pdf"
EXTRA_OUTPUTS: Final = frozenset({MONTHLY, EASY_READ, STUDY, PDF})


def extra_files(result: AuditResult, wanted: frozenset[str], *, studied: Study | None = None) -> dict[str, bytes]:
    """The extra files by name: `monthly.html`, `easy-read.html`, `study.html`, and each page as PDF.

    `studied` is the result of `study.study`, which needs the appointments and not only their audit.

    Raises
    ------
    UsageError
        If a PDF is wanted and there is no browser.
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
    pages = {n: f for n, f in {**report_files(result), **files}.items() if n.endswith(".html")}
    return {name.replace(".html", ".pdf"): as_pdf(content, name=name) for name, content in pages.items()}
