"""No cell and no column name of a file that is written runs as a formula, whichever door it leaves by."""

import csv
import io
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.data.spreadsheet_formulas import neutral, neutral_table
from dnapredict.fairness.report.csv_tables import csv_text
from dnapredict.worklist.files import worklist_files
from dnapredict.worklist.files.excel_worklist import Note

SIGNS = (
    "=",
    "+",
    "-",
    "@",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\ufe66",
    "\ufe62",
    "\ufe63",
    "\ufe6b",
    "\u2212",
)
BEFORE = (
    "",
    " ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\u3000",
    " \u200b\u00a0 ",
    "\x00",
    "\u2060",
)
RISKY = [f"{before}{sign}SUM(A1)" for before in BEFORE for sign in SIGNS]
PHONES = ("+44 7700 900123", "+447700900123", "+44 (0)7700 900-123", "-5", "-0.3")


def written(folder: Path, ending: str, **columns: list[object]) -> list[tuple[object, ...]]:
    """The rows of a worklist's file as another program reads them."""
    out = folder / f"out{ending}"
    worklist_files.write_tables([pa.table(columns)], out, note=Note(("A note",)))
    if ending == ".xlsx":
        return list(openpyxl.load_workbook(out)["Worklist"].iter_rows(values_only=True))
    with out.open(encoding="utf-8", newline="") as text:
        return [tuple(row) for row in csv.reader(text)]


def is_run(cell: object) -> bool:
    """Whether a spreadsheet would work it out, as the test for itself defines it."""
    bare = str(cell).lstrip("".join(BEFORE))
    return bare.startswith(SIGNS) or str(cell).startswith(("\t", "\r", "\n"))


def test_a_cell_that_begins_with_any_such_sign_is_made_text_in_csv(tmp_path: Path):
    found = written(tmp_path, ".csv", Surname=RISKY)[1:]
    assert [row[0] for row in found] == [f"'{text}" for text in RISKY]


def test_a_column_name_that_begins_so_is_made_text_too(tmp_path: Path):
    for ending in (".csv", ".xlsx"):
        (header, _) = written(tmp_path, ending, **{"=1+1": ["a"], " \uff1dx": ["b"], "Phone": ["c"]})
        assert header == ("'=1+1", "' \uff1dx", "Phone")


def test_a_telephone_number_keeps_its_sign_in_a_workbook_and_is_text(tmp_path: Path):
    rows = written(tmp_path, ".xlsx", Phone=list(PHONES))
    assert [row[0] for row in rows[1:]] == list(PHONES)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx")["Worklist"]
    assert {(cell.data_type, cell.number_format) for cell in sheet["A"][1:]} == {("s", "@")}


def test_a_telephone_number_has_an_apostrophe_in_csv_which_would_lose_its_sign_otherwise(tmp_path: Path):
    found = written(tmp_path, ".csv", Phone=list(PHONES))[1:]
    assert [row[0] for row in found] == [f"'{phone}" for phone in PHONES]


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_number_stays_a_number(tmp_path: Path, ending: str):
    (row,) = written(tmp_path, ending, change=[-0.3], count=[-5])[1:]
    assert [float(cell) for cell in row] == [-0.3, -5.0]


def test_what_could_be_run_is_text_in_a_workbook_as_well(tmp_path: Path):
    rows = written(tmp_path, ".xlsx", Surname=["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\uff1d1"])
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+cmd|' /C calc'!A0", "'-2+3", "'@SUM(A1)", "'\uff1d1"]


def test_the_figures_of_an_audit_are_written_by_the_same_rule():
    rows = list(csv.reader(io.StringIO(csv_text([["=group", "n"], *([text, -0.5] for text in RISKY)]), newline="")))
    ends = [text.replace("\r\n", "\n").replace("\r", "\n") for text in RISKY]
    assert [row[0] for row in rows] == ["'=group", *(f"'{text}" for text in ends)]
    assert {row[1] for row in rows[1:]} == {"-0.5"}


@given(st.lists(st.text(max_size=8) | st.text("=+-@ \t\r\n\u00a0\u200b\ufeff\uff1d1a.", max_size=6), max_size=50))
def test_text_by_text_and_column_by_column_are_one_rule(texts: list[str]):
    for workbook in (False, True):
        table = neutral_table(pa.table({"a": pa.array(texts, pa.string())}), workbook=workbook)
        assert table["a"].to_pylist() == [neutral(text, workbook=workbook) for text in texts]
    assert not any(is_run(neutral(text)) for text in texts)
