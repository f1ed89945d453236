"""Read a workbook as named columns of text with the row numbers that a person sees, merged cells included.

With openpyxl, which streams: it holds 41 MB at any length. python-calamine is eight times as fast, and reads some
cells as other values (see docs/decisions.md, "Workbooks are read by openpyxl").
"""

import datetime
import itertools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ibis.expr.types as ir
import openpyxl
import pyarrow as pa
from openpyxl.utils.cell import range_boundaries
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from dnapredict.data.contract.columns import COLUMNS, CONTACT_COLUMNS, Kind
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import (
    EMPTY_CELLS,
    ROW_NUMBER,
    TITLE_ROWS,
    column_names,
    header_row,
    looks_like_header,
    printable_name,
    title_notes,
)
from dnapredict.data.readers.file_type import FileLimits
from dnapredict.errors import DataError

# A spreadsheet stores fifteen digits; a longer number has lost its last ones.
_FIRST_INEXACT: Final = 10**15
# 1990 to 2100 where days count from 1904.
_SERIALS_FROM_1904: Final = (31_412, 71_953)
_DAY: Final = datetime.timedelta(days=1)
_EMPTY: Final = frozenset(EMPTY_CELLS)


def cell_text(cell: Any) -> str | None:
    """The cell as text: dates in ISO format, whole numbers without a fraction; None for errors and blanks.

    >>> cell_text(3.0), cell_text("#N/A"), cell_text(datetime.datetime(2025, 2, 1, 9, 29, 59, 999998))
    ('3', None, '2025-02-01 09:30:00')

    A number of more than fifteen digits is not exact, so it stays in scientific notation, which no key may have.

    >>> cell_text(1234567890123456789)
    '1.23456789012346E+18'
    """
    if type(cell) is str or cell is None:  # most cells
        return _bare(cell or "")
    if isinstance(cell, datetime.datetime):
        return _to_the_second(cell).isoformat(sep=" ")
    if isinstance(cell, datetime.timedelta):
        return _clock(cell)
    if isinstance(cell, datetime.time):
        day = datetime.datetime.combine(datetime.date(2000, 1, 1), cell)
        return _to_the_second(day).time().isoformat()
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _number(cell)
    return _bare(str(cell))


def _bare(text: str) -> str | None:
    text = text.strip()
    return None if text in _EMPTY else text


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


Numbered = tuple[int, Sequence[Any]]

_BATCH: Final = 10_000
_TOLD_EVERY: Final = 1_000
# Rows that are searched for the header.
_LOOKED_AT: Final = TITLE_ROWS + 20
# Columns in which a number is not a date.
_NOT_DATES: Final = frozenset(
    column.name for column in (*COLUMNS, *CONTACT_COLUMNS) if column.kind not in (Kind.TIMESTAMP, Kind.DATE)
)


@dataclass(frozen=True)
class _Sheet:
    """A table in a workbook: its header, and the rows below it with their numbers."""

    position: int
    header_row: int
    names: tuple[str, ...]
    rows: Iterator[Numbered]
    counts_from_1904: bool


def read_sheet(
    path: Path, workspace: Workspace, *, limits: FileLimits, progress: Callable[[int], None] = lambda _: None
) -> tuple[ir.Table, tuple[str, ...]]:
    """The first visible sheet that has a table, and notes on what is unusual about it.

    Of a formula the last result is read. A merged cell has its value in each of its rows. `progress` is called with the
    number of rows read so far, every thousand rows.

    Raises
    ------
    DataError
        If `path` is no workbook, is damaged or too large, or holds no table.
    """
    limits.check_archive(path)
    try:
        with warnings.catch_warnings():
            # Warnings of openpyxl quote the values of cells.
            warnings.simplefilter("ignore")
            return _read(path, workspace, limits, progress)
    except DataError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises any error for a damaged part, with its values
        raise DataError(f"{path}: is not an XLSX workbook, or it is damaged.") from None


