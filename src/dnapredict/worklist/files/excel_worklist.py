"""A worklist as a workbook for filtering, filling in and printing, with a note as its last sheet.

The workbook opens on the sheet `Calls`: the calls to make, in words (see `calls_sheet`). The first sheet is `Worklist`,
because programs read the first sheet of a workbook: it has every row, the columns of every worklist, the passthrough
columns, and last a column `outcome` with a drop-down, filled in only where an outcome was recorded. The sheet `About`
has the permitted and prohibited use, the origin of the model, and its limitations. A hidden sheet has the id of the
list and the recorded outcomes, so that a filled workbook can be given back (see `filled_workbook`).
"""

import datetime
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import xlsxwriter

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.spreadsheet_formulas import neutral
from dnapredict.errors import UsageError
from dnapredict.worklist.files.calls_sheet import (
    BAND_COLOURS,
    HEADER_BLUE,
    OTHER_WIDTH,
    TO_FILL,
    CallsSheet,
    is_call_column,
    outcome_choices,
    page_setup,
)
from dnapredict.worklist.files.worklist_columns import OUTCOME

if TYPE_CHECKING:
    # For its types only: a workbook is written without LightGBM and scikit-learn.
    from dnapredict.model.artefact import Provenance

RETURN_SHEET: Final = "dnapredict"
"""The hidden sheet: the list's id in its first cell, then an appointment, its outcome and the time of it a row."""
_WIDTHS: Final = {
    "appointment_id": 18,
    "probability": 11,
    "band": 10,
    "rank": 7,
    "selected": 9,
    "action": 46,
    "model_version": 8,
    "error": 40,
    OUTCOME: 18,
}
_REASON_WIDTH: Final = 34
_MOST_SHEET_ROWS: Final = 1_048_575


@dataclass(frozen=True)
class RecordedBefore:
    """The list and the recorded outcomes of a workbook, so that it can be given back filled.

    Attributes
    ----------
    list_id
        The id of the kept list.
    outcomes
        By appointment, the recorded outcome in words and its time (ISO format), as they were at the download.
    """

    list_id: str
    outcomes: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """The note of a worklist: lines of text, and titled tables.

    Attributes
    ----------
    day
        On which the list was scored.
    bands
        Names, from the highest risk down.
    outcomes
        The outcomes of a call; without any there is no column `outcome`.
    timezone
        That of the clinics, by whose clock dates and times are written.
    sites
        Code of each site whose name and address are known, and those in words.
    """

    lines: tuple[str, ...]
    tables: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = ()
    day: datetime.date | None = None
    bands: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    title: str = field(default="Worklist")
    timezone: str = "Europe/London"
    sites: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def with_notices(self, notices: Iterable[str]) -> "Note":
        """The same note, beginning with the limitations of this list."""
        return replace(self, lines=(*notices, *self.lines))


