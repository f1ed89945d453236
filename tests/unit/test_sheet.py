"""A worklist as a workbook: to filter, to fill in, to print, and the same bytes on the same day."""

import dataclasses
import datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.worklist.files import excel_worklist, worklist_files
from dnapredict.worklist.files.calls_sheet import with_call_columns
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.worklist_columns import COLUMNS

NOTE = Note(
    lines=("Worklist for a & b.csv", "Never for overbooking"),
    tables=(("Bands", (("Of 100 20 or more", "High"),)),),
    day=datetime.date(2026, 11, 23),
    bands=("High", "Raised", "Usual"),
    outcomes=("Confirmed", "No answer"),
)


def rows(bands: list[str]) -> pa.Table:
    n = len(bands)
    columns: dict[str, pa.Array] = {name: pa.array([f"{name} {row}" for row in range(n)]) for name in COLUMNS}
    columns |= {
        "band": pa.array(bands),
        "probability": pa.array([0.25] * n),
        "selected": pa.array([True] * n),
    }
    columns |= {"rank": pa.array(range(1, n + 1)), "error": pa.nulls(n, pa.string())}
    return pa.table(columns)


@pytest.fixture
def book(tmp_path: Path):
    worklist_files.write_tables([rows(["High", "Usual"]), rows(["Raised"])], tmp_path / "out.xlsx", note=NOTE)
    return openpyxl.load_workbook(tmp_path / "out.xlsx")


def test_the_fixed_columns_come_first_and_a_column_to_fill_in_last(book):
    shown = list(book["Worklist"].iter_rows(values_only=True))
    assert shown[0] == (*COLUMNS, "outcome")
    assert [row[-1] for row in shown[1:]] == [None, None, None]
    assert [row[2] for row in shown[1:]] == ["High", "Usual", "Raised"]


def test_what_became_of_a_call_is_picked_from_the_agreed_words(book):
    (rule,) = book["Worklist"].data_validations.dataValidation
    assert (str(rule.sqref), rule.type, rule.formula1) == ("L2:L4", "list", '"Confirmed,No answer"')
    assert rule.showErrorMessage


def test_without_agreed_words_there_is_no_such_column(tmp_path):
    worklist_files.write_tables([rows(["High"]).select(COLUMNS)], tmp_path / "out.xlsx", note=Note(("A note",)))
    found = openpyxl.load_workbook(tmp_path / "out.xlsx")["Worklist"]
    assert [cell.value for cell in found[1]] == list(COLUMNS)


def test_it_is_ready_to_filter_and_to_print(book):
    found = book["Worklist"]
    assert (found.freeze_panes, found.auto_filter.ref) == ("B2", "A1:L4")
    assert (found.print_title_rows, found.page_setup.orientation) == ("$1:$1", "landscape")
    assert found.sheet_properties.pageSetUpPr.fitToPage
    assert "Never for overbooking" in found.oddFooter.left.text
    widths = {cell.value: found.column_dimensions[cell.column_letter].width for cell in found[1]}
    assert widths["action"] > 40 > widths["reason_1"] > 30 > widths["rank"]


def test_a_band_has_its_word_and_dark_text_on_a_light_colour(book):
    found = book["Worklist"]
    colours = {found.cell(row, 3).value: found.cell(row, 3).fill.fgColor.rgb for row in (2, 3, 4)}
    assert len(set(colours.values())) == 3
    for colour in colours.values():
        red, green, blue = (int(colour[place : place + 2], 16) for place in (2, 4, 6))
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue > 200


CALLS = """
    Place | Appointment | Surname | Date       | Time  | Clinic | Site | Chance of missing it
    1     | a-1         | Khan    | 2026-07-01 | 09:05 | ENT1   | S1   | High
    3     | a-3         |         | 2026-12-08 |       | EYE2   |      | Usual
"""


