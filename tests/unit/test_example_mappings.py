"""The mappings that come with dnapredict read the extracts that they are examples for."""

# ruff: noqa: E501 - rows of a file are as wide as they are

import csv
import tomllib
from pathlib import Path

import pytest

from dnapredict.config.loading import shipped
from dnapredict.config.mapping_config import load_mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE, pseudonym
from dnapredict.data.validation.checked import Checked
from dnapredict.pipeline.run_inputs import checked_extract

KEY = "made up, and longer than thirty-two bytes"
DECILE = "Index of Multiple Deprivation (IMD) Decile (where 1 is most deprived 10% of LSOAs)"
HES = """ATTENDKEY,TOKEN_PERSON_ID,REQDATE,APPTDATE,ATTENDED,SITETRET,TRETSPEF,FIRSTATT,PRIORITY,REFSOURC,APPTAGE,SEX,LSOA11,ETHNOS,OUTCOME,DIAG_3_01
1001,TKA,2024-03-01,2024-05-13,5,RBN01,130,1,1,03,61,1,E01000001,A,1,Marked
1002,TKA,2024-05-13,2024-06-20,3,RBN01,130,2,1,3,61,1,E01000001,A,2,Marked
1003,TKB,2024-04-02,2024-05-01,7,RBN02,43,1,3,92,7003,0,,Z,1,Marked
1004,TKC,2024-04-02,2024-05-02,2,RBN02,420,3,2,05,34,2,E01000005,99,1,Marked
1005,TKD,2024-04-02,2024-05-02,9,RBN02,420,1,1,01,40,2,E01000005,S,1,Marked
1006,TKE,2024-04-02,1800-01-01,5,RBN02,420,1,1,01,40,2,E01000005,S,1,Marked
1007,TKF,2024-04-02,2024-05-02,5,RBN02,420,5,1,01,40,2,E01000005,S,1,Marked
"""
PAS = """Outpatient clinic list,,,,,,,,,,,,,,,,,,,,
Appt ID,Clinic Code,Clinic Name,Consultant,Specialty,Site,Appt Date,Appt Time,New/FU,Patient No,NHS Number,Surname,Forename,DOB,Sex,Postcode,Ethnicity,Mobile,Booked Date,Interpreter,Transport,Status
A1,OPH1,Eyes,Dr Marked,130,RBN01,07/01/2025,09:30,New,RX1,943 476 5919,Marked,Marked,04/02/1980,F,L1 8JQ,A,07700 900001,02/12/2024,N,Y,Booked
A2,OPH1,Eyes,Dr Marked,130,RBN01,07/01/2025,0945,FU,RX1,943-476-5919,Marked,Marked,04/02/1980,F,L1 8JQ,A,,02/12/2024 11:05,Y,N,DNA
A3,OPH1,Eyes,Dr Marked,130,RBN01,08/01/2025,,FU Tel,RX3,,Marked,Marked,01/01/2020,M,,Z,,02/12/2024,,,Late - Not Seen
A4,OPH1,Eyes,Dr Marked,130,RBN01,08/01/2025,10:00,FU,RX4,9434765910,Marked,Marked,01/01/1990,U,,99,,02/12/2024,N,N,Attended
"""


def read(path: Path, mapping: Path) -> tuple[Checked, dict[str, dict]]:
    with Workspace() as workspace:
        checked = checked_extract(path, workspace, mapping=load_mapping(mapping))
        rows = workspace.fetch(f"FROM {checked.rows.get_name()}").to_pylist()
        return checked, {row["appointment_id"]: row for row in rows}


def rejected(checked: Checked) -> dict[str, str]:
    return {row["appointment_id"]: row["rule"] for row in checked.rejected.to_pylist()}


def uncommented(name: str, folder: Path) -> Path:
    """The example with everything that it only mentions, as a person would edit it."""
    text = shipped(f"training/mappings/{name}").read_text()
    head, mark, rest = text.partition("# [")
    lines = (mark + rest).splitlines()
    live = [line.removeprefix("# ") if line.startswith("# [") or " = " in line else line for line in lines]
    copy = folder / name
    copy.write_text(head + "\n".join(live))
    return copy


