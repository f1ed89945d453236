"""Read an uploaded file: a list of appointments as text, a row for each line of the file."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import pyarrow as pa

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import file_type, table_file
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.errors import DataError, StoreError

MOST_ROWS: Final = 20_000
_MOST_COLUMNS: Final = 60
# A list of 20,000 rows and 40 columns unpacks to about 30 MB. A sheet has more lines than rows: titles, blanks.
UPLOAD_LIMITS: Final = replace(
    file_type.WORKBOOK, expanded_bytes=50 * 1_048_576, rows=5 * MOST_ROWS, columns=2 * _MOST_COLUMNS
)
_FORMS: Final = (".csv", ".xlsx")


def read_upload(content: bytes, name: str, *, progress: Callable[[int], None] = lambda _: None) -> pa.Table:
    """The rows of an uploaded file; the ending of its name decides the format.

    `progress` is called with the number of rows read so far of a workbook.

    Raises
    ------
    DataError
        If it is not a CSV or XLSX file, cannot be read, or is too large.
    StoreError
        If the service cannot write its temporary files.
    """
    ending = Path(name).suffix.lower()
    if ending not in _FORMS:
        what = "a workbook of the old form" if ending == ".xls" else "a file of this kind"
        raise DataError(f"{name}: {what} cannot be read. Open it in Excel, save it as .xlsx or .csv, and send that.")
    with _temporary_files(), Workspace() as workspace:
        path = workspace.new_file(ending=ending)
        path.write_bytes(content)
        try:
            read = table_file.read(path, workspace, limits=UPLOAD_LIMITS, progress=progress)
            table = workspace.backend.to_pyarrow(read)
        except DataError as error:
            # The sender knows the file by its own name.
            raise DataError(str(error).replace(str(path), name)) from None
    columns = len(set(table.column_names) - {ROW_NUMBER, ROW_FAULT})
    if table.num_rows > MOST_ROWS or columns > _MOST_COLUMNS:
        raise DataError(
            f"{name}: has {table.num_rows:,} rows and {columns} columns, and may have "
            f"{MOST_ROWS:,} and {_MOST_COLUMNS}. Score it as a file with `dnapredict score`."
        )
    return table


@contextlib.contextmanager
def _temporary_files() -> Iterator[None]:
    """Turn an error of the disk with temporary files into a sentence: the file that was sent is not the cause."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"The service cannot write its temporary files ({error.strerror or type(error).__name__}). Nothing of this "
            "file was scored or kept. Make room in its temporary folder (TMPDIR), and send the file again."
        ) from None


def plain_name(name: str) -> str:
    """The file's name without folders and control characters."""
    bare = PurePosixPath(PureWindowsPath(name).name).name
    return re.sub(r"[^\w .()+-]", "_", bare)[-80:] or "list"
