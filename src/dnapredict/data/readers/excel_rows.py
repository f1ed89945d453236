"""Read the rows of a worksheet much faster than openpyxl, with the values that openpyxl gives.

Nearly every program writes a cell as `<c r="B2" s="1" t="s"><v>7</v></c>`. Such rows are matched by a regular
expression, their values are converted by openpyxl's own functions, and expat refuses XML that is not well formed. From
the first row on that is written in another way, openpyxl reads. Rows are streamed: memory does not grow with the sheet.
"""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final
from xml.parsers import expat
from xml.sax.saxutils import unescape

from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.cell import column_index_from_string
from openpyxl.utils.datetime import from_excel, from_ISO8601
from openpyxl.worksheet._reader import WorkSheetParser, _cast_number
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

# A tag that ends in `/>` is empty and has no content to match.
_OPEN: Final = r"(?<!/)>"
_SPACE: Final = r'(?: xml:space="preserve")?'
_CELL: Final = re.compile(
    r'(<c r="([A-Z]{1,3})[1-9]\d{0,6}"(?: s="(0|[1-9]\d*)"| t="(\w+)"| [cv]m="\d+")*(?:/>|>'
    rf"(?:<f[^<>]*(?:/>|{_OPEN}[^<]*</f>))?"
    rf"(?:<v{_SPACE}>([^<]*)</v>|<v/>)?"
    rf"(?:<is><t{_SPACE}>([^<]+)</t></is>)?</c>))"
)
_ROW: Final = re.compile(rf'\s*<row r="([1-9]\d{{0,6}})"(?:(?! xmlns)[^<>])*(?:/>|{_OPEN}(.*?)</row>)', re.DOTALL)
_TEXT: Final = re.compile(rf"(<si><t{_SPACE}>([^<]+)</t></si>)")
_DECLARED: Final = r'(?:<\?xml version="1\.0"(?: encoding="[Uu][Tt][Ff]-8")?[^<>]*\?>)?\s*'
_SHEET: Final = re.compile(
    rf'{_DECLARED}<worksheet xmlns="{SHEET_MAIN_NS}"(?:(?!<!|<row|<\?).)*?<sheetData>', re.DOTALL
)
_END: Final = re.compile(r"\s*</sheetData>")
_STRINGS: Final = re.compile(rf'{_DECLARED}<sst xmlns="{SHEET_MAIN_NS}"[^<>]*{_OPEN}(.*)</sst>\s*', re.DOTALL)
_PIECE: Final = 1_048_576
# A longer row is left to openpyxl, and so are more texts, which would be held twice.
_LONGEST_ROW: Final = 4 * _PIECE
_MOST_TEXTS: Final = 16 * _PIECE


class _Unusual(Exception):  # noqa: N818 - caught in this module
    """The XML is written in a way that openpyxl must read."""


def open_workbook(path: Path) -> Any:
    """The workbook as openpyxl opens it for streaming, with the last results of formulas."""
    reader = _Reader(path, read_only=True, data_only=True, keep_links=False)
    try:
        reader.read()
    except BaseException:
        reader.archive.close()
        raise
    return reader.wb


def sheet_rows(sheet: Any) -> Iterator[Sequence[Any]]:
    """The cells of each row from the first on: what `sheet.iter_rows(values_only=True)` gives.

    Raises
    ------
    Exception
        Any that openpyxl or expat raises, if the sheet is damaged.
    """
    count = 0
    try:
        with sheet._get_source() as source:  # noqa: SLF001 - openpyxl has no public name for it
            for number, cells in _usual_rows(source, _Cells(sheet)):
                for _ in range(count + 1, number):
                    yield ()
                count = number
                yield cells
    except _Unusual:
        yield from sheet.iter_rows(min_row=count + 1, values_only=True)


