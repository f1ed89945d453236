"""Merged cells of a sheet: a value that is written once and meant for several rows."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openpyxl.utils.cell import range_boundaries

from dnapredict.errors import DataError

__all__ = ["Merged"]

_RANGE: Final = re.compile(
    rb"<(?:\w+:)?mergeCell\b[^>]{0,200}?\bref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})[\"']"
)
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