def table(path: Path, *rows: list[object]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_hospital_statistics(tmp_path: Path):
    extract = tmp_path / "hes.csv"
    extract.write_text(HES)
    checked, rows = read(extract, shipped("training/mappings/hes.toml"))
    assert rejected(checked) == {"1006": "date_out_of_range", "1007": "administrative_event"}
    assert {id_: row["outcome_code"] for id_, row in rows.items()} == {
        "1001": "5",
        "1002": "3",
        "1003": "7",
        "1004": "2",
        "1005": "0",
    }
    assert rows["1002"]["referral_source_code"] == "03"
    assert rows["1003"]["treatment_function_code"] == "043"
    assert (rows["1003"]["age_years"], rows["1003"]["gender_code"]) == (0, "X")
    assert [rows[id_]["ethnic_category_code"] for id_ in ("1003", "1004", "1005")] == ["Z", "99", "S"]
    assert "Marked" not in str(rows)


def test_hospital_statistics_with_the_indices_of_2019(tmp_path: Path):
    extract = tmp_path / "hes.csv"
    extract.write_text(HES)
    mapping = uncommented("hes.toml", tmp_path)
    imd = tomllib.loads(mapping.read_text())["geography"]["imd"]
    table(tmp_path / imd, ["LSOA code (2011)", DECILE], ["E01000001", 8], ["E01000005", 1])
    checked, rows = read(extract, mapping)
    assert [row["imd_decile"] for _, row in sorted(rows.items())] == [8, 8, None, 1, 1]
    assert checked.ingest.areas.release == "2019"


def test_a_clinic_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    extract = tmp_path / "list.csv"
    extract.write_text(PAS)
    checked, rows = read(extract, shipped("training/mappings/pas_clinic_list.toml"))
    assert rejected(checked) == {"A4": "patient_id_not_an_nhs_number"}
    patient = pseudonym("9434765919", key=KEY.encode(), kind="nhs")
    assert [rows[id_]["patient_id"] for id_ in ("A1", "A2", "A3")] == [patient, patient, None]
    starts = [str(rows[id_]["starts_at"]) for id_ in ("A1", "A2", "A3")]
    assert starts == ["2025-01-07 09:30:00", "2025-01-07 09:45:00", "2025-01-08 23:59:59"]
    assert [rows[id_]["age_years"] for id_ in ("A1", "A3")] == [44, 5]
    assert [rows[id_]["has_mobile"] for id_ in ("A1", "A2")] == [True, False]
    assert [rows[id_]["interpreter_needed"] for id_ in ("A1", "A2", "A3")] == [False, True, None]
    assert [rows[id_]["outcome_code"] for id_ in ("A1", "A2", "A3")] == ["0", "3", "7"]
    assert [rows[id_]["first_attendance_code"] for id_ in ("A1", "A2", "A3")] == ["1", "2", "4"]
    assert not [text for text in ("Marked", "L1 8JQ", "07700", "1980", "RX1") if text in str(rows)]


def test_a_clinic_list_with_postcodes_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    extract = tmp_path / "list.csv"
    extract.write_text(PAS)
    mapping = uncommented("pas_clinic_list.toml", tmp_path)
    named = tomllib.loads(mapping.read_text())
    geography = named["geography"]
    table(tmp_path / geography["postcodes"], ["pcds", "lsoa21"], ["L1 8JQ", "E01033750"])
    table(tmp_path / geography["imd"], ["LSOA code (2021)", DECILE], ["E01033750", 1], ["E01033800", 2])
    table(tmp_path / geography["centroids"], ["LSOA21CD", "long", "lat"], ["E01033750", -2.98, 53.40])
    table(tmp_path / geography["sites"], ["Code", "Latitude", "Longitude"], ["RBN01", 53.42, -2.78])
    checked, rows = read(extract, mapping)
    assert (rows["A1"]["imd_decile"], rows["A1"]["distance_km"]) == (1, 13.4)
    assert (rows["A3"]["imd_decile"], rows["A3"]["distance_km"]) == (None, None)
    assert checked.ingest.areas.release == "2025"
    assert str(checked.ingest.matches[0]) == (
        "postcodes (ONSPD.csv): 0 of 2 rows found no match (0.0%); 2 have no key."
    )
