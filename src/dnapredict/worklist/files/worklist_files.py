"""The rows of a worklist, its files as CSV, XLSX or Parquet, and digests of the files that a home wrote.

Every row of a list has one answer, scored or rejected. A clerk writes what became of a call into the file, and a
weekly job writes the next worklist to the same name. So the home records a digest of each file that it writes, and
a file with another digest is renamed and kept.
"""

import datetime
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import write_atomically, write_private
from dnapredict.data.readers.csv_dialect import ROW_NUMBER, describe_columns
from dnapredict.data.readers.table_file import sha256
from dnapredict.data.spreadsheet_formulas import neutral_table
from dnapredict.data.validation.rules import sentence_of
from dnapredict.errors import ConfigurationError, DataError, UsageError
from dnapredict.worklist.files.calls_sheet import is_call_column
from dnapredict.worklist.files.excel_worklist import Note, RecordedBefore, write_sheet
from dnapredict.worklist.files.worklist_columns import COLUMNS, FIFTH, SCHEMA

_NOTICES: Final = b"dnapredict.notices"


def scored_rows(ranked: pa.Table, *, model_version: str) -> pa.Table:
    """The scored rows, in the columns of `SCHEMA` that `ranked` has."""
    n = ranked.num_rows
    table = ranked.append_column("model_version", pa.array([model_version] * n, pa.string())).append_column(
        "error", pa.nulls(n, pa.string())
    )
    if "imd_decile" in table.column_names:
        table = table.append_column(FIFTH, _fifths(table["imd_decile"]))
    schema = pa.schema([field for field in SCHEMA if field.name in table.column_names])
    return table.select(schema.names).cast(schema)


def _fifths(deciles: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.divide(pc.add(deciles.cast(pa.int64()), 1), 2)


def rejected_rows(rejected: pa.Table, schema: pa.Schema, *, model_version: str) -> pa.Table:
    """The rejected rows in the given order, each with its error, in the columns of `schema`."""
    n = rejected.num_rows
    sentences = [f"This row {sentence_of(rule)}." for rule in rejected["rule"].to_pylist()]
    known = {
        "appointment_id": rejected["appointment_id"].cast(pa.string()),
        "selected": pa.array([False] * n, pa.bool_()),
        "model_version": pa.array([model_version] * n, pa.string()),
        "error": pa.array(sentences, pa.string()),
        ROW_NUMBER: rejected[ROW_NUMBER].cast(pa.int64()),
    }
    return pa.table({field.name: known.get(field.name, pa.nulls(n, field.type)) for field in schema}, schema=schema)


def with_notices(worklist: pa.Table, notices: Sequence[str]) -> pa.Table:
    """The worklist with notices for its readers, such as that the calls database was damaged."""
    return worklist.replace_schema_metadata({_NOTICES: json.dumps(list(notices))} if notices else None)


def notices_of(worklist: pa.Table) -> tuple[str, ...]:
    """The notices for the readers of a worklist; usually none."""
    return tuple(json.loads((worklist.schema.metadata or {}).get(_NOTICES, b"[]")))


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


def write_tables(
    tables: Iterable[pa.Table],
    out: Path,
    *,
    note: Note,
    draft_folder: Path | None = None,
    before_publishing: Callable[[Path], None] = lambda _: None,
    recorded_before: RecordedBefore | None = None,
) -> None:
    """Write a stream of `tables` to `out` in the format that the ending of its name says.

    Parameters
    ----------
    tables
        One at least, all with the same columns. Those that `calls_sheet` names are in XLSX alone.
    note
        Permitted and prohibited use: a second sheet in XLSX, metadata in Parquet. In XLSX it also supplies the
        outcomes of a call, for the column to be filled in.
    draft_folder
        Folder for the unfinished file, on the same disk; by default that of `out`.
    before_publishing
        Called with the complete draft, before it gets the name `out`.
    recorded_before
        In XLSX, the list and its recorded outcomes, so that the filled workbook can be given back.

    Raises
    ------
    UsageError
        If the format is unknown, or a sheet would have more rows than a spreadsheet holds.
    StoreError
        If the file cannot be written; an earlier file of that name stays.
    """
    require_format(out)
    ending = out.suffix.lower()
    with write_atomically(out, draft_folder=draft_folder, before_publishing=before_publishing) as draft:
        if ending == ".parquet":
            _write_parquet(map(_without_call_columns, tables), draft, str(note))
        elif ending == ".csv":
            _write_csv((neutral_table(_without_call_columns(table)) for table in tables), draft)
        else:
            safe = (neutral_table(table, workbook=True) for table in tables)
            write_sheet(safe, draft, note=note, recorded_before=recorded_before)


def worklist_bytes(worklist: pa.Table, *, form: str, note: Note, recorded_before: RecordedBefore) -> bytes:
    """The content of the CSV or XLSX file that `write_tables` makes, for a download.

    It is made in memory only: a file on disk with patients' names would remain after a process is killed.

    Raises
    ------
    UsageError
        If a sheet would have more rows than a spreadsheet holds.
    """
    made = io.BytesIO()
    if form == "csv":
        _write_csv(iter([neutral_table(_without_call_columns(worklist))]), made)
    else:
        write_sheet([neutral_table(worklist, workbook=True)], made, note=note, recorded_before=recorded_before)
    return made.getvalue()


def _without_call_columns(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if not is_call_column(name)])


