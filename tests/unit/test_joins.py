"""Files beside an extract: joined by key, never adding a row, and refused where a key stands twice."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from dnapredict.config.mapping_config import Mapping, load_mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import ConfigurationError, DataError, UsageError

MAPPING = """
[columns]
appointment_id = { from = "Id" }
booked_at = { from = "Booked" }
starts_at = { date = "Date", time = "Time" }
age_years = { born = "Born", format = "%d/%m/%Y" }
ethnic_category_code = { from = "patients.Ethnicity" }
has_mobile = { filled = "patients.Mobile" }
lsoa_code = { from = "postcodes.lsoa21" }

[files.patients]
path = "patients.csv"
match = { "Patient" = "PAT NO" }

[lookups.postcodes]
path = "postcodes.csv"
match = { "patients.Postcode" = "pcds" }
"""
PATIENTS = """PAT NO,Ethnicity,Mobile,Postcode,Surname
1,A,07700 900001,L1 8JQ,Marked
2,Z,,l18jq,Marked
3,B,07700 900002,XX9 9XX,Marked
"""
POSTCODES = """pcds,lsoa21,other
L1 8JQ,E01033750,1
CH1 1AA,E01000009,2
L1 8JQ,E01033750,3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "patients.csv").write_text(PATIENTS)
    (tmp_path / "postcodes.csv").write_text(POSTCODES)
    return tmp_path


def appointments(*rows: tuple[str | None, str, str | None, str | None]) -> pa.Table:
    """Patient, date, time and date of birth; booked on 2 January 2025."""
    patient, date, time, born = (pa.array([row[place] for row in rows], pa.string()) for place in range(4))
    ids = pa.array([f"a{number}" for number in range(len(rows))])
    numbers = pa.array(range(2, len(rows) + 2), pa.int64())
    booked = pa.array(["2025-01-02"] * len(rows))
    columns = {"Id": ids, "Patient": patient, "Date": date, "Time": time, "Born": born, "Booked": booked}
    return pa.table({"row_number": numbers} | columns)


def read(table: pa.Table, mapping: Mapping) -> tuple[Checked, list[dict]]:
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table), workspace, mapping=mapping, source="list.csv")
        rows = workspace.fetch(f"FROM {checked.rows.get_name()} ORDER BY row_number").to_pylist()
        return checked, rows


def column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


FOUR = appointments(
    ("1", "2025-02-03", "09:30", None),
    ("2", "2025-02-03", "09:30", None),
    ("9", "2025-02-03", "09:30", None),
    (None, "2025-02-03", "09:30", None),
)


def test_a_row_takes_what_the_joined_files_say_of_its_key_and_stays_where_they_say_nothing(folder: Path):
    _, rows = read(FOUR, load_mapping(folder / "mapping.toml"))
    assert column(rows, "row_number") == [2, 3, 4, 5]
    assert column(rows, "ethnic_category_code") == ["A", "Z", None, None]


def test_a_lookup_may_build_on_a_joined_file_and_reads_keys_in_any_case_and_spacing(folder: Path):
    _, rows = read(FOUR, load_mapping(folder / "mapping.toml"))
    assert column(rows, "lsoa_code") == ["E01033750", "E01033750", None, None]


def test_whether_a_telephone_is_on_record_enters_and_the_number_does_not(folder: Path):
    _, rows = read(FOUR, load_mapping(folder / "mapping.toml"))
    assert column(rows, "has_mobile") == [True, False, None, None]
    assert "07700" not in str(rows)
    assert "Marked" not in str(rows)


def test_how_much_found_no_match_is_told(folder: Path):
    checked, _ = read(FOUR, load_mapping(folder / "mapping.toml"))
    assert checked.ingest.sentences == (
        "patients (patients.csv): 1 of 3 rows found no match (33.3%); 1 have no key.",
        "postcodes (postcodes.csv): 0 of 2 rows found no match (0.0%); 2 have no key.",
    )


def test_a_key_that_stands_twice_is_refused_by_file_column_count_and_rows(folder: Path):
    (folder / "patients.csv").write_text(PATIENTS + "2,A,,,Marked\n")
    with pytest.raises(DataError, match=r"patients.csv: column 'PAT NO' .* 2 rows \(rows 3, 5\)") as refused:
        read(FOUR, load_mapping(folder / "mapping.toml"))
    assert "Marked" not in str(refused.value)


def test_a_lookup_may_repeat_a_row_and_not_contradict_itself(folder: Path):
    (folder / "postcodes.csv").write_text(POSTCODES + "l1 8jq,E01000002,4\n")
    with pytest.raises(DataError, match=r"postcodes.csv: .*with different values: 2 rows"):
        read(FOUR, load_mapping(folder / "mapping.toml"))


def test_a_changed_file_is_read_anew(folder: Path):
    mapping = load_mapping(folder / "mapping.toml")
    read(FOUR, mapping)
    (folder / "patients.csv").write_text(PATIENTS.replace("1,A", "1,B"))
    os.utime(folder / "patients.csv", ns=(1, 1))
    assert column(read(FOUR, mapping)[1], "ethnic_category_code")[0] == "B"


