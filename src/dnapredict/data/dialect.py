"""Find out how a delimited text file is written: compression, encoding, separator, header row."""

import csv
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.errors import DataError

__all__ = ["Dialect", "sniff"]

_SAMPLE_BYTES: Final = 262_144
_SEPARATORS: Final = (",", ";", "\t", "|")
_GZIP: Final = b"\x1f\x8b"
# How many rows of titles an export may carry above its header.
_TITLE_ROWS: Final = 30


@dataclass(frozen=True)
class Dialect:
    """How to read one file. `header_row` counts from 1; the rows below it are data."""

    path: Path
    compression: str
    delimiter: str
    header_row: int
    columns: tuple[str, ...]


def sniff(path: Path) -> Dialect:
    """Look at the start of `path` and say how it is written.

    The header is the first row, after any titles, that fills as many cells as the widest
    row of the sample: a title row fills one or two.

    Raises
    ------
    DataError
        If the bytes are not text, or no header with at least two columns is found.
    """
    raw, compression = _sample(path)
    text = _decode(raw, path)
    delimiter = max(_SEPARATORS, key=lambda separator: _widest(text, separator))
    rows = _rows(text, delimiter)
    header_row, header = _header(rows, path)
    return Dialect(path, compression, delimiter, header_row, _named(header, path, header_row))


def _sample(path: Path) -> tuple[bytes, str]:
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if not start.startswith(_GZIP):
        return start, "none"
    try:
        with gzip.open(path) as file:
            return file.read(_SAMPLE_BYTES), "gzip"
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{path}: the compressed file is damaged or cut short. Export it again.") from None


def _decode(raw: bytes, path: Path) -> str:
    if b"\x00" in raw:
        raise DataError(f"{path}: is not text. Expected delimited text such as CSV in UTF-8.")
    if len(raw) == _SAMPLE_BYTES:
        raw = raw[: raw.rfind(b"\n") + 1] or raw
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text. Save it as 'CSV UTF-8' and try again.") from None


def _rows(text: str, delimiter: str) -> list[list[str]]:
    lines = text.splitlines()[:_TITLE_ROWS]
    return list(csv.reader(lines, delimiter=delimiter))


def _widest(text: str, delimiter: str) -> int:
    return max((len(row) for row in _rows(text, delimiter)), default=0)


def _header(rows: list[list[str]], path: Path) -> tuple[int, list[str]]:
    width = max((_filled(row) for row in rows), default=0)
    for number, row in enumerate(rows, start=1):
        if width > 1 and _filled(row) >= width - width // 4 and len(row) > 1:
            return number, row
    raise DataError(f"{path}: no header row with at least two columns was found.")


def _filled(row: list[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _named(header: list[str], path: Path, row: int) -> tuple[str, ...]:
    names = tuple(cell.strip() or f"column_{position}" for position, cell in enumerate(header, start=1))
    if len(set(names)) < len(names):
        raise DataError(f"{path}: row {row:,} names a column twice. Give every column its own name.")
    return names
