"""Files of every form: row numbers as a person counts, limits before memory is spent, nothing left behind."""

import gzip
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.readers.file_type import EXTRACT, WORKBOOK
from dnapredict.errors import DataError

HEADER = "id,name,note\n"


def written(folder: Path, content: str | bytes, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(path: Path, **options) -> list[dict[str, object]]:
    with Workspace() as workspace:
        table = table_file.read(path, workspace, **options)
        return workspace.backend.to_pyarrow(table).to_pylist()


def numbers(path: Path) -> list[tuple[object, object]]:
    return [(row["row_number"], row["id"]) for row in rows(path)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER + "a,1,x\nb,2,y\n", [(2, "a"), (3, "b")]),
        ("A title\n\n" + HEADER + "a,1,x\n", [(4, "a")]),
        (HEADER + "a,1,x\n\n\nb,2,y\n", [(2, "a"), (5, "b")]),
        (HEADER + "a,1,x\n,,\nb,2,y\n", [(2, "a"), (4, "b")]),
        (HEADER + 'a,1,"x\n\ny"\nb,2,y\n', [(2, "a"), (3, "b")]),
        (HEADER + 'a,1,5" x\n\nb,2,y\n', [(2, "a"), (4, "b")]),
        ((HEADER + "a,1,x\n\nb,2,y\n").replace("\n", "\r"), [(2, "a"), (4, "b")]),
        ((HEADER + "a,1,x\n\nb,2,y\n").replace("\n", "\r\n"), [(2, "a"), (4, "b")]),
    ],
)
def test_rows_keep_the_number_that_a_person_sees(content, expected, tmp_path):
    assert numbers(written(tmp_path, content)) == expected


def test_rows_keep_their_numbers_where_several_threads_read(tmp_path):
    count = 400_000
    lines = "".join(f"{number},{'n' * (number % 50)},x\n" for number in range(2, count + 2))
    path = written(tmp_path, HEADER + lines)
    with Workspace() as workspace:
        table = workspace.backend.to_pyarrow(table_file.read(path, workspace))
    assert table.num_rows == count
    assert pc.all(pc.equal(table["row_number"], table["id"].cast(pa.int64()))).as_py()


def test_a_comma_too_many_is_the_rows_fault_and_a_comma_at_the_end_is_none(tmp_path):
    found = rows(written(tmp_path, HEADER + "a,1,x\nb,Smith, J,x\nc,3,x,,\n"))
    assert [row["row_fault"] for row in found] == [None, "more_cells_than_columns", None]


def test_cells_are_as_they_stand_and_an_error_of_a_sheet_is_nothing(tmp_path):
    (row,) = rows(written(tmp_path, HEADER + '003,"O""Neill, S",#N/A\n'))
    assert (row["id"], row["name"], row["note"]) == ("003", 'O"Neill, S', None)


@pytest.mark.parametrize("written_as", ['"=""{}"""', '="{}"'])
def test_a_text_that_an_export_keeps_from_excel_by_a_formula_is_that_text(written_as, tmp_path):
    formulas = ["0123", "", "a b"]
    content = HEADER + "".join(f"{written_as.format(text)},n,=1+1\n" for text in formulas) + '="a"&"b",n,5" scar\n'
    found = rows(written(tmp_path, content))
    assert [row["id"] for row in found] == ["0123", None, "a b", '="a"&"b"']
    assert {row["note"] for row in found} == {"=1+1", '5" scar'}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_encoding_gives_the_same_text_and_leaves_no_copy(encoding, packed, tmp_path):
    content = (HEADER + "a,Siân,€5\n").encode(encoding)
    path = written(tmp_path, gzip.compress(content) if packed else content)
    with Workspace() as workspace:
        table = workspace.backend.to_pyarrow(table_file.read(path, workspace))
        another = workspace.new_file()
        left = [path for path in another.parent.iterdir() if path != another]
    assert (table["name"].to_pylist(), table["note"].to_pylist()) == (["Siân"], ["€5"])
    assert left == []
    assert path.exists()


def test_a_letter_on_the_edge_of_two_pieces_is_read_whole(tmp_path):
    padding = "x" * (4 * 1_048_576 - len(HEADER) - len("a,") - 1)
    (row,) = rows(written(tmp_path, HEADER + f"a,{padding}é,y\n"))
    assert row["name"] == padding + "é"


def test_what_is_unusual_is_told_in_a_sentence_and_the_usual_is_not(tmp_path):
    told: list[str] = []
    rows(written(tmp_path, HEADER + "a,1,x\n"), tell=told.append)
    assert told == []
    odd = ("A title\n" + HEADER + "a,1,ü\n").replace(",", ";").encode("cp1252")
    rows(written(tmp_path, odd), tell=told.append)
    (sentence,) = told
    assert sentence.startswith("list.csv: it is in Windows-1252; cells are separated by semicolons; ")
    assert sentence.endswith("row 1 is a title and row 2 is the header.")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(EXTRACT, file_bytes=10), "is larger than"),
        (replace(EXTRACT, rows=2), "more than 2 rows"),
        (replace(EXTRACT, columns=2), "has 3 columns, and may have 2"),
    ],
)
def test_a_limit_refuses_text_and_parquet_alike(limits, reason, tmp_path):
    text = written(tmp_path, HEADER + "a,1,x\n" * 3)
    table = tmp_path / "list.parquet"
    pq.write_table(pa.table({name: ["a"] * 3 for name in ("id", "name", "note")}), table)
    for path in (text, table):
        with pytest.raises(DataError, match=reason):
            rows(path, limits=limits)


def test_a_compressed_file_is_stopped_while_it_grows_and_an_archive_before(tmp_path):
    small = replace(EXTRACT, expanded_bytes=100)
    with pytest.raises(DataError, match="unpacks to more than"):
        rows(written(tmp_path, gzip.compress((HEADER + "a,1,x\n" * 100).encode())), limits=small)
    book = tmp_path / "list.xlsx"
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 2_000_000)
    with pytest.raises(DataError, match="100 times its size"):
        rows(book, limits=WORKBOOK)


def test_a_column_that_has_our_names_is_called_by_its_place_or_left(tmp_path):
    (row,) = rows(written(tmp_path, "id,Row_Number,row_fault\na,77,x\n"))
    assert row == {"row_number": 2, "row_fault": None, "id": "a", "column_2": "77", "column_3": "x"}
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"id": ["a"], "row_number": [77]}), path)
    assert rows(path) == [{"row_number": 1, "id": "a"}]


def test_a_folder_and_a_missing_file_are_said_to_be_that(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        rows(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        rows(tmp_path / "list.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_the_columns_of_a_text_are_known_without_its_rows(encoding, tmp_path):
    path = tmp_path / "list.csv"
    rows = "".join(f"a{n},2025-02-01,café\n" for n in range(10_000))
    path.write_bytes(f'Clinic list\nid,starts,clínica\n{rows}b,"never closed,x\nc,d,e\n'.encode(encoding))
    with Workspace() as workspace:
        assert table_file.columns(path, workspace) == ("id", "starts", "clínica")
        with pytest.raises(DataError, match="quote"):
            table_file.read(path, workspace)


def test_the_columns_of_other_forms_are_those_that_are_read(tmp_path):
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"appointment_id": ["a"], "age_years": [40]}), path)
    with Workspace() as workspace:
        assert set(table_file.columns(path, workspace)) >= {"appointment_id", "age_years"}
