"""Find the header of a table among the titles that an export puts above it, and name the columns."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dnapredict.errors import DataError

__all__ = [
    "NOTHING",
    "ROW_FAULT",
    "ROW_NUMBER",
    "TITLE_ROWS",
    "column_names",
    "filled",
    "header_row",
    "title_habit",
]

ROW_NUMBER: Final = "row_number"
# The rule that a row breaks as a row, before any of its cells is looked at; null in a sound one.
ROW_FAULT: Final = "row_fault"
# What a spreadsheet or a database writes where there is nothing.
NOTHING: Final = ("", "NULL", "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?")
# How many rows are looked at: titles, and the header after them.
TITLE_ROWS: Final = 30
# Dates, times, numbers and codes of digits: what stands under a header, and not in one.
_LIKE_DATA: Final = re.compile(r"[\s#+-]*\d[\d\s/:.,+-]*(?:T[\d:.]+Z?|E[+-]?\d+)?", re.IGNORECASE)
_MOST_LIKE_DATA: Final = 0.2

Row = Sequence[str | None]


def header_row(rows: Sequence[Row]) -> int | None:
    """The place in `rows`, from 0, of the header: the first that fills nearly as many cells as the widest.

    A title fills one cell or a few. None where no row has two cells, or where the first wide one holds
    dates and numbers: such a list has no header, and its first patient must not be taken for one.

    >>> header_row([["Clinic list", ""], ["Id", "Booked", "Starts"], ["a", "2025-01-02", "2025-02-01"]])
    1
    >>> header_row([["a", "2025-01-02", "2025-02-01"], ["b", "2025-01-02", "2025-02-01"]]) is None
    True
    """
    width = max((filled(row) for row in rows), default=0)
    for place, row in enumerate(rows[:TITLE_ROWS]):
        if width > 1 and filled(row) >= width - width // 4 and len(row) > 1:
            like_data = sum(bool(_LIKE_DATA.fullmatch(cell)) for cell in row if cell)
            return place if like_data <= _MOST_LIKE_DATA * filled(row) else None
    return None


def filled(row: Row) -> int:
    """How many cells hold something."""
    return sum(bool(cell and cell.strip()) for cell in row)


def column_names(header: Row, *, row: int, path: Path) -> tuple[str, ...]:
    """A name for each column; one without is called by its place, `column_3`.

    Raises
    ------
    DataError
        If two columns share a name, in any case of letters.
    """
    names = tuple(_name(cell, place) for place, cell in enumerate(header, start=1))
    if len({name.lower() for name in names}) < len(names):
        raise DataError(f"{path}: row {row:,} names a column twice. Give every column its own name.")
    return names


def title_habit(header_row: int) -> list[str]:
    """What to say of the rows above the header, if there are any."""
    if header_row == 1:
        return []
    above = "row 1 is a title" if header_row == 2 else f"rows 1 to {header_row - 1} are titles"
    return [f"{above} and row {header_row} is the header"]


def _name(cell: str | None, place: int) -> str:
    name = " ".join((cell or "").split())
    reserved = name.lower() in (ROW_NUMBER, ROW_FAULT)
    return f"column_{place}" if reserved or not name else name
