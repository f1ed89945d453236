"""The first row of a list without a header is a patient's: no message repeats it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.nasty_lists import HEADERLESS, MARK

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.file_joins import missing_column
from dnapredict.data.mapping.suggestion import suggest
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import describe_columns, looks_like_header, printable_name
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError
from dnapredict.worklist.files.worklist_files import require_passthrough

DATA_ROWS = (
    "Smith,John,F,LS1 4AP,Cardiology,DNA",
    "Jones,Attended,No,Telephone,Interpreter,Medium",
    "Khan,Booked,GP,Routine,Female,Urgent",
    "2-Jan-2025,A123,Dr Green,Clinic,Transport,Mobile",
)
HEADERS = (
    "Appt ID,Booked Date,Ward",
    "ATTENDKEY,REQDATE,APPTDATE,XYZ",
    "appointment_id,anything",
    "Surname,Phone",
    "PatientId,AppointmentID,Gender,ScheduledDay",
)


@pytest.mark.parametrize("row", DATA_ROWS)
def test_a_row_of_values_is_no_header_though_some_are_names_of_codes(row: str):
    told = describe_columns(row.split(","))
    assert "looks like data" in told
    assert not [cell for cell in row.split(",") if len(cell) > 2 and cell in told.replace("None of", "")]


@pytest.mark.parametrize("row", HEADERS)
def test_a_header_is_told_whole(row: str):
    assert describe_columns(row.split(",")) == f"The file has: {row.replace(',', ', ')}."


def test_columns_that_only_the_mapping_knows_make_a_header():
    names = ["Kennung", "Termin", "Gebucht"]
    assert not looks_like_header(names)
    assert looks_like_header(names, expected=["Termin", "Gebucht", "Ort"])


def test_a_name_that_could_be_a_value_is_told_by_its_place():
    names = ["appointment_id", "9434765919", "a@b.uk", "LSOA11CD", "Ward"]
    assert describe_columns(names) == "The file has: appointment_id, column 2, column 3, LSOA11CD, Ward."
    assert printable_name("07700 900123", 7) == "column 7"


def refusals(path: Path) -> list[str]:
    """What each way to read a list says of the one at `path`."""
    mapped = Mapping(columns={"appointment_id": ColumnSource.model_validate({"from": "Appt ID"})})
    with Workspace() as workspace:
        table = table_file.read(path, workspace)
        asked = (
            lambda: contract_check.check(table, workspace, source="list.csv"),
            lambda: contract_check.check(table, workspace, mapping=mapped, source="list.csv"),
            lambda: require_passthrough(table.columns, ["Phone"], source="list.csv"),
            lambda: suggest(path),
        )
        said = [str(missing_column("list.csv", "Key", table, expected=("Key",)))]
        for ask in asked:
            with pytest.raises(DataError) as refusal:
                ask()
            said.append(str(refusal.value))
    return said


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_no_message_about_missing_columns_repeats_the_first_row_of_a_list(tmp_path: Path, ending: str):
    path = tmp_path / f"list{ending}"
    if ending == ".csv":
        path.write_text(HEADERLESS)
    else:
        rows = [line.split(",") for line in HEADERLESS.splitlines()]
        columns = {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}
        pa.parquet.write_table(pa.table(columns), path)
    for said in refusals(path):
        assert "looks like data" in said
        assert MARK not in said
        assert "Cardiology" not in said
