"""How a text is laid out: its separator, its titles, its header."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.data.readers.csv_dialect import Dialect, header_row, sniff
from dnapredict.data.readers.csv_normalise import scan
from dnapredict.errors import DataError

HEADER = ["Id", "Booked", "Starts", "Clinic"]
PATIENT = ["QZX1", "2025-01-02", "2025-02-01 09:30", "ENT"]


def laid_out(text: str, folder: Path) -> Dialect:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return sniff(path, name=path)


@pytest.mark.parametrize(
    ("text", "separator", "row"),
    [
        ("Id,Booked,Note\na,2025-01-02,x\n", ",", 1),
        ("Id;Booked;Note\na;2025-01-02;1,5\nb;2025-01-02;2,5\n", ";", 1),
        ("Clinics, by week, of the trust, all of them, in order\nId|Booked\na|2025-01-02\n", "|", 2),
        ("Id\tBooked\tNote\na\t2025-01-02\tone, two, three\n", "\t", 1),
        ("sep=;\nId;Booked\na;2025-01-02\n", ";", 2),
        ('"A title\nof two lines"\nId,Booked\na,2025-01-02\n', ",", 2),
    ],
)
def test_separator_and_header_are_found_by_what_explains_the_rows(text, separator, row, tmp_path):
    found = laid_out(text, tmp_path)
    assert (found.delimiter, found.header_row, found.columns[0]) == (separator, row, "Id")


def test_a_first_patient_is_never_taken_for_a_header(tmp_path):
    assert header_row([PATIENT, PATIENT]) is None
    with pytest.raises(DataError, match="no header row") as refusal:
        laid_out(",".join(PATIENT) + "\n", tmp_path)
    assert "QZX" not in str(refusal.value)


def test_titles_of_a_few_cells_are_passed_over_and_thirty_rows_are_looked_at():
    assert header_row([["Clinic", "ENT", "", ""], HEADER, PATIENT]) == 1
    assert header_row([*[["Note"]] * 29, HEADER, PATIENT]) == 29
    assert header_row([*[["Note"]] * 30, HEADER, PATIENT]) is None


def test_names_are_told_apart_in_any_case_and_spaces_are_put_in_order(tmp_path):
    assert laid_out('" Booked\n  at ",,Id,Site\na,b,c,d\n', tmp_path).columns == (
        *("Booked at", "column_2", "Id", "Site"),
    )
    with pytest.raises(DataError, match="names a column twice"):
        laid_out("Id,Age,age\na,b,c\n", tmp_path)


CELL = st.text(st.sampled_from('a,"\n\r ;'), max_size=6)


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_a_line_is_only_called_a_row_where_the_rules_of_quoting_make_it_one(tmp_path_factory, cells, end):
    path = tmp_path_factory.mktemp("scan") / "list.csv"
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    path.write_bytes("".join(line + end for line in lines).encode())
    found = scan(path, delimiter=",", name=path)
    assert not found.strays
    assert found.quoted_breaks == any("\n" in cell for row in cells for cell in row)
    if found.line_is_row:
        assert found.lines == len(cells)
