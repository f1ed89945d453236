"""Read a file of appointments, whatever its form, as named columns with row numbers.

Nothing is interpreted here: CSV and XLSX come back as text, Parquet with its own types.
`row_number` counts as a person who opens the file does: in a sheet or CSV the header is
a row, in Parquet the first row is 1.
"""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis.expr.types as ir
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.dialect import Dialect, sniff
from dnapredict.data.workspace import Workspace
from dnapredict.errors import DataError

__all__ = ["ROW_NUMBER", "is_synthetic", "read", "sha256"]

ROW_NUMBER: Final = "row_number"
_FORMS: Final = "CSV, CSV.GZ, XLSX or Parquet"


def read(path: Path, workspace: Workspace) -> ir.Table:
    """The columns of `path` as they stand, and `row_number`.

    Raises
    ------
    DataError
        If the file is missing, empty, of another form than its name says, or cannot be read.
        Messages hold the file and the row, never a value.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. Expected a table of appointments ({_FORMS}).")
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _parquet(path, workspace)
    if name.endswith(".xlsx"):
        return _sheet(path, workspace)
    if name.endswith((".csv", ".csv.gz", ".txt")):
        return _delimited(path, workspace)
    raise DataError(f"{path}: a file of this kind cannot be read. Expected {_FORMS}.")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_synthetic(path: Path) -> bool:
    """Whether a Parquet file says of itself that nobody in it is real."""
    if not path.name.lower().endswith(".parquet"):
        return False
    return (pq.read_schema(path).metadata or {}).get(b"dnapredict.synthetic") == b"true"


def _parquet(path: Path, workspace: Workspace) -> ir.Table:
    try:
        rows = pq.ParquetFile(path).metadata.num_rows
    except (pa.ArrowException, OSError):
        raise DataError(f"{path}: is not a Parquet file, or it is damaged.") from None
    if rows == 0:
        raise DataError(f"{path}: holds no rows.")
    source = _quoted(str(path))
    return workspace.view(
        f"SELECT file_row_number + 1 AS {ROW_NUMBER}, * EXCLUDE (file_row_number) "
        f"FROM read_parquet({source}, file_row_number = true)"
    )


def _delimited(path: Path, workspace: Workspace) -> ir.Table:
    dialect = sniff(path)
    try:
        table = workspace.view(_read_csv(dialect))
        counted = table.count().execute()
    except duckdb.Error as error:
        raise _unreadable_row(path, error) from None
    if counted == 0:
        raise DataError(f"{path}: holds a header and no rows.")
    return table


def _read_csv(dialect: Dialect) -> str:
    columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in dialect.columns)
    return (
        f"SELECT row_number() OVER () + {dialect.header_row} AS {ROW_NUMBER}, * FROM read_csv("
        f"{_quoted(str(dialect.path))}, columns = {{{columns}}}, delim = {_quoted(dialect.delimiter)}, "
        f"skip = {dialect.header_row}, header = false, quote = '\"', escape = '\"', auto_detect = false, "
        f"null_padding = true, max_line_size = 4000000, strict_mode = false, "
        f"compression = {_quoted(dialect.compression)})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unreadable_row(path: Path, error: duckdb.Error) -> DataError:
    """DuckDB quotes the offending line, which holds a patient: keep its number only."""
    line = re.search(r"Line:\s*(\d+)", str(error))
    where = f"row {int(line.group(1)):,}" if line else "a row"
    return DataError(
        f"{path}: {where} cannot be read as delimited text (broken quotes, or more cells than the header). "
        "Export the file again."
    )


def _sheet(path: Path, workspace: Workspace) -> ir.Table:
    rows = _sheet_rows(path)
    header_row, header = next(
        ((number, cells) for number, cells in rows if sum(cell is not None for cell in cells) > 1), (0, [])
    )
    names = [name or f"column_{position}" for position, name in enumerate(header, start=1)]
    if not names:
        raise DataError(f"{path}: the first sheet is empty. Expected a header row and rows below it.")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: row {header_row:,} names a column twice. Give every column its own name.")
    kept = [(number, cells) for number, cells in rows if any(cell is not None for cell in cells)]
    if not kept:
        raise DataError(f"{path}: holds a header and no rows.")
    return workspace.keep(_as_text_table(names, kept))


def _as_text_table(names: list[str], rows: list[tuple[int, list[str | None]]]) -> pa.Table:
    columns = {ROW_NUMBER: pa.array([number for number, _ in rows], pa.int64())}
    for position, name in enumerate(names):
        cells = [cells[position] if position < len(cells) else None for _, cells in rows]
        columns[name] = pa.array(cells, pa.string())
    return pa.table(columns)


def _sheet_rows(path: Path) -> Iterator[tuple[int, list[str | None]]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield number, [_cell_text(cell) for cell in cells]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, IndexError, SyntaxError):
        raise DataError(f"{path}: is not an XLSX workbook, or it is damaged.") from None


def _cell_text(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, time):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip() or None