def write_sheet(
    tables: Iterable[pa.Table], draft: Path | io.BytesIO, *, note: Note, recorded_before: RecordedBefore | None = None
) -> None:
    """Write a stream of `tables` to the workbook `draft`: every row, the calls to make, and the `note`.

    Columns of `tables` that `calls_sheet` names are on the sheet of calls only. To a `draft` in memory, nothing is
    written to a disk.

    Raises
    ------
    UsageError
        If there are more rows than a sheet holds.
    """
    options = _place(draft) | {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(draft if isinstance(draft, io.BytesIO) else str(draft), options) as book:
        # Without a fixed date a workbook records the second of writing, and no two files are equal.
        day = note.day or datetime.date(2000, 1, 1)
        created = datetime.datetime(day.year, day.month, day.day)
        book.set_properties({"title": note.title, "comments": str(note), "created": created})
        worklist = _WorklistSheet(book, note)
        calls = CallsSheet(
            book,
            title=note.title,
            bands=note.bands,
            outcomes=note.outcomes,
            timezone=note.timezone,
            sites=note.sites,
        )
        for table in tables:
            worklist.add(table.select([name for name in table.column_names if not is_call_column(name)]))
            calls.add(table)
        worklist.finish()
        calls.finish()
        _write_about(book, note)
        if recorded_before is not None:
            _write_recorded(book, recorded_before)


def _place(draft: Path | io.BytesIO) -> dict[str, object]:
    """The folder for rows until the workbook is complete. They can contain patients' names.

    For a file it is the folder of the draft, which is removed with it. In the system's temporary folder, a killed
    process would leave the rows behind.
    """
    return {"in_memory": True} if isinstance(draft, io.BytesIO) else {"constant_memory": True, "tmpdir": draft.parent}


class _WorklistSheet:
    """The sheet of every row, under the names that programs read."""

    def __init__(self, book: Any, note: Note) -> None:
        self._note = note
        self._sheet = book.add_worksheet("Worklist")
        self._names: list[str] = []
        self._rows = 0
        # A text that does not wrap is printed over the empty cells beside it.
        top = {"valign": "top", "text_wrap": True}
        self._header = book.add_format({"bold": True, "font_color": "white", "bg_color": HEADER_BLUE, **top})
        self._plain = book.add_format(top)
        # A telephone number stays a text, with its sign, when somebody edits the cell.
        self._text = book.add_format({"num_format": "@", **top})
        self._percent = book.add_format({"num_format": "0.0%", **top})
        self._to_fill = book.add_format(TO_FILL | top)
        self._bands = {
            band: book.add_format({"bg_color": colour, "bold": index == 0, **top})
            for index, (band, colour) in enumerate(zip(note.bands, BAND_COLOURS, strict=False))
        }

    def add(self, table: pa.Table) -> None:
        """Write the rows of `table` below those before.

        Raises
        ------
        UsageError
            If the sheet is full.
        """
        if not self._names:
            self._names = self._write_header(table.column_names)
        if self._rows + table.num_rows > _MOST_SHEET_ROWS:
            raise UsageError(f"A sheet holds {_MOST_SHEET_ROWS:,} rows and the list has more: write it as .csv.")
        for values in _rows(table):
            self._rows += 1
            self._write(self._rows, self._names, values)

    def _write_header(self, columns: list[str]) -> list[str]:
        has_outcome = OUTCOME in columns or not self._note.outcomes
        names = [*columns, *([] if has_outcome else [OUTCOME])]
        for index, name in enumerate(names):
            self._sheet.set_column(index, index, _width(name), self._format(name, None))
            self._sheet.write_string(0, index, name, self._header)
        self._sheet.freeze_panes(1, 1)
        return names

    def _write(self, row: int, names: list[str], values: tuple[Any, ...]) -> None:
        for index, (name, value) in enumerate(zip(names, values, strict=False)):
            if value is None:
                continue
            cell_format = self._format(name, value)
            if isinstance(value, bool):
                self._sheet.write_boolean(row, index, value, cell_format)
            elif isinstance(value, str):
                self._sheet.write_string(row, index, value, cell_format)
            else:
                self._sheet.write_number(row, index, value, cell_format)
        if self._note.outcomes and (len(values) < len(names) or values[-1] is None):
            self._sheet.write_blank(row, len(names) - 1, None, self._to_fill)

    def _format(self, name: str, value: Any) -> Any:
        if name == OUTCOME and value is not None:
            return self._to_fill
        if name == "probability":
            return self._percent
        if name == "band" and value in self._bands:
            return self._bands[value]
        return self._text if isinstance(value, str) and value.startswith(("+", "-")) else self._plain

    def finish(self) -> None:
        """The settings that depend on the number of rows."""
        last = len(self._names) - 1
        self._sheet.autofilter(0, 0, self._rows, last)
        if self._note.outcomes and self._rows:
            self._sheet.data_validation(1, last, self._rows, last, outcome_choices(self._note.outcomes))
        page_setup(self._sheet, title=self._note.title)


def _write_recorded(book: Any, recorded: RecordedBefore) -> None:
    """The hidden sheet: the id of the list, and what was recorded by the time of the download."""
    sheet = book.add_worksheet(RETURN_SHEET)
    sheet.write_row(0, 0, (recorded.list_id, "The list of this workbook and its recorded outcomes: do not change"))
    for row, (appointment, outcome) in enumerate(recorded.outcomes.items(), start=1):
        for column, text in enumerate((neutral(appointment, workbook=True), *outcome)):
            sheet.write_string(row, column, text)
    sheet.hide()


def _write_about(book: Any, note: Note) -> None:
    """The sheet about the list."""
    sheet = book.add_worksheet("About")
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    bold = book.add_format({"text_wrap": True, "valign": "top", "bold": True})
    sheet.set_column(0, 0, 60, wrapped)
    sheet.set_column(1, 3, 24, wrapped)
    row = 0
    for line in note.lines:
        sheet.merge_range(row, 0, row, 3, line, bold if row == 0 else wrapped)
        sheet.set_row(row, 15 * (1 + len(line) // 115))
        row += 1
    for title, lines in note.tables:
        sheet.write_string(row + 1, 0, title, bold)
        for cells in lines:
            for index, cell in enumerate(cells):
                sheet.write_string(row + 2, index, cell, wrapped)
            row += 1
        row += 2
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)


def _width(name: str) -> int:
    return _REASON_WIDTH if name.startswith("reason_") else _WIDTHS.get(name, OTHER_WIDTH)


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


_USE = (
    "Use: offer patients who may miss their appointment a call, transport, an interpreter, another time.",
    "Never for overbooking, discharge, delaying or withholding care.",
    "A risk is linked with what is recorded; it says nothing about why a person misses an appointment.",
    (
        "Limits: most patients on the list will come, those with a high risk among them; some who are not "
        "called will not. A patient whose history is not kept here counts as new."
    ),
    "The file holds data about patients. Keep it as such, and remove it once the list is worked through.",
)


def note_of(
    name: str,
    *,
    day: datetime.date,
    model_version: str,
    provenance: "Provenance",
    config: WorklistConfig,
    unknown: Sequence[str] = (),
) -> Note:
    """The note of the list called `name`, scored on `day`.

    `unknown` are factors of the model that the list could not feed.
    """
    needs = tuple((need.said, need.kind or "confirm", need.evidence) for need in config.needs)
    synthetic = ("SYNTHETIC: made-up patients, for demonstration only.",) if provenance.synthetic else ()
    trained_on = f"{_day(provenance.data_from)} to {_day(provenance.data_to)}"
    missing = f"The list lacks columns for: {', '.join(unknown)}. They counted as not known."
    return Note(
        lines=(
            *synthetic,
            f"Worklist for {name}, model version {model_version}, scored on {_day(day)}.",
            *_USE,
            f"The model learned from appointments of {trained_on}.",
            *((missing,) if unknown else ()),
            *_rules(config),
        ),
        tables=(
            ("Bands", _bands(config)),
            ("What is offered, and what is known of its effect on missed appointments", _offers(config)),
            *((("What a patient needs, whatever the reasons are", needs),) if config.needs else ()),
        ),
        day=day,
        bands=tuple(band.name for band in config.bands),
        outcomes=config.outcomes,
        title=f"Worklist for {name}",
        sites=tuple((site.code, site.words) for site in config.sites),
    )


def _rules(config: WorklistConfig) -> Iterator[str]:
    """The calls to make, the meaning of the action, and who is not called."""
    yield (
        "The sheet 'Calls' has the calls to make. The sheet 'Worklist' has every row of the list; the calls are the "
        "rows with TRUE in 'selected'. One call is about all appointments of a patient that are near to each other."
    )
    if config.call_working_days_before is not None:
        yield f"A call is due {config.call_working_days_before} working days before the appointment."
    if config.mute_days:
        days = config.mute_days
        yield f"A patient who was reached is not called again for the same clinic within {days} days."
    yield "A patient who asked not to be called is not called."
    if config.outcomes:
        yield "Choose the outcome of each call in the last column, and give the workbook back on the page of the list."


def _bands(config: WorklistConfig) -> tuple[tuple[str, ...], ...]:
    return tuple((band.meaning or f"From {band.from_probability:.0%}", band.name) for band in config.bands)


def _offers(config: WorklistConfig) -> tuple[tuple[str, ...], ...]:
    return tuple((action.do, action.kind, action.evidence) for action in config.actions)


def _day(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"
