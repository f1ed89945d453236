"""The sheet `Calls` of a workbook: the calls to make, with headers in words.

It has one call a row, in the order of the list: patient, time, place, reasons, offer, and last a column `What happened`
with a drop-down. Dates and times are Excel dates in the clinics' time zone, so that a spreadsheet sorts and filters
them. The sheet prints on A4 landscape, one page wide, with the header on every page.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.worklist.files.worklist_columns import COLUMNS, OUTCOME, REASONS

SHEET: Final = "Calls"
APPOINTMENT: Final = "Appointment"
HAPPENED: Final = "What happened"
# What the sheets of the workbook have in common.
HEADER_BLUE: Final = "#005EB8"
# Colours of the bands from the highest; the label carries the meaning. Dark text on each has a contrast above 7:1.
BAND_COLOURS: Final = ("#FFD9B3", "#FFF3C2", "#FFFFFF")
TO_FILL: Final = {"bg_color": "#F0F4F5", "border": 1, "border_color": "#AEB7BD"}
OTHER_WIDTH: Final = 16

_PREFIX: Final = "call:"
STARTS_AT: Final = "call:starts_at"
CLINIC: Final = "call:clinic_code"
SITE: Final = "call:site_code"
"""Columns of a table that are on this sheet only. No column of a list has such a name in a worklist."""

# Header, column, width in characters. A4 landscape holds about 150 at full size.
_COLUMNS: Final = (
    ("Place", "rank", 6),
    (APPOINTMENT, "appointment_id", 16),
    ("Date", STARTS_AT, 16),
    ("Time", STARTS_AT, 7),
    ("Clinic", CLINIC, 13),
    ("Site", SITE, 9),
    ("Chance of missing it", "band", 11),
    ("Why", REASONS[0], 40),
    ("What to offer", "action", 36),
)
# Headers of contact columns, which are carried through under the names of the contract.
_CONTACTS: Final = {
    "person_full_name": ("Name", 22),
    "person_birth_date": ("Born", 11),
    "mobile_telephone": ("Mobile", 15),
    "home_telephone": ("Home number", 15),
    "other_telephone": ("Other number", 15),
    "preferred_language": ("Language", 12),
    "preferred_contact_time": ("When to call", 14),
}
# The width of a site with its name and address.
_SITE_IN_WORDS: Final = 26
_OUTCOME_WIDTH: Final = 24
# The columns of every worklist; all other columns of a table were carried through from the list.
_OWN: Final = frozenset((*COLUMNS, OUTCOME))
_LONGEST_TITLE: Final = 60
_A4: Final = 9
# The last second of a day is how the contract stores a date without a clock time.
_NO_CLOCK_TIME: Final = datetime.time(23, 59, 59)


def is_call_column(name: str) -> bool:
    """Whether a column is on the sheet of calls only.

    >>> is_call_column(STARTS_AT), is_call_column("rank")
    (True, False)
    """
    return name.startswith(_PREFIX)


def with_call_columns(table: pa.Table, source: pa.Table) -> pa.Table:
    """`table` with date, clinic and site of the same rows in `source`, if it has them."""
    for column, name in ((STARTS_AT, "starts_at"), (CLINIC, "clinic_code"), (SITE, "site_code")):
        if name in source.column_names:
            table = table.append_column(column, source[name])
    return table


def outcome_choices(outcomes: Sequence[str]) -> dict[str, Any]:
    """The drop-down of a column to be filled in."""
    return {
        "validate": "list",
        "source": list(outcomes),
        "input_title": "What happened?",
        "input_message": "Pick the outcome of the call, or leave the cell empty.",
        "error_title": "Not one of the choices",
        "error_message": "Pick one of the choices in the list.",
    }


def page_setup(sheet: Any, *, title: str) -> None:
    """A4 landscape, one page wide, the header row and the page number on every page."""
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_margins(left=0.4, right=0.4, top=0.7, bottom=0.7)
    # A long title would be printed over the text to its right.
    short = title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"
    sheet.set_header(f"&L{short.replace('&', '&&')}&RConfidential: about patients")
    sheet.set_footer("&LNever for overbooking, discharge, delaying or withholding care&RPage &P of &N")


@dataclass(frozen=True)
class _Column:
    header: str
    name: str
    width: int


class CallsSheet:
    """The sheet of calls of a workbook. It is the one that the workbook opens on, unless there are no calls."""

    def __init__(
        self,
        book: Any,
        *,
        title: str,
        bands: Sequence[str],
        outcomes: Sequence[str],
        timezone: str,
        sites: Sequence[tuple[str, str]],
    ) -> None:
        """Add the sheet to `book`; for the other parameters see `excel_worklist.Note`."""
        self._sheet = book.add_worksheet(SHEET)
        self._title = title
        self._outcomes = outcomes
        self._zone = ZoneInfo(timezone)
        self._sites = {code.strip().casefold(): words for code, words in sites}
        self._columns: tuple[_Column, ...] = ()
        self._rows = 0
        self._formats = _formats(book, bands)

    def add(self, table: pa.Table) -> None:
        """Write the calls among the rows of `table` below those before."""
        if not self._columns:
            self._columns = tuple(_columns_of(table.column_names, has_outcome=bool(self._outcomes)))
            self._write_header()
        if "selected" not in table.column_names:
            return
        for row in table.filter(pc.fill_null(table["selected"], False)).to_pylist():
            self._rows += 1
            for index, column in enumerate(self._columns):
                self._write(index, column, row)

    def finish(self) -> None:
        """The settings that depend on the number of rows."""
        last = len(self._columns) - 1
        if self._rows:
            self._sheet.activate()
        self._sheet.autofilter(0, 0, self._rows, last)
        if self._outcomes and self._rows:
            self._sheet.data_validation(1, last, self._rows, last, outcome_choices(self._outcomes))
        page_setup(self._sheet, title=self._title)

    def _write_header(self) -> None:
        for index, column in enumerate(self._columns):
            is_in_words = column.name == SITE and self._sites
            self._sheet.set_column(index, index, _SITE_IN_WORDS if is_in_words else column.width)
            self._sheet.write_string(0, index, column.header, self._formats["header"])
        self._sheet.freeze_panes(1, 2)

    def _write(self, index: int, column: _Column, row: Mapping[str, Any]) -> None:
        sheet, number = self._sheet, self._rows
        if column.name == STARTS_AT:
            self._write_time(index, column, row[STARTS_AT])
        elif column.header == "Why":
            reasons = [row[name] for name in REASONS if row.get(name)]
            sheet.write_string(number, index, "\n".join(reasons) or "Nothing stands out", self._formats["text"])
        elif column.name == "rank":
            sheet.write_number(number, index, row["rank"], self._formats["number"])
        else:
            value = row.get(column.name)
            if column.name == SITE:
                value = self._sites.get((value or "").strip().casefold(), value)
            sheet.write_string(number, index, "" if value is None else str(value), self._format(column, value))

    def _write_time(self, index: int, column: _Column, moment: datetime.datetime | None) -> None:
        if moment is None:
            self._sheet.write_blank(self._rows, index, None, self._formats["text"])
            return
        local = moment.replace(tzinfo=datetime.UTC).astimezone(self._zone).replace(tzinfo=None)
        if column.header == "Date":
            day = datetime.datetime.combine(local.date(), datetime.time())
            self._sheet.write_datetime(self._rows, index, day, self._formats["date"])
        elif local.time().replace(microsecond=0) != _NO_CLOCK_TIME:
            self._sheet.write_datetime(self._rows, index, local.time(), self._formats["time"])
        else:
            self._sheet.write_blank(self._rows, index, None, self._formats["text"])

    def _format(self, column: _Column, value: Any) -> Any:
        if column.name == OUTCOME:
            return self._formats["to fill"]
        return self._formats.get(f"band {value}" if column.name == "band" else "", self._formats["text"])


def _columns_of(names: Sequence[str], *, has_outcome: bool) -> Iterator[_Column]:
    """The columns of the sheet for a table with these columns."""
    passed_through = [name for name in names if name not in _OWN and not is_call_column(name)]
    for header, name, width in _COLUMNS:
        if name in names:
            yield _Column(header, name, width)
        if header == APPOINTMENT:
            for each in passed_through:
                words, wide = _CONTACTS.get(each, (each, OTHER_WIDTH))
                yield _Column(words, each, wide)
    if has_outcome:
        yield _Column(HAPPENED, OUTCOME, _OUTCOME_WIDTH)


def _formats(book: Any, bands: Sequence[str]) -> dict[str, Any]:
    """The formats of the sheet by name. Every text wraps, and has a line below it that guides the eye on paper."""
    cell = {"valign": "top", "text_wrap": True, "bottom": 1, "bottom_color": "#AEB7BD"}
    left = {"align": "left", **cell}
    formats = {
        "header": {**cell, "bold": True, "font_color": "white", "bg_color": HEADER_BLUE},
        "text": {**cell, "num_format": "@"},
        "number": {**cell, "num_format": "#,##0"},
        "date": {**left, "num_format": "ddd d mmm yyyy"},
        "time": {**left, "num_format": "hh:mm"},
        "to fill": {**cell, **TO_FILL},
    } | {
        f"band {band}": {**cell, "bg_color": colour, "bold": index == 0}
        for index, (band, colour) in enumerate(zip(bands, BAND_COLOURS, strict=False))
    }
    return {name: book.add_format(settings) for name, settings in formats.items()}
