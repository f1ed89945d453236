"""Write a delimited text anew, so that every line is one row and keeps its number.

A line break inside a cell becomes a space and an empty line a row of empty cells. Quotes that follow
the rules are handled by their positions alone; where some do not, rows are taken apart and put
together again.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dnapredict.data.survey import Positions, Survey, lines_of, openings
from dnapredict.errors import DataError

__all__ = ["LONGEST_CELL", "rewrite"]

# Four times what a cell of a spreadsheet holds: beyond it a quote was opened and never closed.
LONGEST_CELL: Final = 131_072
_END: Final = "\x1eend of file\x1e"
_SPACE: Final = ord(" ")


def rewrite(path: Path, out: Path, *, found: Survey, delimiter: str, name: Path) -> None:
    """Write the rows of `path`, about which `found` is known, to `out`, a line each.

    Raises
    ------
    DataError
        If a quote is opened and never closed, so that rows would be lost in a cell.
    """
    if found.strays or found.lone_returns:
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
    """Refuse a cell that spans lines and is longer than a cell can be; `quotes` begin with an opening one."""
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
    """Rows as they were meant: a quote inside a cell is a character, unless it swallows lines."""
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
    # The last quote swallowed even the end.
    raise _unclosed(name, done)


def _require_sound(lines: Sequence[str], delimiter: str) -> None:
    """Hold a row that spans lines to the rules, so that no stray quote joins two patients in one row."""
    list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))


def _unclosed(name: Path, row: int) -> DataError:
    return DataError(
        f"{name}: row {row:,} cannot be read: a quote is opened and not closed, or a quote inside a cell is "
        "not doubled. Correct the row, or export the file again."
    )
