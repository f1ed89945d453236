"""Read delimited text of any layout, compression and encoding as named columns of text with row numbers.

The embedded engine reads UTF-8. A file that is UTF-8 already is used directly; any other is copied, a piece at a
time, into a folder that is removed with the workspace.
"""

import codecs
import contextlib
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import duckdb
import ibis.expr.types as ir

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import EMPTY_CELLS, ROW_FAULT, ROW_NUMBER, Dialect, sniff, title_notes
from dnapredict.data.readers.csv_normalise import LONGEST_LINE, CsvScan, normalise, scan
from dnapredict.data.readers.file_type import FileLimits
from dnapredict.errors import DataError

_PIECE: Final = 4 * 1_048_576
_GZIP: Final = b"\x1f\x8b"
UTF_8: Final = "UTF-8"
UTF_16: Final = "UTF-16"
WINDOWS_1252: Final = "Windows-1252"
_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class Plain:
    """UTF-8 text: its path, the original file, and the encoding of that."""

    path: Path
    source: Path
    encoding: str


def plain_text(source: Path, new_file: Callable[[], Path], *, limits: FileLimits) -> Plain:
    """The text of `source` as UTF-8.

    Text that is not UTF-8 is read as Windows-1252, which British spreadsheets write; UTF-16 is recognised by its
    byte-order mark.

    Parameters
    ----------
    new_file
        Returns the path of a new file, which the caller removes.

    Raises
    ------
    DataError
        If the compressed file is damaged, cut short or grows too far, or the bytes are no text.
    """
    path = _unpacked(source, new_file, limits)
    codec, encoding = _encoding(path)
    if encoding == UTF_8:
        return Plain(path, source, encoding)
    recoded = new_file()
    _recode(path, recoded, codec, source)
    if path != source:
        _discard(path)
    return Plain(recoded, source, encoding)


def _unpacked(source: Path, new_file: Callable[[], Path], limits: FileLimits) -> Path:
    with source.open("rb") as file:
        if file.read(2) != _GZIP:
            return source
    copy, packed, unpacked = new_file(), source.stat().st_size, 0
    try:
        with gzip.open(source) as archive, copy.open("wb") as out:
            while piece := archive.read(_PIECE):
                unpacked += len(piece)
                limits.check_growth(source, packed=packed, unpacked=unpacked)
                out.write(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{source}: the compressed file is damaged or cut short. Export it again.") from None
    if not unpacked:
        raise DataError(f"{source}: the file is empty. Expected a table of appointments.")
    return copy


def _encoding(path: Path) -> tuple[str, str]:
    """The codec, and its common name."""
    with path.open("rb") as file:
        start = file.read(2)
        codec = next((codec for mark, codec in _MARKS if start == mark), None)
        if codec:
            return codec, UTF_16
        file.seek(0)
        return ("utf-8", UTF_8) if _is_utf_8(file) else ("cp1252", WINDOWS_1252)


def _is_utf_8(file: BinaryIO) -> bool:
    """Whether all bytes are UTF-8. Most pieces are ASCII, which is checked much faster."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    between = False
    try:
        for piece in _pieces(file):
            if between or not piece.isascii():
                decoder.decode(piece)
                between = bool(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _recode(path: Path, out: Path, codec: str, source: Path) -> None:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as file, out.open("wb") as copy:
            for piece in _pieces(file):
                copy.write(decoder.decode(piece).encode())
            copy.write(decoder.decode(b"", final=True).encode())
    except UnicodeError:
        raise DataError(
            f"{source}: is not text in UTF-8, Windows-1252 or UTF-16. Save it as 'CSV UTF-8' and try again."
        ) from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


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
    table = workspace.view(_numbered(cells, dialect, scanned))
    if not workspace.fetch(f"SELECT 1 AS one FROM {table.get_name()} LIMIT 1").num_rows:
        raise DataError(f"{source}: holds a header and no rows.")
    return table, tuple(_notes(plain, dialect))


def _normalised(plain: Plain, scanned: CsvScan, dialect: Dialect, out: Path) -> Plain:
    normalise(plain.path, out, scanned=scanned, delimiter=dialect.delimiter, name=plain.source)
    if plain.path != plain.source:
        _discard(plain.path)
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
            _discard(plain.path)


def _discard(copy: Path) -> None:
    """Remove a copy, and give its space back at once where it is a link to a file without a name."""
    with contextlib.suppress(OSError):
        os.truncate(copy, 0)
    copy.unlink()


def _numbered(cells: ir.Table, dialect: Dialect, scanned: CsvScan) -> str:
    """Rows with their numbers and faults.

    A table keeps the order in which it was filled, so `rowid` gives the row number. Numbering rows while they
    are read would restrict all later steps to one processor.
    """
    table, names = cells.get_name(), [_name(column) for column in dialect.columns]
    beyond = ", ".join(f"nullif(trim({cell}), '')" for cell in _BEYOND)
    first = f"(SELECT min(rowid) FROM {table})"
    texts = [_without_formula(name) for name in names] if scanned.text_formulas else names
    query = (
        f"SELECT rowid - {first} + {dialect.header_row + 1} AS {ROW_NUMBER}, "
        f"CASE WHEN coalesce({beyond}) IS NOT NULL THEN '{MORE_CELLS}' END AS {ROW_FAULT}, "
        f"{', '.join(texts)} FROM {table}"
    )
    if not scanned.may_have_blank_rows:
        return query
    held = ", ".join(f"nullif(trim({name}, {_quoted(_BLANK)}), '')" for name in names)
    return f"SELECT * FROM ({query}) WHERE coalesce({held}, {ROW_FAULT}) IS NOT NULL"


def _without_formula(name: str) -> str:
    """The text of a formula `="0123"`; an empty one is an empty cell."""
    return f"nullif(regexp_replace({name}, '^=\"([^\"]*)\"$', '\\1'), '') AS {name}"


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
