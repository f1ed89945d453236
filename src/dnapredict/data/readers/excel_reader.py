"""Read a workbook as named columns of text with the row numbers that a person sees.

openpyxl and not python-calamine: see docs/decisions.md.
"""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ibis.expr.types as ir
import openpyxl
import pyarrow as pa
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from dnapredict.data.contract.columns import COLUMNS, Kind
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import (
    ROW_NUMBER,
    TITLE_ROWS,
    column_names,
    header_row,
    looks_like_header,
    printable_name,
    title_notes,
)
from dnapredict.data.readers.excel_cells import Merged, cell_text, is_bare_serial
from dnapredict.data.readers.file_limits import FileLimits
from dnapredict.errors import DataError

Numbered = tuple[int, Sequence[Any]]

_BATCH: Final = 10_000
# Rows that are searched for the header.
_LOOKED_AT: Final = TITLE_ROWS + 20
# Columns in which a number is not a date.
_NOT_DATES: Final = frozenset(column.name for column in COLUMNS if column.kind is not Kind.TIMESTAMP)


@dataclass(frozen=True)
class _Sheet:
    """A table in a workbook: its header, and the rows below it with their numbers."""

    position: int
    header_row: int
    names: tuple[str, ...]
    rows: Iterator[Numbered]
    counts_from_1904: bool


def read_sheet(path: Path, workspace: Workspace, *, limits: FileLimits) -> tuple[ir.Table, tuple[str, ...]]:
    """The first visible sheet that has a table, and notes on what is unusual about it.

    Of a formula the last result is read. A merged cell has its value in each of its rows.

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
            return _read(path, workspace, limits)
    except DataError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises any error for a damaged part, with its values
        raise DataError(f"{path}: is not an XLSX workbook, or it is damaged.") from None


def _read(path: Path, workspace: Workspace, limits: FileLimits) -> tuple[ir.Table, tuple[str, ...]]:
    book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        sheet = _first_table(book, path, limits)
        kept = _columns(sheet, path)
        sheets = len(book.worksheets)
    finally:
        book.close()
    if not kept.num_rows:
        raise DataError(f"{path}: holds a header and no rows.")
    return workspace.keep(kept), tuple(_notes(sheet, sheets))


def _first_table(book: Any, path: Path, limits: FileLimits) -> _Sheet:
    for position, sheet in enumerate(book.worksheets, start=1):
        if sheet.sheet_state != "visible":
            continue
        rows = _rows(sheet, path, limits)
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
    for index in range(len(schema) - 1):
        cells = [cells[index] if index < len(cells) else None for _, cells in rows]
        arrays.append(pa.array(cells, pa.string()))
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
