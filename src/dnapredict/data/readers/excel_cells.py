"""Convert cells of a workbook, merged ones included, to text that the contract can parse."""

import datetime
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openpyxl.utils.cell import range_boundaries

from dnapredict.data.readers.csv_dialect import EMPTY_CELLS
from dnapredict.errors import DataError

# A spreadsheet stores fifteen digits; a longer number has lost its last ones.
_FIRST_INEXACT: Final = 10**15
# 1990 to 2100 where days count from 1904.
_SERIALS_FROM_1904: Final = (31_412, 71_953)
_DAY: Final = datetime.timedelta(days=1)


def cell_text(cell: Any) -> str | None:
    """The cell as text: dates in ISO format, whole numbers without a fraction; None for errors and blanks.

    >>> cell_text(3.0), cell_text("#N/A"), cell_text(datetime.datetime(2025, 2, 1, 9, 29, 59, 999998))
    ('3', None, '2025-02-01 09:30:00')

    A number of more than fifteen digits is not exact, so it stays in scientific notation, which no key may have.

    >>> cell_text(1234567890123456789)
    '1.23456789012346E+18'
    """
    if isinstance(cell, datetime.datetime):
        return _to_the_second(cell).isoformat(sep=" ")
    if isinstance(cell, datetime.timedelta):
        return _clock(cell)
    if isinstance(cell, datetime.time):
        day = datetime.datetime.combine(datetime.date(2000, 1, 1), cell)
        return _to_the_second(day).time().isoformat()
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _number(cell)
    text = "" if cell is None else str(cell).strip()
    return None if text in EMPTY_CELLS else text


def is_bare_serial(cell: Any) -> bool:
    """Whether a number without a date format could be a date, where days count from 1904."""
    first, last = _SERIALS_FROM_1904
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and first <= cell < last


def _to_the_second(at: datetime.datetime) -> datetime.datetime:
    """Workbooks store times as fractions of a day, which differ slightly from whole seconds."""
    return (at + datetime.timedelta(milliseconds=500)).replace(microsecond=0)


def _clock(span: datetime.timedelta) -> str:
    """The format `[h]:mm` stores a clock time as a duration below one day."""
    if datetime.timedelta() <= span < _DAY:
        return _to_the_second(datetime.datetime(2000, 1, 1) + span).time().isoformat()
    return str(span)


def _number(value: float) -> str:
    if abs(value) >= _FIRST_INEXACT:
        return f"{value:.14E}"
    return str(int(value)) if value == int(value) else str(value)


_RANGE: Final = re.compile(rb"<(?:\w+:)?mergeCell\b[^>]{0,200}?\bref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})[\"']")
# No sheet has such a cell address, and filling the gap up to it would take all memory.
_IMPOSSIBLE: Final = re.compile(rb"\br=[\"'](?:[A-Z]{4,}\d*|[A-Z]*\d{8,})[\"']")
_PIECE: Final = 1_048_576
# Longer than any matching tag, so that none is missed between two pieces.
_OVERLAP: Final = 512
_MOST: Final = 100_000


@dataclass(frozen=True)
class Merged:
    """Merged ranges by their first row: column, from 0, and last row."""

    ranges: dict[int, list[tuple[int, int]]]
    open_: dict[int, tuple[int, Any]]

    @classmethod
    def of(cls, path: Path, sheet: Any) -> "Merged":
        """The merged ranges of `sheet` that span rows, which openpyxl's streaming reader does not report.

        Raises
        ------
        DataError
            If the sheet has an impossible cell address.
        """
        ranges: dict[int, list[tuple[int, int]]] = {}
        for address in _ranges(path, sheet._worksheet_path):  # noqa: SLF001 - openpyxl has no public name for it
            column, first, _, last = range_boundaries(address)
            if last > first:
                ranges.setdefault(first, []).append((column - 1, last))
        return cls(ranges, {})

    def filled(self, number: int, values: Sequence[Any]) -> list[Any]:
        """The cells of row `number`, with the values of ranges that began above; call it in row order."""
        cells = list(values)
        for column, (last, value) in list(self.open_.items()):
            if number > last:
                del self.open_[column]
            else:
                cells.extend([None] * (column + 1 - len(cells)))
                cells[column] = value
        for column, last in self.ranges.get(number, ()):
            if column < len(cells) and cells[column] is not None:
                self.open_[column] = (last, cells[column])
        return cells


def _ranges(path: Path, part: str) -> Iterator[str]:
    count, rest = 0, b""
    with zipfile.ZipFile(path) as archive, archive.open(part) as file:
        while piece := file.read(_PIECE):
            text = rest + piece
            if _IMPOSSIBLE.search(text):
                raise DataError(f"{path}: names a cell that no sheet has. Save it again as .xlsx.")
            end = 0
            for found in _RANGE.finditer(text):
                end = found.end()
                count += 1
                if count > _MOST:
                    raise DataError(f"{path}: has more than {_MOST:,} merged cells. Unmerge them.")
                yield found[1].decode()
            rest = text[max(end, len(text) - _OVERLAP) :]
