"""Write a report folder atomically, and never over other files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dnapredict.data.files.atomic_write import SHARED_FOLDER, create_folder
from dnapredict.errors import StoreError, UsageError

REPORT = "report.html"
TABLES = "figures.html"
SIGNED_PAGE = "signed.html"
FIGURES = "audit.json"
SIGNATURE = "signature.json"
# Files of a report. Anything else in its folder belongs to somebody else.
_REPORT_SUFFIXES: Final = (".html", ".json", ".csv", ".pdf")


def write_folder(files: Mapping[str, bytes], out: Path, *, proof: str) -> Path:
    """Write `files` by name into the folder `out`, and return it as an absolute path.

    All files are written to a temporary folder next to `out`, which is then renamed. An earlier report, which is
    recognised by its file `proof`, is replaced. A signed one never is: the signature belongs to those files.

    Raises
    ------
    UsageError
        If `out` holds a signed report, or something else.
    StoreError
        If the folder cannot be written.
    """
    out = out.resolve()
    require_free(out, proof=proof)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with create_folder(out, mode=SHARED_FOLDER, replace=True) as draft:
            for name, content in files.items():
                (draft / name).write_bytes(content)
    except OSError as error:
        raise StoreError(f"{out}: the report cannot be written ({error.strerror}).") from None
    return out


def write_page(page: tuple[str, str], figures: tuple[str, Any], tables: Mapping[str, str], out: Path) -> Path:
    """Write a report of one page, its figures as JSON and its tables as CSV; return the path of the page.

    Parameters
    ----------
    page, figures
        Name of the file, and its HTML or its values. An earlier report is recognised by the file of figures.
    tables
        CSV by name of the file. They begin with a byte order mark, by which Excel recognises UTF-8.

    Raises
    ------
    UsageError, StoreError
        As `write_folder`.
    """
    values = json.dumps(figures[1], indent=1, ensure_ascii=False, allow_nan=False)
    files = {page[0]: page[1].encode(), figures[0]: values.encode()}
    files |= {name: text.encode("utf-8-sig") for name, text in tables.items()}
    return write_folder(files, out, proof=figures[0]) / page[0]


def require_free(out: Path, *, proof: str) -> None:
    """Refuse a folder that a report may not replace: called before the work, not only at its end.

    Raises
    ------
    UsageError
        If `out` is a file, holds a signed report, or anything that is not of a report.
    """
    out = out.resolve()
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out} is a file; the report needs a folder.")
    if (out / SIGNATURE).exists():
        raise UsageError(f"{out} holds a signed report, which is never overwritten. Choose another folder.")
    if any(out.iterdir()) and not (out / proof).exists():
        raise UsageError(f"{out} holds other files and no report. Choose a new or empty folder.")
    others = [path.name for path in out.iterdir() if path.is_dir() or path.suffix.lower() not in _REPORT_SUFFIXES]
    if others:
        raise UsageError(
            f"{out} holds '{min(others)}' beside the report, which would be lost. Move it, or choose another folder."
        )
