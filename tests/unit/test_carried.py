"""Columns that a worklist carries through: untouched, after its own, and never where they would be run."""

import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.errors import ConfigurationError, DataError
from dnapredict.worklist.files import worklist_files
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.worklist_columns import COLUMNS
from dnapredict.worklist.files.worklist_files import require_passthrough
from dnapredict.worklist.plan.call_plan import CallPlan
from dnapredict.worklist.plan.ranking import RANKING_COLUMNS
from dnapredict.worklist.predictions import PREDICTION_SCHEMA, PredictionsOnDisk, Worklist, file_columns

READ = pa.table(
    {
        "row_number": pa.array([2, 3, 4, 5], pa.int64()),
        "Surname": ["Marked One", "=1+1", None, "Refused"],
        "Phone": ["07700 900001", "+44 7700 900002", "07700 900003", "07700 900004"],
        "clinic_code": ["C1", "C2", "C3", "C4"],
    }
)
LISTED = pa.table(
    {
        "row_number": pa.array([2, 3, 4], pa.int64()),
        "appointment_id": ["a2", "a3", "a4"],
        "starts_at": [datetime.datetime(2026, 11, 30)] * 3,
        "booked_at": [datetime.datetime(2026, 11, 2)] * 3,
        "clinic_code": ["C1", "C2", "C3"],
        "site_code": ["S"] * 3,
    }
    | {name: pa.nulls(3) for name in RANKING_COLUMNS if name not in ("clinic_code", "site_code")}
)
JUDGEMENT = pa.Table.from_pylist([{"row_number": row, "probability": row / 10} for row in (2, 3, 4)], PREDICTION_SCHEMA)
# In rank order, which is not the order of the list.
PLAN = CallPlan(
    pa.table(
        {
            "rank": pa.array([2, 3, 1], pa.int64()),
            "selected": [False, False, True],
            "band": ["High"] * 3,
            "action": ["Call"] * 3,
        }
    ),
    call_by=np.array([], dtype="datetime64[D]"),
)
REJECTED = pa.table({"row_number": [5], "appointment_id": ["a5"], "rule": ["no_booked_at"]})


def written(folder: Path, name: str, names: list[str]) -> Path:
    part, out = folder / "part.parquet", folder / name
    pq.write_table(JUDGEMENT, part)
    with Workspace() as workspace:
        predictions = PredictionsOnDisk(
            workspace,
            sound=workspace.keep(LISTED).get_name(),
            read=workspace.keep(READ).get_name(),
            parts=[part],
            passthrough=tuple(names),
        )
        worklist = Worklist(predictions, PLAN, REJECTED, "7")
        tables = (file_columns(table, passthrough=names) for table in worklist.tables())
        worklist_files.write_tables(tables, out, note=Note(("n",)))
    return out


def test_carried_columns_follow_the_worklists_own_and_each_its_row(tmp_path: Path):
    table = pq.read_table(written(tmp_path, "out.parquet", ["Phone", "Surname"]))
    assert table.column_names == [*COLUMNS, "Phone", "Surname"]
    assert table["appointment_id"].to_pylist() == ["a4", "a2", "a3", "a5"]
    assert table["Surname"].to_pylist() == [None, "Marked One", "=1+1", "Refused"]
    assert table["Phone"].to_pylist() == ["07700 900003", "07700 900001", "+44 7700 900002", "07700 900004"]


def test_a_column_that_the_page_shows_too_can_be_carried(tmp_path: Path):
    table = pq.read_table(written(tmp_path, "out.parquet", ["clinic_code"]))
    assert table["clinic_code"].to_pylist() == ["C3", "C1", "C2", "C4"]


def test_what_a_spreadsheet_would_run_is_made_text(tmp_path: Path):
    csv = pa_csv.read_csv(
        written(tmp_path, "out.csv", ["Surname", "Phone"]),
        convert_options=pa_csv.ConvertOptions(column_types={"Phone": pa.string()}),
    )
    assert csv["Surname"].to_pylist()[1:] == ["Marked One", "'=1+1", "Refused"]
    assert csv["Phone"].to_pylist()[2] == "'+44 7700 900002"
    sheet = openpyxl.load_workbook(written(tmp_path, "out.xlsx", ["Surname"]))["Worklist"]
    place = len(COLUMNS)
    shown = [row[place] for row in sheet.iter_rows(values_only=True)]
    assert shown == ["Surname", None, "Marked One", "'=1+1", "Refused"]


def test_nothing_is_carried_unless_it_is_asked_for(tmp_path: Path):
    assert pq.read_table(written(tmp_path, "out.parquet", [])).column_names == list(COLUMNS)


def test_a_column_that_the_list_lacks_is_named_with_those_it_has():
    found = ["row_number", "Surname", "Phone"]
    with pytest.raises(DataError, match=r"list.csv: column 'Name', .* missing. The file has: Surname, Phone"):
        require_passthrough(found, ["Name"], source="list.csv")


def test_a_column_of_the_worklists_own_cannot_be_carried_over_it():
    with pytest.raises(ConfigurationError, match="'rank' is a column that every worklist has"):
        require_passthrough(["Surname"], ["rank"], source="list.csv")
