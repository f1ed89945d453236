"""Find out how a delimited text is laid out: separator, titles, header."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.data.header import TITLE_ROWS, column_names, filled, header_row
from dnapredict.data.survey import not_text
from dnapredict.errors import DataError

__all__ = ["Dialect", "sniff"]

_SAMPLE_BYTES: Final = 262_144
_SAMPLE_ROWS: Final = TITLE_ROWS + 100
_SEPARATORS: Final = (",", ";", "\t", "|")
# A first line that tells Excel which separator follows.
_SAID: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How to read one text. `header_row` counts from 1; the rows below it are data."""

    delimiter: str
    header_row: int
    columns: tuple[str, ...]


def sniff(path: Path, *, name: Path) -> Dialect:
    """Look at the start of `path`, which is UTF-8, and say how it is laid out; its owner calls it `name`.

    Raises
    ------
    DataError
        If no header with at least two columns is found, or it names a column twice.
    """
    with path.open("rb") as file:
        raw = file.read(_SAMPLE_BYTES)
    if b"\x00" in raw:
        raise not_text(name, raw.count(b"\n", 0, raw.index(b"\x00")) + 1)
    lines = re.split(r"\r\n|\n|\r", raw.decode("utf-8-sig", errors="ignore"))
    if len(raw) == _SAMPLE_BYTES:
        lines.pop()
    said = _SAID.fullmatch(lines[0].strip()) if lines else None
    separators = said.groups() if said else _SEPARATORS
    delimiter = max(separators, key=lambda separator: _fit(_rows(lines, separator)))
    rows = _rows(lines, delimiter)
    place = header_row(rows)
    if place is None:
        raise DataError(
            f"{name}: no header row with at least two columns was found. Name the columns in row 1."
        )
    return Dialect(delimiter, place + 1, column_names(rows[place], row=place + 1, path=name))


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        # A quote is opened and never closed: what stands above it still tells the layout.
        pass
    return rows


def _fit(rows: Sequence[Sequence[str]]) -> float:
    """How well a separator explains the rows: many columns, and as many in every row as in the header."""
    place = header_row(rows)
    if place is None:
        return max((filled(row) for row in rows), default=0) / 1_000
    width, below = len(rows[place]), [row for row in rows[place + 1 :] if filled(row)]
    alike = sum(len(row) == width for row in below) / len(below) if below else 1
    explained = (1 + len(below)) / sum(filled(row) > 0 for row in rows)
    return width * explained * (0.1 + alike)
