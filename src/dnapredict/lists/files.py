"""Write a worklist as CSV, XLSX or Parquet, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import xlsxwriter

from dnapredict.errors import UsageError
from dnapredict.lists.answers import COLUMNS
from dnapredict.lists.carried import beside
from dnapredict.whole_files import whole

__all__ = ["FORMS", "require_form", "whole", "write"]

FORMS: Final = (".csv", ".xlsx", ".parquet")
# A spreadsheet runs a cell that begins so; an apostrophe in front makes it text.
_RUN_BY_SPREADSHEETS: Final = r"^[=+\-@\t\r]"
_WIDTHS: Final = {"appointment_id": 18, "action": 44, "error": 48, "band": 12, "model_version": 14}
_REASON_WIDTH: Final = 46
_MOST_SHEET_ROWS: Final = 1_048_575


def require_form(out: Path) -> None:
    """Refuse a file name whose ending says a form that cannot be written.

    Raises
    ------
    UsageError
    """
    if out.suffix.lower() not in FORMS:
        raise UsageError(f"{out}: give the output a name that ends in {', '.join(FORMS)}.")


def write(worklist: pa.Table, out: Path, *, note: str, carried: pa.Table | None = None) -> None:
    """Write the columns of `COLUMNS`, and then `carried`, to `out` in the form that its name says.

    Parameters
    ----------
    note
        What the list is and must not be used for: a sheet of its own in XLSX, metadata in Parquet.
    carried
        Columns of the list itself, as `lists.carried` gives them.

    Raises
    ------
    UsageError
        If the form is unknown, or a sheet would have more rows than a spreadsheet holds.
    StoreError
        If the file cannot be written; an earlier file of that name stays.
    """
    require_form(out)
    table = worklist.select(COLUMNS)
    if carried is not None:
        named = beside(worklist, carried)
        table = pa.table(dict(zip((*COLUMNS, *named.column_names), (*table, *named), strict=True)))
    form = out.suffix.lower()
    with whole(out) as draft:
        if form == ".parquet":
            pq.write_table(table.replace_schema_metadata({"dnapredict.note": note}), draft)
        elif form == ".csv":
            pa_csv.write_csv(_neutral(table), draft)
        else:
            _write_sheet(_neutral(table), draft, note)


def _neutral(table: pa.Table) -> pa.Table:
    columns = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(values.type):
            risky = pc.match_substring_regex(values, _RUN_BY_SPREADSHEETS)
            columns[name] = pc.if_else(risky, pc.binary_join_element_wise("'", values, ""), values)
        else:
            columns[name] = values
    return pa.table(columns)


def _write_sheet(table: pa.Table, draft: Path, note: str) -> None:
    if table.num_rows > _MOST_SHEET_ROWS:
        raise UsageError(f"A sheet holds {_MOST_SHEET_ROWS:,} rows and the list has more: write it as .csv.")
    with xlsxwriter.Workbook(str(draft), {"constant_memory": True, "strings_to_formulas": False}) as book:
        _fill_list(book, table)
        about = book.add_worksheet("About")
        about.set_column(0, 0, 100, book.add_format({"text_wrap": True, "valign": "top"}))
        for row, line in enumerate(note.splitlines()):
            about.write_string(row, 0, line)


def _fill_list(book: Any, table: pa.Table) -> None:
    sheet = book.add_worksheet("Worklist")
    bold = book.add_format({"bold": True, "bottom": 1})
    percent = book.add_format({"num_format": "0.0%"})
    for position, name in enumerate(table.column_names):
        width = _REASON_WIDTH if name.startswith("reason_") else _WIDTHS.get(name, 11)
        sheet.set_column(position, position, width, percent if name == "probability" else None)
    sheet.write_row(0, 0, table.column_names, bold)
    sheet.freeze_panes(1, 1)
    for row, values in enumerate(_rows(table), start=1):
        for position, value in enumerate(values):
            _write_cell(sheet, row, position, value)
    sheet.autofilter(0, 0, table.num_rows, table.num_columns - 1)


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
