"""Read a file of appointments of any type as named columns with row numbers.

Nothing is parsed here: CSV and XLSX give text, Parquet its own types. `row_number` is the number that a person
sees who opens the file: in a sheet or CSV titles and header are rows, in Parquet the first row is 1. A row with
a wrong layout is marked in `row_fault`.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.digests import file_sha256
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER, sniff
from dnapredict.data.readers.csv_reader import plain_text, read_delimited
from dnapredict.data.readers.file_type import EXTRACT, WORKBOOK, FileLimits, FileType, file_type_of, require_file
from dnapredict.errors import DataError


def read(
    path: Path,
    workspace: Workspace,
    *,
    limits: FileLimits | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ir.Table:
    """The columns of `path` as they are in the file, and `row_number`.

    Parameters
    ----------
    limits
        The largest file to read; otherwise `EXTRACT`, and `WORKBOOK` for XLSX.
    tell
        Called with a sentence about what is unusual: titles above the header, the encoding, the sheet.
    progress
        Called with the number of rows read so far while a workbook is read, which takes seconds; the other types are
        read too fast to be counted.

    Raises
    ------
    DataError
        If the file is missing, empty, too large, of another type than its name says, or cannot be read.
        Messages name the file and the row, never a value.
    """
    with _readable(path):
        return _read(path, workspace, limits=limits, tell=tell, progress=progress)


def _read(
    path: Path,
    workspace: Workspace,
    *,
    limits: FileLimits | None,
    tell: Callable[[str], None] | None,
    progress: Callable[[int], None],
) -> ir.Table:
    file_type = file_type_of(path)
    limits = limits or (WORKBOOK if file_type is FileType.WORKBOOK else EXTRACT)
    limits.check_size(path)
    if file_type is FileType.PARQUET:
        return _parquet(path, workspace, limits)
    if file_type is FileType.WORKBOOK:
        from dnapredict.data.readers.excel_reader import read_sheet  # loads openpyxl

        table, notes = read_sheet(path, workspace, limits=limits, progress=progress)
    else:
        table, notes = read_delimited(path, workspace, limits=limits)
    if tell and notes:
        tell(f"{path.name}: {'; '.join(notes)}.")
    return table


def columns(path: Path, workspace: Workspace) -> tuple[str, ...]:
    """The column names of `path`; of a delimited text only the start is read.

    Raises
    ------
    DataError
        If the file is missing, too large, of another type than its name says, or has no header.
    """
    with _readable(path):
        if file_type_of(path) is not FileType.TEXT:
            return tuple(read(path, workspace).columns)
        EXTRACT.check_size(path)
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
        return file_sha256(path)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn a system error about `path` into a message; an error about another file is raised unchanged."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and os.fsdecode(error.filename) == str(path):
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
        raise


def is_synthetic(path: Path) -> bool:
    """Whether the metadata of a Parquet file says that its patients are synthetic."""
    if not path.name.lower().endswith(".parquet"):
        return False
    try:
        return (pq.read_schema(path).metadata or {}).get(b"dnapredict.synthetic") == b"true"
    except (pa.ArrowException, OSError):
        return False  # no Parquet file, whatever its name is


def _parquet(path: Path, workspace: Workspace, limits: FileLimits) -> ir.Table:
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        raise DataError(f"{path}: is not a Parquet file, or it is damaged.") from None
    if metadata.num_rows == 0:
        raise DataError(f"{path}: holds no rows.")
    limits.check_rows(path, metadata.num_rows)
    names = metadata.schema.to_arrow_schema().names
    limits.check_columns(path, len(names))
    if "file_row_number" in names:
        raise DataError(f"{path}: the name of column 'file_row_number' is taken. Give it another name.")
    source = "'" + str(path).replace("'", "''") + "'"
    excluded = ["file_row_number", *(name for name in names if name.lower() in (ROW_NUMBER, ROW_FAULT))]
    without = ", ".join(f'"{name}"' for name in excluded)
    return workspace.view(
        f"SELECT file_row_number + 1 AS {ROW_NUMBER}, * EXCLUDE ({without}) "
        f"FROM read_parquet({source}, file_row_number = true)"
    )
