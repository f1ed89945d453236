"""Write a worklist as CSV, XLSX or Parquet, whole or not at all."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dnapredict.errors import UsageError
from dnapredict.formulas import neutral_table
from dnapredict.lists.answers import COLUMNS
from dnapredict.lists.pieces import of_one_size
from dnapredict.lists.sheet import Note, write_sheet
from dnapredict.whole_files import whole

__all__ = ["FORMS", "require_form", "whole", "write", "write_tables"]

FORMS: Final = (".csv", ".xlsx", ".parquet")
_ROW_GROUP: Final = 100_000


def require_form(out: Path) -> None:
    """Refuse a file name whose ending says a form that cannot be written, and the name of a folder.

    Raises
    ------
    UsageError
    """
    if out.is_dir():
        raise UsageError(f"{out}: is a folder. Name a file in it that ends in {', '.join(FORMS)}.")
    if out.suffix.lower() not in FORMS:
        raise UsageError(f"{out}: give the output a name that ends in {', '.join(FORMS)}.")


def write(worklist: pa.Table, out: Path, *, note: Note | str) -> None:
    """Write the columns `COLUMNS` of `worklist` to `out`, as `write_tables` does."""
    note = Note(tuple(note.splitlines())) if isinstance(note, str) else note
    write_tables([worklist.select(COLUMNS)], out, note=note)


def write_tables(
    tables: Iterable[pa.Table],
    out: Path,
    *,
    note: Note,
    place: Path | None = None,
    before_replacing: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write `tables`, which follow each other, to `out` in the form that its name says.

    Parameters
    ----------
    tables
        One at least, all with the same columns.
    note
        What the list is and must not be used for: a sheet of its own in XLSX, metadata in Parquet. In XLSX it
        also says what can become of a call, for a column to be filled in.

    place
        A folder of the same disk for what is not finished; otherwise beside `out`.
    before_replacing
        Is called with `out` when all is written, if a file of that name is about to be replaced.

    Raises
    ------
    UsageError
        If the form is unknown, or a sheet would have more rows than a spreadsheet holds.
    StoreError
        If the file cannot be written; an earlier file of that name stays.
    """
    require_form(out)
    form = out.suffix.lower()
    with whole(out, place=place, before_replacing=before_replacing) as draft:
        if form == ".parquet":
            _write_parquet(tables, draft, str(note))
        elif form == ".csv":
            _write_csv(map(neutral_table, tables), draft)
        else:
            write_sheet((neutral_table(table, workbook=True) for table in tables), draft, note=note)


def _write_parquet(tables: Iterable[pa.Table], draft: Path, note: str) -> None:
    """In groups of rows of one size, so that the file is the same however the tables were cut."""
    writer = None
    for table in of_one_size(tables, rows=_ROW_GROUP):
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