def _write_parquet(tables: Iterable[pa.Table], draft: Path, note: str) -> None:
    """In row groups of one size, so that the file is the same however the stream was batched."""
    writer = None
    for table in rebatch(tables, rows=_ROW_GROUP):
        noted = table.replace_schema_metadata({"dnapredict.note": note})
        writer = writer or pq.ParquetWriter(draft, noted.schema)
        writer.write_table(noted)
    if writer:
        writer.close()


def _write_csv(tables: Iterator[pa.Table], draft: Path | io.BytesIO) -> None:
    first = next(tables)
    with pa_csv.CSVWriter(draft, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


_FILE: Final = Path("lists") / "written.json"
# The number of outputs remembered; the oldest are forgotten.
_MOST_NAMES: Final = 1_000


@dataclass(frozen=True)
class WrittenWorklists:
    """The worklists that a home wrote: digests of path and content.

    A worklist is noted before it is published, so that it is recognised after a kill in between. Until the next one is
    noted the one before may be there still, so both are remembered.
    """

    home: Path

    def keep_changed(self, out: Path) -> Path | None:
        """Keep the file at `out` under another name, unless it is unchanged since this home wrote it.

        Returns
        -------
        The other name, such as `worklist.kept-2026-11-20.xlsx` for a file that was changed on that
        day; None if nothing had to be kept.

        Raises
        ------
        OSError
            If it can be neither linked nor copied. It then stays in place.
        """
        digest = sha256(out)
        if digest in self._noted().get(_name(out), []):
            return None
        kept = _free_name(out, digest)
        if not kept.exists():
            _link(out, kept)
        return kept

    def note(self, out: Path, *, draft: Path | None = None) -> None:
        """Record the digest of the file that this home wrote at `out`, or of its complete `draft`.

        Raises
        ------
        StoreError
            If the home cannot be written.
        """
        noted = self._noted()
        known = noted.pop(_name(out), [])
        before = sha256(out) if draft is not None and out.exists() else ""
        digests = [*([before] if before in known else []), sha256(draft or out)]
        newest = list(noted.items())[-_MOST_NAMES + 1 :]
        write_private(self.home / _FILE, json.dumps(dict(newest) | {_name(out): digests}))

    def discard_damaged(self) -> None:
        """Remove a file that cannot be read: every worklist then counts as changed and is kept, as it does now."""
        if self.is_damaged():
            (self.home / _FILE).unlink(missing_ok=True)

    def is_damaged(self) -> bool:
        """Whether the file is there and cannot be read."""
        return (self.home / _FILE).exists() and self._read() is None

    def _noted(self) -> dict[str, list[str]]:
        """Digests by name. If they cannot be read the result is empty, so that every file is kept."""
        return self._read() or {}

    def _read(self) -> dict[str, list[str]] | None:
        try:
            digests = json.loads((self.home / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(digests, dict):
            return None
        # Earlier releases noted one digest, and not a list of them.
        return {name: each if isinstance(each, list) else [each] for name, each in digests.items()}


def _name(out: Path) -> str:
    """A digest of the path, since a file name can contain a patient's name."""
    return hashlib.sha256(os.fsencode(out.resolve())).hexdigest()


def _free_name(out: Path, digest: str) -> Path:
    """A name that is unused, or already has the same content."""
    changed_on = datetime.datetime.fromtimestamp(out.stat().st_mtime, datetime.UTC).date()
    number, kept = 1, out.with_name(f"{out.stem}.kept-{changed_on}{out.suffix}")
    while kept.exists() and sha256(kept) != digest:
        number += 1
        kept = out.with_name(f"{out.stem}.kept-{changed_on}-{number}{out.suffix}")
    return kept


def _link(out: Path, kept: Path) -> None:
    """A hard link to the file; a copy if the file system has no hard links."""
    try:
        os.link(out, kept)
    except OSError:
        shutil.copy2(out, kept)