def _read(
    path: Path, workspace: Workspace, limits: FileLimits, progress: Callable[[int], None]
) -> tuple[ir.Table, tuple[str, ...]]:
    book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        sheet = _first_table(book, path, limits, progress)
        kept = _columns(sheet, path)
        sheets = len(book.worksheets)
    finally:
        book.close()
    if not kept.num_rows:
        raise DataError(f"{path}: holds a header and no rows.")
    return workspace.keep(kept), tuple(_notes(sheet, sheets))


def _first_table(book: Any, path: Path, limits: FileLimits, progress: Callable[[int], None]) -> _Sheet:
    for position, sheet in enumerate(book.worksheets, start=1):
        if sheet.sheet_state != "visible":
            continue
        rows = _counted(_rows(sheet, path, limits), progress)
        start = list(itertools.islice(rows, _LOOKED_AT))
        texts = [[cell_text(value) for value in values] for _, values in start]
        index = header_row(texts)
        if index is not None:
            names = column_names(texts[index], row=index + 1, path=path)
            below = itertools.chain(start[index + 1 :], rows)
            return _Sheet(position, index + 1, names, below, book.epoch == CALENDAR_MAC_1904)
    raise DataError(
        f"{path}: no visible sheet has a header row with at least two columns. "
        "Expected a table of appointments with its columns named."
    )


def _rows(sheet: Any, path: Path, limits: FileLimits) -> Iterator[Numbered]:
    merged = Merged.of(path, sheet)
    sheet.reset_dimensions()
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        limits.check_rows(path, number - 1)
        cells = merged.filled(number, values)
        while cells and cells[-1] is None:
            cells.pop()
        limits.check_columns(path, len(cells))
        yield number, cells


def _counted(rows: Iterator[Numbered], progress: Callable[[int], None]) -> Iterator[Numbered]:
    """The same rows; `progress` is called every `_TOLD_EVERY` rows."""
    for row in rows:
        if row[0] % _TOLD_EVERY == 0:
            progress(row[0])
        yield row


def _columns(sheet: _Sheet, path: Path) -> pa.Table:
    schema = pa.schema([(ROW_NUMBER, pa.int64()), *((name, pa.string()) for name in sheet.names)])
    batches = []
    while batch := list(itertools.islice(sheet.rows, _BATCH)):
        if sheet.counts_from_1904:
            _require_dated(batch, sheet.names, path)
        texts = [(number, [cell_text(value) for value in values]) for number, values in batch]
        batches.append(_batch([row for row in texts if any(row[1])], schema))
    return pa.Table.from_batches(batches, schema)


def _batch(rows: list[tuple[int, list[str | None]]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array([number for number, _ in rows], pa.int64())]
    columns = itertools.zip_longest(*(cells for _, cells in rows))
    empty = itertools.repeat([None] * len(rows))
    texts = itertools.islice(itertools.chain(columns, empty), len(schema) - 1)
    arrays.extend(pa.array(cells, pa.string()) for cells in texts)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _require_dated(rows: list[Numbered], names: tuple[str, ...], path: Path) -> None:
    """Refuse a bare number that may be a date: read from 1900 it would be wrong by four years, unnoticed."""
    for index, name in enumerate(names):
        if name.lower().replace(" ", "_") in _NOT_DATES:
            continue
        for number, values in rows:
            if index < len(values) and is_bare_serial(values[index]):
                column = printable_name(name, index + 1) if looks_like_header(names) else f"column {index + 1}"
                raise DataError(
                    f"{path}: '{column}' holds a bare number in row {number:,}, and this workbook "
                    "counts days from 1904. Format the column as dates, or as text if it holds none."
                )


def _notes(sheet: _Sheet, sheets: int) -> list[str]:
    notes = [f"sheet {sheet.position} of {sheets} is read"] if sheets > 1 else []
    if sheet.counts_from_1904:
        notes.append("days count from 1904")
    return [*notes, *title_notes(sheet.header_row)]
