"""Look at an uploaded workbook's table of contents before anything unpacks it.

A workbook is a ZIP archive, and a few kilobytes of one can unpack to gigabytes.
"""

import io
import zipfile
from typing import Final

from dnapredict.errors import DataError

__all__ = ["require_harmless"]

# A list of 20,000 rows and 40 columns unpacks to about 30 MB.
_MOST_UNPACKED: Final = 50 * 1_048_576
# Real workbooks shrink by 5 to 20 times; bombs by hundreds. Small parts may well be all blanks.
_HIGHEST_RATIO: Final = 100
_RATIO_COUNTS_FROM: Final = 1_048_576
_MOST_PARTS: Final = 1_000


def require_harmless(content: bytes, *, name: str) -> None:
    """Refuse a workbook that would unpack to more than a list of appointments can hold.

    Raises
    ------
    DataError
        If `content` is not a workbook, or claims to unpack to too much. Python's unpacker
        stops at the size that is claimed, so a false claim gains nothing.
    """
    try:
        parts = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise DataError(f"{name}: is not an XLSX workbook, or it is damaged.") from None
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED or any(_is_suspect(part) for part in parts):
        raise DataError(f"{name}: unpacks to more than a list of appointments can be. Save it as CSV.")


def _is_suspect(part: zipfile.ZipInfo) -> bool:
    ratio = part.file_size / max(1, part.compress_size)
    return part.file_size > _RATIO_COUNTS_FROM and ratio > _HIGHEST_RATIO
