"""Read a file of appointments, whatever its form, as named columns with row numbers.

Nothing is interpreted here: CSV and XLSX come back as text, Parquet with its own types.
`row_number` counts as a person who opens the file does: in a sheet or CSV titles and header are
rows, in Parquet the first row is 1. A row that is wrong as a row says so in `row_fault`.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER, sniff
from dnapredict.data.readers.csv_reader import read_delimited
from dnapredict.data.readers.excel_reader import read_sheet
from dnapredict.data.readers.file_limits import EXTRACT, WORKBOOK, FileLimits
from dnapredict.data.readers.file_type import Form, form_of, require_file
from dnapredict.data.readers.text_encoding import plain_text
from dnapredict.errors import DataError


def read(
    path: Path,
    workspace: Workspace,
    *,
    limits: FileLimits | None = None,
    tell: Callable[[str], None] | None = None,
) -> ir.Table:
    """The columns of `path` as they stand, and `row_number`.

    Parameters
    ----------
    limits
        The largest file to read; otherwise `EXTRACT`, and `WORKBOOK` for XLSX.
    tell
        Is told in a sentence what is unusual: titles above the header, the encoding, the sheet.

    Raises
    ------
    DataError
        If the file is missing, empty, too large, of another form than its name says, or cannot be
        read. Messages hold the file and the row, never a value.
    """
    with _readable(path):
        return _read(path, workspace, limits, tell)


def _read(path: Path, workspace: Workspace, limits: FileLimits | None, tell: Callable[[str], None] | None) -> ir.Table:
    form = form_of(path)
    limits = limits or (WORKBOOK if form is Form.WORKBOOK else EXTRACT)
    limits.hold_file(path)
    if form is Form.PARQUET:
        return _parquet(path, workspace, limits)
    reader = read_sheet if form is Form.WORKBOOK else read_delimited
    table, habits = reader(path, workspace, limits=limits)
    if tell and habits:
        tell(f"{path.name}: {'; '.join(habits)}.")
    return table


def columns(path: Path, workspace: Workspace) -> tuple[str, ...]:
    """The names of the columns of `path`, without looking at the rows of a delimited text.

    Raises
    ------
    DataError
        If the file is missing, too large, of another form than its name says, or has no header.
    """
    with _readable(path):
        if form_of(path) is not Form.TEXT:
            return tuple(read(path, workspace).columns)
        EXTRACT.hold_file(path)
        plain = plain_text(path, workspace.new_file, limits=EXTRACT)
        return sniff(plain.path, name=path).columns


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    DataError
        If it is missing, is a folder, or cannot be read.
    """
    with _readable(path):
        require_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """An error of the system about `path` as a sentence; one about another file, such as a copy, as it is."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and os.fsdecode(error.filename) == str(path):
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
        raise


def is_synthetic(path: Path) -> bool:
    """Whether a Parquet file says of itself that nobody in it is real."""
    if not path.name.lower().endswith(".parquet"):
        return False
    try:
        return _says_synthetic(path)
    except (pa.ArrowException, OSError):
        return False  # no Parquet file, whatever its name is


def _says_synthetic(path: Path) -> bool:
    return (pq.read_schema(path).metadata or {}).get(b"dnapredict.synthetic") == b"true"


def _parquet(path: Path, workspace: Workspace, limits: FileLimits) -> ir.Table:
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        raise DataError(f"{path}: is not a Parquet file, or it is damaged.") from None
    if metadata.num_rows == 0:
        raise DataError(f"{path}: holds no rows.")
    limits.hold_rows(path, metadata.num_rows)
    names = metadata.schema.to_arrow_schema().names
    limits.hold_columns(path, len(names))
    if "file_row_number" in names:
        raise DataError(f"{path}: the name of column 'file_row_number' is taken. Give it another name.")
    source = "'" + str(path).replace("'", "''") + "'"
    theirs = ["file_row_number", *(name for name in names if name.lower() in (ROW_NUMBER, ROW_FAULT))]
    without = ", ".join(f'"{name}"' for name in theirs)
    return workspace.view(
        f"SELECT file_row_number + 1 AS {ROW_NUMBER}, * EXCLUDE ({without}) "
        f"FROM read_parquet({source}, file_row_number = true)"
    )
