"""Write a worklist as CSV, XLSX or Parquet, atomically, with its passthrough columns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.readers.csv_dialect import ROW_NUMBER, describe_columns
from dnapredict.data.spreadsheet_formulas import neutral_table
from dnapredict.errors import ConfigurationError, DataError, UsageError
from dnapredict.worklist.answer_table import COLUMNS
from dnapredict.worklist.files.excel_worklist import Note, write_sheet


def rebatch(tables: Iterable[pa.Table], *, rows: int) -> Iterator[pa.Table]:
    """Re-batch a stream of tables into tables of `rows` rows each, the last one shorter.

    >>> tables = [pa.table({"n": [1, 2, 3]}), pa.table({"n": [4, 5]})]
    >>> [table["n"].to_pylist() for table in rebatch(tables, rows=2)]
    [[1, 2], [3, 4], [5]]
    """
    waiting: pa.Table | None = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows > rows:
            yield waiting.slice(0, rows).combine_chunks()
            waiting = waiting.slice(rows)
    if waiting is not None:
        yield waiting.combine_chunks()


def require_passthrough(columns: Sequence[str], names: Sequence[str], *, source: str) -> None:
    """Refuse passthrough columns that a list with these `columns` lacks, or that a worklist has itself.

    Raises
    ------
    ConfigurationError
        If a name is one that the worklist itself has.
    DataError
        If the list `source` lacks a column; the message holds headers and no value.
    """
    own = [name for name in names if name in (*COLUMNS, ROW_NUMBER)]
    if own:
        raise ConfigurationError(
            f"serving/worklist.toml: carry_through: '{own[0]}' is a column that every worklist has."
        )
    lacking = [name for name in names if name not in columns]
    if lacking:
        raise DataError(
            f"{source}: column '{lacking[0]}', to be carried through (serving/worklist.toml), is missing. "
            + describe_columns(columns, expected=names)
        )


FORMATS: Final = (".csv", ".xlsx", ".parquet")
_ROW_GROUP: Final = 100_000


def require_format(out: Path) -> None:
    """Refuse a file name whose ending is none of `FORMATS`, and the name of a folder.

    Raises
    ------
    UsageError
    """
    if out.is_dir():
        raise UsageError(f"{out}: is a folder. Name a file in it that ends in {', '.join(FORMATS)}.")
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"{out}: give the output a name that ends in {', '.join(FORMATS)}.")


def write(worklist: pa.Table, out: Path, *, note: Note | str) -> None:
    """Write the columns `COLUMNS` of `worklist` to `out`, as `write_tables` does."""
    note = Note(tuple(note.splitlines())) if isinstance(note, str) else note
    write_tables([worklist.select(COLUMNS)], out, note=note)


def write_tables(
    tables: Iterable[pa.Table],
    out: Path,
    *,
    note: Note,
    draft_folder: Path | None = None,
    before_replacing: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a stream of `tables` to `out` in the format that the ending of its name says.

    Parameters
    ----------
    tables
        One at least, all with the same columns.
    note
        Permitted and prohibited use: a second sheet in XLSX, metadata in Parquet. In XLSX it also supplies the
        outcomes of a call, for the column to be filled in.
    draft_folder
        Folder for the unfinished file, on the same disk; by default that of `out`.
    before_replacing
        Called with `out` when the file is complete, if a file of that name is about to be replaced.

    Raises
    ------
    UsageError
        If the format is unknown, or a sheet would have more rows than a spreadsheet holds.
    StoreError
        If the file cannot be written; an earlier file of that name stays.
    """
    require_format(out)
    ending = out.suffix.lower()
    with write_atomically(out, draft_folder=draft_folder, before_replacing=before_replacing) as draft:
        if ending == ".parquet":
            _write_parquet(tables, draft, str(note))
        elif ending == ".csv":
            _write_csv(map(neutral_table, tables), draft)
        else:
            write_sheet((neutral_table(table, workbook=True) for table in tables), draft, note=note)


def _write_parquet(tables: Iterable[pa.Table], draft: Path, note: str) -> None:
    """In row groups of one size, so that the file is the same however the stream was batched."""
    writer = None
    for table in rebatch(tables, rows=_ROW_GROUP):
        noted = table.replace_schema_metadata({"dnapredict.note": note})
        writer = writer or pq.ParquetWriter(draft, noted.schema)
        writer.write_table(noted)
    if writer:
        writer.close()


def _write_csv(tables: Iterator[pa.Table], draft: Path) -> None:
    first = next(tables)
    with pa_csv.CSVWriter(draft, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
