"""Detect the layout of a delimited text: separator, titles above the header, and column names."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.data.contract.columns import CONTACT_NAMES, NAMES
from dnapredict.data.contract.known_names import (
    BIRTH,
    DAYS,
    HEADERS,
    NHS_NUMBER,
    POSTCODE,
    PROPOSED_WORDS,
    TIMES,
    plain,
)
from dnapredict.data.readers.csv_normalise import not_text
from dnapredict.errors import DataError

ROW_NUMBER: Final = "row_number"
# The rule that a row breaks in its layout, whatever its cells hold; null where there is none.
ROW_FAULT: Final = "row_fault"
# What spreadsheets and databases write in an empty cell.
EMPTY_CELLS: Final = ("", "NULL", "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?")
# Number of rows that may be titles above the header.
TITLE_ROWS: Final = 30
# Dates, times, numbers and numeric codes: cells of data, and not of a header.
_LIKE_DATA: Final = re.compile(r"[\s#+-]*\d[\d\s/:.,+-]*(?:T[\d:.]+Z?|E[+-]?\d+)?", re.IGNORECASE)
_MOST_LIKE_DATA: Final = 0.2

# Column names that clinic lists have and no other list here contains.
_PERSONAL: Final = ("surname", "forename", "firstname", "lastname", "patientname", "telephone", "mobile")
# Column names that could also be values, such as outcomes, media and kinds of telephone.
_ALSO_VALUES: Final = frozenset(
    {word for words in PROPOSED_WORDS.values() for word in words}
    | {"yes", "no", "late", "soon", "cancer", "consultant"}
    | {"medium", "mode", "called", "contacted", "welfare", "interpreter", "transport", "patienttransport"}
    | {"disability", "handicap", "language", "clinic", "telephone", "mobile"}
)
_KNOWN: Final = frozenset(
    name
    for names in (*HEADERS.values(), DAYS, TIMES, BIRTH, NHS_NUMBER, POSTCODE, _PERSONAL)
    for name in names
    if name not in _ALSO_VALUES
)
_OWN: Final = frozenset((*NAMES, *CONTACT_NAMES)) - {"contacted"}
_LONGEST_NAME: Final = 60

Row = Sequence[str | None]


def header_row(rows: Sequence[Row]) -> int | None:
    """Index of the header: the first row with nearly as many filled cells as the widest row.

    A title fills one cell or a few. None where no row has two cells, or where the first wide row has dates and
    numbers: such a list has no header, and its first patient must not be read as one.

    >>> header_row([["Clinic list", ""], ["Id", "Booked", "Starts"], ["a", "2025-01-02", "2025-02-01"]])
    1
    >>> header_row([["a", "2025-01-02", "2025-02-01"], ["b", "2025-01-02", "2025-02-01"]]) is None
    True
    """
    width = max((filled(row) for row in rows), default=0)
    for index, row in enumerate(rows[:TITLE_ROWS]):
        if width > 1 and filled(row) >= width - width // 4 and len(row) > 1:
            like_data = sum(bool(_LIKE_DATA.fullmatch(cell)) for cell in row if cell)
            return index if like_data <= _MOST_LIKE_DATA * filled(row) else None
    return None


def filled(row: Row) -> int:
    """Number of cells that are not blank."""
    return sum(bool(cell and cell.strip()) for cell in row)


def column_names(header: Row, *, row: int, path: Path) -> tuple[str, ...]:
    """A name for each column; a blank one becomes `column_3` by its position.

    Raises
    ------
    DataError
        If two columns share a name, in any case of letters.
    """
    names = tuple(_name(cell, number) for number, cell in enumerate(header, start=1))
    if len({name.lower() for name in names}) < len(names):
        raise DataError(f"{path}: row {row:,} names a column twice. Give every column its own name.")
    return names


NAMES_WANTED: Final = (
    "Put the names of the columns above the first row, such as Appointment number, Appointment date and Date booked."
)


def looks_like_header(names: Iterable[str], *, expected: Iterable[str] = ()) -> bool:
    """Whether these are column names, and not the first row of a list without a header.

    Only then may a message repeat them: the first row of a list is a patient's. They are column names where one
    is the contract's, or two (half, where there are few) are `expected` or known from other systems. Words that
    could be values do not count.

    >>> looks_like_header(["Appt ID", "Booked Date", "Ward"]), looks_like_header(["Jones", "DNA", "Attended"])
    (True, False)
    """
    columns, expected = tuple(_file_columns(names)), frozenset(expected)
    if any(name.strip().lower().replace(" ", "_") in _OWN for name in columns):
        return True
    known = sum(name in expected or plain(name) in _KNOWN for name in columns)
    return known >= 2 or 0 < len(columns) <= 2 * known


def describe_columns(names: Iterable[str], *, expected: Iterable[str] = ()) -> str:
    """A sentence with the columns of a file, or that its first row is no header."""
    columns = tuple(_file_columns(names))
    if not looks_like_header(columns, expected=expected):
        return (
            f"Too few of its {len(columns)} columns have a name that is known here: the first row looks like data, "
            f"not like column names. {NAMES_WANTED}"
        )
    printable = (printable_name(name, number) for number, name in enumerate(columns, start=1))
    return f"The file has: {', '.join(printable)}."


def printable_name(name: str, number: int) -> str:
    """A column's name for a message; its number where the name could be a patient's value."""
    known = plain(name) in _KNOWN or name.strip().lower().replace(" ", "_") in _OWN
    may_be_value = "@" in name or len(name) > _LONGEST_NAME or len(re.findall(r"\d", name)) > 3
    return f"column {number}" if may_be_value and not known else name


def _file_columns(names: Iterable[str]) -> Iterator[str]:
    """Names of the file's own columns, without those that are added while it is read."""
    return (name for name in names if name not in (ROW_NUMBER, ROW_FAULT) and "::" not in name)


