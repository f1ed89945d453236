"""Read the outcomes of a filled worklist, a workbook or a CSV file.

Every visible sheet with a column for the appointment and one for the outcome is read, under any name and in any order
of rows and columns. Nothing in a workbook is run: macros are not read, and a formula is only marked as one. A workbook
that was downloaded from the page has a hidden sheet with its list and the outcomes recorded by then.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import openpyxl

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.readers.excel_reader import cell_text
from dnapredict.data.readers.file_type import FileLimits
from dnapredict.errors import DataError
from dnapredict.worklist.files.calls_sheet import APPOINTMENT, HAPPENED
from dnapredict.worklist.files.excel_worklist import RETURN_SHEET, RecordedBefore
from dnapredict.worklist.files.worklist_columns import OUTCOME

_APPOINTMENT_HEADERS: Final = frozenset({"appointment_id", APPOINTMENT.lower()})
_OUTCOME_HEADERS: Final = frozenset({OUTCOME, HAPPENED.lower()})
# A title may have been put above the header.
_HEADER_WITHIN: Final = 10
_FORMULA: Final = "f"
_LIST_ID: Final = re.compile(r"[0-9a-f]{16}")
_NO_COLUMNS: Final = (
    "has no column for the outcomes beside one for the appointment. Give back the workbook that was downloaded from "
    "the page or written by `dnapredict score`, with its columns as they were."
)


@dataclass(frozen=True)
class FilledRow:
    """A row with an appointment or an outcome.

    Attributes
    ----------
    sheet
        The name of its sheet; "" in a CSV file.
    row
        Its number, as a spreadsheet shows it.
    appointment, outcome
        The text of the cells; None for an empty cell.
    has_formula
        Whether one of the two cells holds a formula; its result is not read.
    """

    sheet: str
    row: int
    appointment: str | None
    outcome: str | None
    has_formula: bool = False


@dataclass(frozen=True)
class FilledWorklist:
    """A filled worklist; `before` is empty if the file does not contain its list."""

    rows: Sequence[FilledRow]
    before: RecordedBefore = field(default_factory=lambda: RecordedBefore(""))


def read(path: Path, *, limits: FileLimits) -> FilledWorklist:
    """The filled rows of the workbook or CSV file at `path`.

    Raises
    ------
    DataError
        If it is another kind of file, damaged or too large, or has no columns for appointments and outcomes.
    """
    ending = path.suffix.lower()
    if ending == ".csv":
        return FilledWorklist(tuple(_csv_rows(path, limits)))
    if ending == ".xlsx":
        return _workbook(path, limits)
    advice = " A workbook with macros is not read: save it as .xlsx." if ending in (".xlsm", ".xls", ".xlsb") else ""
    raise DataError(f"{path}: give the outcomes back as .xlsx or .csv.{advice}")


def _csv_rows(path: Path, limits: FileLimits) -> Iterator[FilledRow]:
    with Workspace() as workspace:
        table = workspace.backend.to_pyarrow(table_file.read(path, workspace, limits=limits))
    columns = _columns([name for name in table.column_names if name != ROW_NUMBER])
    if columns is None:
        raise DataError(f"{path}: {_NO_COLUMNS}")
    names = [name for name in table.column_names if name != ROW_NUMBER]
    texts = (table[names[index]].to_pylist() for index in columns)
    for row, appointment, outcome in zip(table[ROW_NUMBER].to_pylist(), *texts, strict=True):
        if appointment or outcome:
            yield FilledRow("", row, appointment or None, outcome or None)


def _workbook(path: Path, limits: FileLimits) -> FilledWorklist:
    limits.check_archive(path)
    try:
        with warnings.catch_warnings():
            # Warnings of openpyxl quote the values of cells.
            warnings.simplefilter("ignore")
            return _sheets(path, limits)
    except DataError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises any error for a damaged part, with its values
        raise DataError(f"{path}: is not an XLSX workbook, or it is damaged. Nothing was recorded.") from None


def _sheets(path: Path, limits: FileLimits) -> FilledWorklist:
    book = openpyxl.load_workbook(path, read_only=True, keep_links=False)
    try:
        visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        read_sheets = [rows for sheet in visible if (rows := _sheet_rows(sheet, path, limits)) is not None]
        before = _recorded_before(book, path, limits)
    finally:
        book.close()
    if not read_sheets:
        raise DataError(f"{path}: {_NO_COLUMNS}")
    return FilledWorklist([row for rows in read_sheets for row in rows], before)


def _sheet_rows(sheet: Any, path: Path, limits: FileLimits) -> list[FilledRow] | None:
    """The filled rows of a sheet; None if it has no such columns."""
    columns: tuple[int, int] | None = None
    filled = []
    sheet.reset_dimensions()
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        limits.check_rows(path, number)
        limits.check_columns(path, len(cells))
        if columns is None:
            if number > _HEADER_WITHIN:
                return None
            columns = _columns([cell_text(cell.value) for cell in cells])
        elif (row := _filled_row(sheet.title, number, cells, columns)) is not None:
            filled.append(row)
    return None if columns is None else filled


def _columns(headers: Sequence[str | None]) -> tuple[int, int] | None:
    """The positions of the appointment and of the outcome in a header; None if it is none."""
    texts = [(header or "").strip().lower() for header in headers]
    appointment = next((index for index, text in enumerate(texts) if text in _APPOINTMENT_HEADERS), None)
    outcome = next((index for index, text in enumerate(texts) if text in _OUTCOME_HEADERS), None)
    return None if appointment is None or outcome is None else (appointment, outcome)


def _filled_row(sheet: str, number: int, cells: Sequence[Any], columns: tuple[int, int]) -> FilledRow | None:
    pair = [cells[index] if index < len(cells) else None for index in columns]
    has_formula = any(cell is not None and cell.data_type == _FORMULA for cell in pair)
    appointment, outcome = (
        None if cell is None or cell.data_type == _FORMULA else cell_text(cell.value) for cell in pair
    )
    is_empty = not (has_formula or appointment or outcome)
    return None if is_empty else FilledRow(sheet, number, appointment, outcome, has_formula=has_formula)


def _recorded_before(book: Any, path: Path, limits: FileLimits) -> RecordedBefore:
    """The list of the workbook and the outcomes recorded before the download, from the hidden sheet."""
    if RETURN_SHEET not in book.sheetnames:
        return RecordedBefore("")
    sheet = book[RETURN_SHEET]
    sheet.reset_dimensions()
    outcomes: dict[str, tuple[str, str]] = {}
    list_id = ""
    for number, cells in enumerate(sheet.iter_rows(values_only=True)):
        limits.check_rows(path, number)
        texts: Mapping[int, str] = {index: str(value) for index, value in enumerate(cells) if value is not None}
        if not number:
            list_id = texts.get(0, "") if _LIST_ID.fullmatch(texts.get(0, "")) else ""
        elif len(texts) >= 3:
            outcomes[texts[0]] = (texts[1], texts[2])
    return RecordedBefore(list_id, outcomes)
