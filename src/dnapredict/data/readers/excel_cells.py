"""Cells of a workbook as text that the contract can read, merged cells included."""

import datetime
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openpyxl.utils.cell import range_boundaries

from dnapredict.data.readers.csv_dialect import NOTHING
from dnapredict.errors import DataError

# A spreadsheet keeps fifteen digits; a longer number has lost its last ones.
_FIRST_INEXACT: Final = 10**15
# 1990 to 2100 where days count from 1904.
_SERIALS_FROM_1904: Final = (31_412, 71_953)
_DAY: Final = datetime.timedelta(days=1)


def cell_text(cell: Any) -> str | None:
    """The cell as text: dates in ISO form, whole numbers without a fraction, errors and blanks as nothing.

    >>> cell_text(3.0), cell_text("#N/A"), cell_text(datetime.datetime(2025, 2, 1, 9, 29, 59, 999998))
    ('3', None, '2025-02-01 09:30:00')

    A number of more than fifteen digits is not exact, so it is left as such: no key can be made of it.

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
    return None if text in NOTHING else text


def is_bare_serial(cell: Any) -> bool:
    """Whether a number without the format of a date could be one, where days count from 1904."""
    first, last = _SERIALS_FROM_1904
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and first <= cell < last


def _to_the_second(at: datetime.datetime) -> datetime.datetime:
    """Times are kept as fractions of a day, which miss the second by a little."""
    return (at + datetime.timedelta(milliseconds=500)).replace(microsecond=0)


def _clock(span: datetime.timedelta) -> str:
    """A span below a day is how `[h]:mm` keeps a clock time."""
    if datetime.timedelta() <= span < _DAY:
        return _to_the_second(datetime.datetime(2000, 1, 1) + span).time().isoformat()
    return str(span)


def _number(value: float) -> str:
    if abs(value) >= _FIRST_INEXACT:
        return f"{value:.14E}"
    return str(int(value)) if value == int(value) else str(value)


_RANGE: Final = re.compile(rb"<(?:\w+:)?mergeCell\b[^>]{0,200}?\bref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})[\"']")
# No sheet has such an address, and filling the gap up to it would take all memory.
_IMPOSSIBLE: Final = re.compile(rb"\br=[\"'](?:[A-Z]{4,}\d*|[A-Z]*\d{8,})[\"']")
_PIECE: Final = 1_048_576
# Longer than the tags that are looked for, so that none is missed between two pieces.
_OVERLAP: Final = 512
_MOST: Final = 100_000


@dataclass(frozen=True)
class Merged:
    """By first row: the column of a merged range, from 0, and its last row."""

    ranges: dict[int, list[tuple[int, int]]]
    open_: dict[int, tuple[int, Any]]

    @classmethod
    def of(cls, path: Path, sheet: Any) -> "Merged":
        """The ranges of `sheet` that span rows, which a reader that streams does not tell.

        Raises
        ------
        DataError
            If the sheet names a cell where no sheet has one.
        """
        ranges: dict[int, list[tuple[int, int]]] = {}
        for written in _ranges(path, sheet._worksheet_path):  # noqa: SLF001 - no other way to the part
            column, first, _, last = range_boundaries(written)
            if last > first:
                ranges.setdefault(first, []).append((column - 1, last))
        return cls(ranges, {})

    def filled(self, number: int, values: Sequence[Any]) -> list[Any]:
        """The cells of row `number`, with the value of a range that began above; rows come in order."""
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