def title_notes(header_row: int) -> list[str]:
    """A note about rows above the header, if there are any."""
    if header_row == 1:
        return []
    above = "row 1 is a title" if header_row == 2 else f"rows 1 to {header_row - 1} are titles"
    return [f"{above} and row {header_row} is the header"]


def _name(cell: str | None, number: int) -> str:
    name = " ".join((cell or "").split())
    reserved = name.lower() in (ROW_NUMBER, ROW_FAULT)
    return unnamed(number) if reserved or not name else name


def unnamed(number: int) -> str:
    """The name that a column without one is given."""
    return f"column_{number}"


_SAMPLE_BYTES: Final = 262_144
_SAMPLE_ROWS: Final = TITLE_ROWS + 100
_SEPARATORS: Final = (",", ";", "\t", "|")
# A first line that names the separator for Excel.
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The layout of a delimited text. `header_row` counts from 1; the rows below it are data."""

    delimiter: str
    header_row: int
    columns: tuple[str, ...]


def sniff(path: Path, *, name: Path) -> Dialect:
    """Detect the layout of `path`, which is UTF-8, from its start; messages call the file `name`.

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
    sep_line = _SEP_LINE.fullmatch(lines[0].strip()) if lines else None
    separators = sep_line.groups() if sep_line else _SEPARATORS
    delimiter = max(separators, key=lambda separator: _fit(_rows(lines, separator)))
    rows = _rows(lines, delimiter)
    index = header_row(rows)
    if index is None:
        raise DataError(f"{name}: no header row with at least two columns was found. Name the columns in row 1.")
    return Dialect(delimiter, index + 1, column_names(rows[index], row=index + 1, path=name))


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        # A quote is opened and never closed; the rows above it still show the layout.
        pass
    return rows


def _fit(rows: Sequence[Sequence[str]]) -> float:
    """How well a separator fits: many columns, and as many in every row as in the header."""
    index = header_row(rows)
    if index is None:
        return max((filled(row) for row in rows), default=0) / 1_000
    width, below = len(rows[index]), [row for row in rows[index + 1 :] if filled(row)]
    alike = sum(len(row) == width for row in below) / len(below) if below else 1
    explained = (1 + len(below)) / sum(filled(row) > 0 for row in rows)
    return width * explained * (0.1 + alike)
