"""A worklist as a spreadsheet."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import xlsxwriter

from dnapredict.errors import UsageError

__all__ = ["write_sheet"]

_WIDTHS: Final = {"appointment_id": 18, "action": 44, "error": 48, "band": 12, "model_version": 14}
_REASON_WIDTH: Final = 46
_MOST_SHEET_ROWS: Final = 1_048_575


def write_sheet(tables: Iterable[pa.Table], draft: Path, *, note: str) -> None:
    """Write `tables`, which follow each other, to the workbook `draft`, with a sheet for the `note`.

    Raises
    ------
    UsageError
        If there are more rows than a sheet holds.
    """
    with xlsxwriter.Workbook(str(draft), {"constant_memory": True, "strings_to_formulas": False}) as book:
        _fill_list(book, tables)
        about = book.add_worksheet("About")
        about.set_column(0, 0, 100, book.add_format({"text_wrap": True, "valign": "top"}))
        for row, line in enumerate(note.splitlines()):
            about.write_string(row, 0, line)


def _fill_list(book: Any, tables: Iterable[pa.Table]) -> None:
    sheet = book.add_worksheet("Worklist")
    bold = book.add_format({"bold": True, "bottom": 1})
    percent = book.add_format({"num_format": "0.0%"})
    row = 0
    names: list[str] = []
    for table in tables:
        if not names:
            names = table.column_names
            for position, name in enumerate(names):
                width = _REASON_WIDTH if name.startswith("reason_") else _WIDTHS.get(name, 11)
                sheet.set_column(position, position, width, percent if name == "probability" else None)
            sheet.write_row(0, 0, names, bold)
            sheet.freeze_panes(1, 1)
        if row + table.num_rows > _MOST_SHEET_ROWS:
            raise UsageError(
                f"A sheet holds {_MOST_SHEET_ROWS:,} rows and the list has more: write it as .csv."
            )
        for values in _rows(table):
            row += 1
            for position, value in enumerate(values):
                _write_cell(sheet, row, position, value)
    sheet.autofilter(0, 0, row, len(names) - 1)


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_cell(sheet: Any, row: int, position: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, position, value)
    elif isinstance(value, str):
        sheet.write_string(row, position, value)
    else:
        sheet.write_number(row, position, value)
