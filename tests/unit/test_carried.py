"""Columns that a worklist carries through: untouched, after its own, and never where they would be run."""

from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dnapredict.errors import ConfigurationError, DataError
from dnapredict.lists import files
from dnapredict.lists.answers import COLUMNS
from dnapredict.lists.carried import carried

LIST = pa.table(
    {
        "row_number": pa.array([2, 3, 4], pa.int64()),
        "Surname": ["Marked One", "=1+1", None],
        "Phone": ["07700 900001", "+44 7700 900002", "07700 900003"],
    }
)
# In rank order, which is not the order of the list.
WORKLIST = pa.table(
    {name: pa.array([f"{name} {row}" for row in (4, 2, 3)]) for name in COLUMNS}
    | {"row_number": pa.array([4, 2, 3], pa.int64())}
)


def written(folder: Path, name: str, names: list[str]) -> Path:
    out = folder / name
    files.write(WORKLIST, out, note="n", carried=carried(LIST, names, source="list.csv"))
    return out


def test_carried_columns_follow_the_worklists_own_and_each_its_row(tmp_path: Path):
    table = pq.read_table(written(tmp_path, "out.parquet", ["Phone", "Surname"]))
    assert table.column_names == [*COLUMNS, "Phone", "Surname"]
    assert table["Surname"].to_pylist() == [None, "Marked One", "=1+1"]
    assert table["Phone"].to_pylist() == ["07700 900003", "07700 900001", "+44 7700 900002"]


def test_what_a_spreadsheet_would_run_is_made_text(tmp_path: Path):
    csv = pa_csv.read_csv(
        written(tmp_path, "out.csv", ["Surname", "Phone"]),
        convert_options=pa_csv.ConvertOptions(column_types={"Phone": pa.string()}),
    )
    assert csv["Surname"].to_pylist()[1:] == ["Marked One", "'=1+1"]
    assert csv["Phone"].to_pylist()[2] == "'+44 7700 900002"
    sheet = openpyxl.load_workbook(written(tmp_path, "out.xlsx", ["Surname"]))["Worklist"]
    assert [row[-1] for row in sheet.iter_rows(values_only=True)] == ["Surname", None, "Marked One", "'=1+1"]


def test_nothing_is_carried_unless_it_is_asked_for(tmp_path: Path):
    assert pq.read_table(written(tmp_path, "out.parquet", [])).column_names == list(COLUMNS)


def test_a_column_that_the_list_lacks_is_named_with_those_it_has():
    with pytest.raises(DataError, match=r"list.csv: column 'Name', .* missing. The file has: Surname, Phone"):
        carried(LIST, ["Name"], source="list.csv")


def test_a_column_of_the_worklists_own_cannot_be_carried_over_it():
    with pytest.raises(ConfigurationError, match="'rank' is a column that every worklist has"):
        carried(LIST, ["rank"], source="list.csv")