def test_a_column_that_a_joined_file_lacks_is_named_with_those_it_has(folder: Path):
    (folder / "patients.csv").write_text(PATIENTS.replace("Ethnicity", "Ethnic"))
    with pytest.raises(DataError, match=r"patients.csv: column 'Ethnicity', .* missing.*PAT NO, Ethnic"):
        read(FOUR, load_mapping(folder / "mapping.toml"))


def test_a_file_can_be_named_for_the_week_and_must_be_there(folder: Path):
    other = folder / "week-47.csv"
    (folder / "patients.csv").rename(other)
    with pytest.raises(ConfigurationError, match=r"'patients' is to be joined, and there is no file"):
        load_mapping(folder / "mapping.toml")
    mapping = load_mapping(folder / "mapping.toml", files={"patients": other})
    assert column(read(FOUR, mapping)[1], "ethnic_category_code")[0] == "A"
    with pytest.raises(UsageError, match=r"--file patient: .*\(it has: patients, postcodes\)"):
        load_mapping(folder / "mapping.toml", files={"patient": other})


def test_a_lookup_stands_below_what_it_builds_on():
    upside_down = {
        "lookups": {
            "b": {"path": "b.csv", "match": {"c.key": "key"}},
            "c": {"path": "c", "match": {"k": "k"}},
        }
    }
    with pytest.raises(ValueError, match=r"'b' is matched by 'c\.key', so 'c' must come before it"):
        Mapping.model_validate(upside_down)


@pytest.mark.cases(4)
@pytest.mark.parametrize(
    ("date", "time", "starts"),
    [
        ("2025-02-03", "09:30", "2025-02-03 09:30:00"),
        ("03/02/2025", "9:30", "2025-02-03 09:30:00"),
        ("03/02/2025", "0930", "2025-02-03 09:30:00"),
        ("03/02/2025", "9.30", "2025-02-03 09:30:00"),
        ("2025-02-03 00:00:00", "1899-12-30 14:05:00", "2025-02-03 14:05:00"),  # as sheets keep them
        ("2025-07-03", "14:05:00", "2025-07-03 13:05:00"),  # summer time
        ("2025-02-03", None, "2025-02-03 23:59:59"),  # any time until the day ends
    ],
)
def test_a_date_and_a_time_make_one_moment(folder: Path, date: str, time: str | None, starts: str):
    _, rows = read(appointments(("1", date, time, None)), load_mapping(folder / "mapping.toml"))
    assert str(rows[0]["starts_at"]) == starts


def test_age_is_in_whole_years_on_the_day_of_the_appointment(folder: Path):
    ages = {"03/02/1980": 45, "04/02/1980": 44, "29/02/2024": 0, "": None}
    table = appointments(*(("1", "2025-02-03", "09:30", born) for born in ages))
    _, rows = read(table, load_mapping(folder / "mapping.toml"))
    assert column(rows, "age_years") == list(ages.values())


def test_who_was_born_on_29_february_has_a_birthday_on_1_march(folder: Path):
    table = appointments(("1", "2025-02-28", None, "29/02/2000"), ("1", "2025-03-01", None, "29/02/2000"))
    assert column(read(table, load_mapping(folder / "mapping.toml"))[1], "age_years") == [24, 25]


def test_what_is_no_date_of_birth_or_one_to_come_leaves_the_age_open_and_is_told(folder: Path):
    table = appointments(("1", "2025-02-03", None, "soon"), ("1", "2025-02-03", None, "01/01/2030"))
    checked, rows = read(table, load_mapping(folder / "mapping.toml"))
    assert [row["age_years"] for row in rows] == [None, None]
    assert [(each.column, each.count) for each in checked.unreadable] == [("age_years", 2)]


@pytest.mark.parametrize(
    ("column", "origin", "key"),
    [
        ("site_code", {"born": "x"}, "born"),
        ("age_years", {"date": "x", "time": "y"}, "date"),
        ("site_code", {"filled": "x"}, "filled"),
        ("site_code", {"from": "x", "pseudonymise": True}, "pseudonymise"),
    ],
)
def test_a_column_is_not_had_from_what_it_cannot_be(column: str, origin: dict, key: str):
    mapping = Mapping.model_validate({"columns": {column: origin}})
    with pytest.raises(ConfigurationError, match=f"column '{column}' cannot be had with '{key}'"):
        read(FOUR, mapping)


@pytest.mark.parametrize(
    "origin",
    [{"from": "Booked", "format": ["%d/%m/%Y", "epoch"]}, {"date": "Booked", "time": "Booked", "format": "epoch_ms"}],
)
def test_a_count_from_1970_is_the_format_of_a_whole_column(origin: dict):
    mapping = Mapping.model_validate({"columns": {"booked_at": origin}})
    with pytest.raises(ConfigurationError, match="'booked_at': 'epoch' and 'epoch_ms' are the format of a"):
        read(FOUR, mapping)


def test_a_date_of_birth_without_a_day_of_the_appointment_says_what_is_missing():
    mapping = Mapping.model_validate({"columns": {"age_years": {"born": "DOB"}}})
    table = pa.table({"row_number": pa.array([2], pa.int64()), "appointment_id": ["a"], "DOB": ["01/02/1980"]})
    with pytest.raises(DataError, match="required column 'booked_at' is missing"):
        read(table, mapping)
