"""Read delimited text of any layout as named columns of text with row numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb
import ibis.expr.types as ir

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import EMPTY_CELLS, ROW_FAULT, ROW_NUMBER, Dialect, sniff, title_notes
from dnapredict.data.readers.csv_normalise import LONGEST_LINE, CsvScan, normalise, scan
from dnapredict.data.readers.file_limits import FileLimits
from dnapredict.data.readers.text_encoding import UTF_8, Plain, plain_text
from dnapredict.errors import DataError

MORE_CELLS: Final = "more_cells_than_columns"
# Extra cells beyond the header that are read: a surplus comma moves a row by one or a few.
_BEYOND: Final = ("beyond_1", "beyond_2", "beyond_3")
_BLANK: Final = " \t\xa0\x1a"


def read_delimited(source: Path, workspace: Workspace, *, limits: FileLimits) -> tuple[ir.Table, tuple[str, ...]]:
    """The table in `source`, and notes on what is unusual about its layout.

    Blank rows are dropped. A row with more cells than the header is marked in `ROW_FAULT`.

    Raises
    ------
    DataError
        If the file cannot be read, or holds no rows.
    """
    plain = plain_text(source, workspace.new_file, limits=limits)
    dialect = sniff(plain.path, name=source)
    limits.check_columns(source, len(dialect.columns))
    scanned = scan(plain.path, delimiter=dialect.delimiter, name=source)
    limits.check_rows(source, scanned.lines - dialect.header_row)
    if not scanned.line_is_row:
        plain = _normalised(plain, scanned, dialect, workspace.new_file())
    cells = _load(plain, dialect, workspace)
    table = workspace.view(_numbered(cells, dialect, may_have_blank_rows=scanned.may_have_blank_rows))
    if not workspace.fetch(f"SELECT 1 AS one FROM {table.get_name()} LIMIT 1").num_rows:
        raise DataError(f"{source}: holds a header and no rows.")
    return table, tuple(_notes(plain, dialect))


def _normalised(plain: Plain, scanned: CsvScan, dialect: Dialect, out: Path) -> Plain:
    normalise(plain.path, out, scanned=scanned, delimiter=dialect.delimiter, name=plain.source)
    if plain.path != plain.source:
        plain.path.unlink()
    return replace(plain, path=out)


def _load(plain: Plain, dialect: Dialect, workspace: Workspace) -> ir.Table:
    """Every cell, in the order of the file; a temporary copy of the file is removed after reading."""
    try:
        return workspace.compute(f"SELECT * FROM {_read_csv(plain.path, dialect)}")
    except (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.InterruptException):
        raise  # not the fault of the file
    except duckdb.Error:
        # The message of the engine quotes the line, which has a patient's values.
        raise DataError(f"{plain.source}: cannot be read as delimited text. Export it again.") from None
    finally:
        if plain.path != plain.source:
            plain.path.unlink()


def _numbered(cells: ir.Table, dialect: Dialect, *, may_have_blank_rows: bool) -> str:
    """Rows with their numbers and faults.

    A table keeps the order in which it was filled, so `rowid` gives the row number. Numbering rows while they
    are read would restrict all later steps to one processor.
    """
    table, names = cells.get_name(), [_name(column) for column in dialect.columns]
    beyond = ", ".join(f"nullif(trim({cell}), '')" for cell in _BEYOND)
    first = f"(SELECT min(rowid) FROM {table})"
    query = (
        f"SELECT rowid - {first} + {dialect.header_row + 1} AS {ROW_NUMBER}, "
        f"CASE WHEN coalesce({beyond}) IS NOT NULL THEN '{MORE_CELLS}' END AS {ROW_FAULT}, "
        f"{', '.join(names)} FROM {table}"
    )
    if not may_have_blank_rows:
        return query
    held = ", ".join(f"nullif(trim({name}, {_quoted(_BLANK)}), '')" for name in names)
    return f"SELECT * FROM ({query}) WHERE coalesce({held}, {ROW_FAULT}) IS NOT NULL"


def _read_csv(path: Path, dialect: Dialect) -> str:
    columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in (*dialect.columns, *_BEYOND))
    nothing = ", ".join(_quoted(word) for word in EMPTY_CELLS)
    return (
        f"read_csv({_quoted(str(path))}, columns = {{{columns}}}, "
        f"delim = {_quoted(dialect.delimiter)}, skip = {dialect.header_row}, header = false, "
        f"quote = '\"', escape = '\"', auto_detect = false, null_padding = true, strict_mode = false, "
        f"max_line_size = {2 * LONGEST_LINE}, nullstr = [{nothing}], compression = 'none')"
    )


def _notes(plain: Plain, dialect: Dialect) -> list[str]:
    notes = [] if plain.encoding == UTF_8 else [f"it is in {plain.encoding}"]
    if dialect.delimiter != ",":
        named = {"\t": "tabs", ";": "semicolons", "|": "bars"}.get(dialect.delimiter, "another sign")
        notes.append(f"cells are separated by {named}")
    return [*notes, *title_notes(dialect.header_row)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
