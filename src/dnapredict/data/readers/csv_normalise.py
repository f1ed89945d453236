"""Scan a delimited text, and normalise it where a line is not a row, so that rows keep their numbers.

Ours and not a library's: DuckDB reads the text fast but skips empty lines and joins rows after a stray quote, so
that the row numbers in messages, by which a person finds a row, would be wrong.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.errors import DataError

LONGEST_LINE: Final = 8 * 1_048_576
_PIECE: Final = 4 * 1_048_576
_QUOTE, _LF = ord('"'), ord("\n")
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class CsvScan:
    """The result of scanning all lines.

    Attributes
    ----------
    lines
        Number of lines, including header and titles.
    empty_lines
        At least one line is empty: the engine would skip it and number the rows below wrongly.
    blank_rows
        At least one line has only separators, spaces and quotes.
    lone_returns
        Some lines end in a carriage return without a line feed.
    quoted_breaks
        At least one quoted cell has a line break.
    strays
        A quote is inside a cell, or follows a closing quote.
    text_formulas
        A cell may be a formula of one text, `="0123"`, by which an export keeps Excel from changing a number.
    """

    lines: int = 0
    empty_lines: bool = False
    blank_rows: bool = False
    lone_returns: bool = False
    quoted_breaks: bool = False
    strays: bool = False
    text_formulas: bool = False

    @property
    def line_is_row(self) -> bool:
        """Whether every line is a row."""
        return not (self.empty_lines or self.lone_returns or self.quoted_breaks or self.strays)

    @property
    def may_have_blank_rows(self) -> bool:
        """Whether to look for blank rows; between lone carriage returns the scan does not see them."""
        return self.blank_rows or self.lone_returns


def scan(path: Path, *, delimiter: str, name: Path) -> CsvScan:
    """Scan every line of `path`, which is UTF-8; messages call the file `name`.

    Raises
    ------
    DataError
        If it has NUL bytes or a line longer than `LONGEST_LINE`; the message names the row.
    """
    scanned, inside = CsvScan(), False
    # The pattern begins with a literal character, which is searched for fast.
    blank = re.compile(rb'\n[" \t\xa0\xc2\x1a%s]*\r?(?=\n)' % re.escape(delimiter.encode()))
    with path.open("rb") as file:
        for piece in lines_of(file, name):
            if b"\x00" in piece:
                row = scanned.lines + piece.count(b"\n", 0, piece.index(b"\x00")) + 1
                raise not_text(name, row)
            scanned = _with_lines(scanned, piece, blank)
            if b'"' in piece:
                scanned, inside = _with_quotes(scanned, piece, delimiter, inside)
                scanned = replace(scanned, text_formulas=scanned.text_formulas or b'="' in piece)
            elif inside:
                scanned = replace(scanned, quoted_breaks=True)
    return replace(scanned, strays=scanned.strays or inside)


def not_text(name: Path, row: int) -> DataError:
    """The error for a NUL character, which is not in any text."""
    return DataError(f"{name}: is not text: row {row:,} holds a NUL character. Export it as CSV again.")


def lines_of(file: BinaryIO, name: Path) -> Iterator[bytes]:
    """Pieces of the file that end with a complete line.

    Raises
    ------
    DataError
        If a line is longer than `LONGEST_LINE`.
    """
    first = True
    while piece := file.read(_PIECE):
        piece += file.readline(LONGEST_LINE)
        if not piece.endswith(b"\n"):
            if len(piece) > LONGEST_LINE and b"\r" not in piece:
                raise DataError(f"{name}: a row is longer than {LONGEST_LINE:,} bytes. Export it again.")
            piece += b"\n" if not piece.endswith(b"\r") else b""
        yield piece.removeprefix(b"\xef\xbb\xbf") if first else piece
        first = False


def _with_lines(scanned: CsvScan, piece: bytes, blank: re.Pattern[bytes]) -> CsvScan:
    first = piece[: piece.find(b"\n") + 1]
    hit = blank.match(b"\n" + first) or blank.search(piece)
    empty = hit and (first in (b"\n", b"\r\n") or b"\n\n" in piece or b"\n\r\n" in piece)
    return replace(
        scanned,
        lines=scanned.lines + piece.count(b"\n"),
        blank_rows=scanned.blank_rows or hit is not None,
        empty_lines=scanned.empty_lines or bool(empty),
        lone_returns=scanned.lone_returns or (b"\r" in piece and piece.count(b"\r") != piece.count(b"\r\n")),
    )


def _with_quotes(scanned: CsvScan, piece: bytes, delimiter: str, inside: bool) -> tuple[CsvScan, bool]:
    text = np.frombuffer(piece, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    strays = scanned.strays or _has_stray(text, quotes, ord(delimiter), inside)
    breaks = bool(openings(text, quotes, inside=inside).any())
    inside ^= bool(len(quotes) % 2)
    return replace(scanned, strays=strays, quoted_breaks=scanned.quoted_breaks or breaks), inside


def openings(text: NDArray[np.uint8], quotes: Positions, *, inside: bool) -> NDArray[np.bool_]:
    """Of each line feed in `text`, whether it lies between an opening and a closing quote."""
    breaks = np.flatnonzero(text == _LF)
    return np.asarray((np.searchsorted(quotes, breaks) + inside) % 2 == 1)


def _has_stray(text: NDArray[np.uint8], quotes: Positions, delimiter: int, inside: bool) -> bool:
    """Whether a quote is neither at the start nor at the end of a cell.

    A doubled quote counts as one that closes and one that opens again. Then every opening quote follows a
    separator, a line end or a quote, and every closing one is followed by one of these.
    """
    edges = np.zeros(256, bool)
    edges[[delimiter, _LF, ord("\r"), _QUOTE]] = True
    padded = np.concatenate(([np.uint8(_LF)], text, [np.uint8(_LF)]))
    opening, closing = (quotes[1::2], quotes[0::2]) if inside else (quotes[0::2], quotes[1::2])
    return not (edges[padded[opening]].all() and edges[padded[closing + 2]].all())


# Four times the limit of a spreadsheet's cell: in a longer one a quote was opened and never closed.
LONGEST_CELL: Final = 131_072
_END: Final = "\x1eend of file\x1e"
_SPACE: Final = ord(" ")


def normalise(path: Path, out: Path, *, scanned: CsvScan, delimiter: str, name: Path) -> None:
    """Write the rows of `path`, whose scan is `scanned`, to `out`, one line each.

    Raises
    ------
    DataError
        If a quote is opened and never closed, so that rows would be swallowed by a cell.
    """
    if scanned.strays or scanned.lone_returns:
        _row_by_row(path, out, delimiter, name)
    else:
        _in_place(path, out, delimiter, name)


def _in_place(path: Path, out: Path, delimiter: str, name: Path) -> None:
    empty = re.compile(rb"(?<=\n)(?=\r?\n)")
    inside, line = False, 0
    with path.open("rb") as file, out.open("wb") as copy:
        for piece in lines_of(file, name):
            text = np.frombuffer(piece, np.uint8).copy()
            quotes = np.flatnonzero(text == ord('"'))
            breaks = np.flatnonzero(text == ord("\n"))
            _require_closed(quotes[int(inside) :], breaks, line, name)
            returns = np.flatnonzero(text == ord("\r"))
            within = (np.searchsorted(quotes, returns) + inside) % 2 == 1
            text[returns[within]] = _SPACE
            text[breaks[openings(text, quotes, inside=inside)]] = _SPACE
            begun = b"" if inside else b"\n"
            copy.write(empty.sub(delimiter.encode(), begun + text.tobytes())[len(begun) :])
            inside ^= bool(len(quotes) % 2)
            line += len(breaks)


def _require_closed(quotes: Positions, breaks: Positions, line: int, name: Path) -> None:
    """Refuse a cell that spans lines and is too long; the first of `quotes` opens a cell."""
    pairs = len(quotes) // 2
    opened, closed = quotes[0 : 2 * pairs : 2], quotes[1 : 2 * pairs : 2]
    for at in np.flatnonzero(closed - opened > LONGEST_CELL):
        first, last = np.searchsorted(breaks, (opened[at], closed[at]))
        if last > first:
            raise _unclosed(name, line + int(first) + 1)


def _row_by_row(path: Path, out: Path, delimiter: str, name: Path) -> None:
    with (
        path.open(encoding="utf-8-sig", newline=None) as file,
        out.open("w", encoding="utf-8", newline="") as copy,
    ):
        writer = csv.writer(copy, delimiter=delimiter, lineterminator="\n")
        for row in _rows(file, delimiter, name):
            writer.writerow([cell.replace("\n", " ") for cell in row] or ["", ""])


def _rows(lines: Iterator[str], delimiter: str, name: Path) -> Iterator[list[str]]:
    """Rows in which a quote inside a cell is an ordinary character, unless it would swallow lines."""
    seen: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            seen.append(line)
            yield line if line.endswith("\n") else line + "\n"
        yield _END

    reader = csv.reader(noted(), delimiter=delimiter, skipinitialspace=True)
    done = 0
    try:
        for row in reader:
            if row == [_END]:
                return
            if len(seen) > 1:
                _require_sound(seen, delimiter)
            seen.clear()
            done += 1
            yield row
    except csv.Error:
        raise _unclosed(name, done + 1) from None
    # The end marker is inside the last cell, whose quote was never closed.
    raise _unclosed(name, done)


def _require_sound(lines: Sequence[str], delimiter: str) -> None:
    """Parse a row that spans lines strictly, so that no stray quote joins two patients in one row."""
    list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))


def _unclosed(name: Path, row: int) -> DataError:
    return DataError(
        f"{name}: row {row:,} cannot be read: a quote is opened and not closed, or a quote inside a cell is "
        "not doubled. Correct the row, or export the file again."
    )