def test_it_opens_on_the_calls_with_headers_in_words_and_real_dates_by_the_clock_of_the_clinics(tmp_path):
    n = 3
    columns: dict[str, object] = {name: pa.array([None] * n, pa.string()) for name in COLUMNS}
    columns |= {
        "appointment_id": ["a-1", "a-2", "a-3"],
        "rank": [1, 2, 3],
        "selected": [True, False, True],
        "band": ["High", "Raised", "Usual"],
        "reason_1": ["Missed 2 of 5", None, None],
        "reason_2": ["Far", None, None],
        "action": ["Call"] * n,
        "Surname": ["Khan", "Ito", None],
        "outcome": [None, None, "No answer"],
    }
    # In summer 08:05 UTC is 09:05 in England; the last second of a day is a date without a clock time.
    times = [(2026, 7, 1, 8, 5), (2026, 7, 1, 8, 5), (2026, 12, 8, 23, 59, 59)]
    located = pa.table(
        {
            "starts_at": pa.array([datetime.datetime(*each) for each in times], pa.timestamp("us")),
            "clinic_code": ["ENT1", "ENT1", "EYE2"],
            "site_code": ["S1", "S1", None],
        }
    )
    worklist_files.write_tables([with_call_columns(pa.table(columns), located)], tmp_path / "out.xlsx", note=NOTE)
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    calls = book["Calls"]
    assert book.sheetnames == ["Worklist", "Calls", "About"]
    assert book.active is calls
    assert not book["Worklist"].sheet_view.tabSelected
    shown = [[_words(cell.value) for cell in row] for row in calls.iter_rows()]
    assert [row[:8] for row in shown] == [
        [cell.strip() for cell in line.split("|")] for line in CALLS.strip().splitlines()
    ]
    assert [row[8:] for row in shown] == [
        ["Why", "What to offer", "What happened"],
        ["Missed 2 of 5; Far", "Call", ""],
        ["Nothing stands out", "Call", "No answer"],
    ]
    assert calls["D2"].is_date
    assert calls["D2"].number_format == "ddd d mmm yyyy"
    assert [cell.value for cell in book["Worklist"][1]] == [*COLUMNS, "Surname", "outcome"]


def _words(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if isinstance(value, datetime.time):
        return f"{value:%H:%M}"
    return "" if value is None else str(value).replace("\n", "; ")


def test_the_calls_print_on_a4_landscape_in_one_width_with_the_header_on_each_page(book):
    calls = book["Calls"]
    assert (calls.print_title_rows, calls.page_setup.orientation) == ("$1:$1", "landscape")
    assert (calls.page_setup.paperSize, calls.page_setup.fitToHeight) == (9, 0)
    assert calls.sheet_properties.pageSetUpPr.fitToPage
    assert calls.oddFooter.right.text == "Page &P of &N"
    # A text that does not wrap is printed over the empty cells beside it.
    for sheet in (calls, book["Worklist"]):
        assert all(cell.alignment.wrap_text for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str))


def test_a_long_name_of_a_list_is_not_printed_over_what_stands_to_the_right_of_it(tmp_path):
    long = dataclasses.replace(NOTE, title="Worklist for " + "a long name " * 8)
    worklist_files.write_tables([rows(["High"])], tmp_path / "out.xlsx", note=long)
    header = openpyxl.load_workbook(tmp_path / "out.xlsx")["Calls"].oddHeader
    assert (len(header.left.text), header.left.text[-1]) == (60, "…")


def test_a_list_without_calls_opens_on_the_whole_list(tmp_path):
    none = rows(["High"]).drop_columns(["selected"]).append_column("selected", pa.array([False]))
    worklist_files.write_tables([none.select(COLUMNS)], tmp_path / "out.xlsx", note=NOTE)
    assert openpyxl.load_workbook(tmp_path / "out.xlsx").active.title == "Worklist"


def test_the_note_has_a_sheet_of_its_own(book):
    told = [row[0] for row in book["About"].iter_rows(values_only=True)]
    assert told[:2] == ["Worklist for a & b.csv", "Never for overbooking"]
    assert "Of 100 20 or more" in told


def test_a_list_that_no_sheet_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(excel_worklist, "_MOST_SHEET_ROWS", 2)
    with pytest.raises(Exception, match=r"A sheet holds 2 rows and the list has more: write it as \.csv"):
        worklist_files.write_tables([rows(["High", "High"]), rows(["High"])], tmp_path / "out.xlsx", note=NOTE)
    assert list(tmp_path.iterdir()) == []


def test_choices_that_a_spreadsheet_cannot_offer_are_refused():
    shipped_ = load(shipped("serving/worklist.toml"), WorklistConfig).model_dump()
    for outcomes in (("Rang, no answer",), ("x" * 100, "y" * 100, "z" * 100)):
        with pytest.raises(ValueError, match="as a spreadsheet wants"):
            WorklistConfig.model_validate(shipped_ | {"outcomes": outcomes})


def test_what_was_recorded_stands_in_the_column_to_fill_in_and_the_rest_is_empty(tmp_path):
    recorded = rows(["High", "Usual"]).append_column("outcome", pa.array(["No answer", None]))
    worklist_files.write_tables([recorded], tmp_path / "out.xlsx", note=NOTE)
    found = openpyxl.load_workbook(tmp_path / "out.xlsx")["Worklist"]
    assert [cell.value for cell in found["L"]] == ["outcome", "No answer", None]
    assert found.max_column == 12
    (rule,) = found.data_validations.dataValidation
    assert str(rule.sqref) == "L2:L3"
    assert found["L2"].fill.fgColor.rgb == found["L3"].fill.fgColor.rgb == "FFF0F4F5"