def _usual_rows(source: IO[bytes], cells: "_Cells") -> Iterator[tuple[int, list[Any]]]:
    """Rows with their numbers, until one is unusual."""
    text = io.TextIOWrapper(source, encoding="utf-8")
    # It has no handler: it only refuses what is not well formed.
    parser = expat.ParserCreate(namespace_separator=" ")
    piece = text.read(_PIECE)
    parser.Parse(piece)
    begin = _SHEET.match(piece)
    if not begin:
        raise _Unusual
    position, last = begin.end(), 0
    while True:
        while row := _ROW.match(piece, position):
            position, number = row.end(), int(row[1])
            if number <= last:
                raise _Unusual
            last = number
            yield number, cells.values(row[2] or "")
        if end := _END.match(piece, position):
            break
        more = text.read(_PIECE)
        if not more or len(piece) - position > _LONGEST_ROW:
            raise _Unusual
        parser.Parse(more)
        piece, position = piece[position:] + more, 0
    # The rest may be damaged too, which openpyxl finds.
    rest = _Joined(begin[0] + end[0] + piece[end.end() :], text)
    if any(True for _ in WorkSheetParser(rest, []).parse()):
        raise _Unusual


class _Joined:
    """A text and the rest of a stream, to be read as one."""

    def __init__(self, start: str, rest: io.TextIOWrapper) -> None:
        self.start, self.rest = start, rest

    def read(self, size: int = -1) -> str:
        start, self.start = self.start, ""
        return start or self.rest.read(size)


class _Cells:
    """What is needed to read the cells of a sheet."""

    def __init__(self, sheet: Any) -> None:
        book = sheet.parent
        self.epoch = book.epoch
        self.dates = {str(style) for style in book._date_formats}  # noqa: SLF001
        self.durations = {str(style) for style in book._timedelta_formats}  # noqa: SLF001
        self.strings: Sequence[str] = sheet._shared_strings  # noqa: SLF001
        self.columns: dict[str, int] = {}

    def values(self, row: str) -> list[Any]:
        """The cells of a row up to the last one that it names."""
        found = _CELL.findall(row)
        values: list[Any] = [None] * self.column(found[-1][1]) if found else []
        length = 0
        for whole, column, style, kind, value, inline in found:
            length += len(whole)
            if not value and not inline:
                continue
            number = self.columns.get(column) or self.column(column)
            if number <= len(values):  # openpyxl leaves out a cell to the right of the last one
                shared = kind == "s" and value
                values[number - 1] = self.strings[int(value)] if shared else self.value(style, kind, value, inline)
        if length < len(row):
            raise _Unusual
        return values

    def column(self, letters: str) -> int:
        """The number of a column."""
        self.columns[letters] = column_index_from_string(letters)
        return self.columns[letters]

    def value(self, style: str, kind: str, value: str, inline: str) -> Any:
        """The value of a cell whose text is not shared."""
        if kind == "inlineStr":
            return plain_text(inline) if inline else None
        if not value:
            return None
        if kind in ("", "n"):
            return self.number(style or "0", plain_text(value))
        if kind == "b":
            return bool(int(value))
        return from_ISO8601(value) if kind == "d" else plain_text(value)

    def number(self, style: str, value: str) -> Any:
        """A number, or the date, time or duration that its format makes of it."""
        number = _cast_number(value)
        if style not in self.dates:
            return number
        try:
            return from_excel(number, self.epoch, timedelta=style in self.durations)
        except (OverflowError, ValueError):
            return "#VALUE!"  # as openpyxl does


def plain_text(xml: str) -> str:
    """Text without its entities; numbers of characters, which few programs write, are left to openpyxl."""
    if "&" not in xml:
        return xml
    if "&#" in xml:
        raise _Unusual
    return unescape(xml, {"&quot;": '"', "&apos;": "'"})


class _Reader(ExcelReader):  # type: ignore[misc]  # openpyxl has no types
    """openpyxl's reader of workbooks, with a faster way to read the texts that cells share."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        name = part and part.PartName[1:]
        if part is None or self.archive.getinfo(name).file_size > _MOST_TEXTS:
            super().read_strings()
            return
        try:
            self.shared_strings = _shared_strings(self.archive.read(name))
        except _Unusual:
            super().read_strings()


def _shared_strings(xml: bytes) -> list[str]:
    expat.ParserCreate(namespace_separator=" ").Parse(xml, True)
    whole = _STRINGS.fullmatch(io.TextIOWrapper(io.BytesIO(xml), encoding="utf-8").read())
    found = _TEXT.findall(whole[1]) if whole else []
    if not whole or sum(len(each) for each, _ in found) < len(whole[1]):
        raise _Unusual
    return [plain_text(text).replace("x005F_", "") for _, text in found]
