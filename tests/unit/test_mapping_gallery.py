"""Each mapping of the gallery reads an extract of its style: made-up rows, of general habits."""

# ruff: noqa: E501 - rows of a file are as wide as they are

from pathlib import Path

import pytest

from dnapredict.config.loading import shipped
from dnapredict.config.mapping_config import load_mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE, TEMPORARY, UNLINKED
from dnapredict.data.validation.checked import Checked
from dnapredict.pipeline.run_inputs import checked_extract

FHIR = """
id,status,cancelationReason.code,created,start,appointmentType.code,specialty.code,participant.patient.identifier,participant.location.identifier,description
f1,fulfilled,,2025-01-02T10:00:00Z,2025-07-01T09:30:00+01:00,ROUTINE,320,9434765919,RX101,Marked
f2,noshow,,2025-01-02T10:00:00Z,2025-07-02T09:30:00+01:00,FOLLOWUP,320,9434765919,RX101,Marked
f3,cancelled,pat,2025-01-02T10:00:00Z,2025-07-03T09:30:00+01:00,ROUTINE,320,TEMP17,RX101,Marked
f4,cancelled,prov,2025-01-02T10:00:00Z,2025-07-04T09:30:00+01:00,ROUTINE,320,TBC,RX101,Marked
f5,cancelled,,2025-01-02T10:00:00Z,2025-07-04T09:30:00+01:00,ROUTINE,320,TBC,RX101,Marked
f6,booked,,2025-01-02T10:00:00Z,2025-07-09T09:30:00+01:00,WALKIN,320,TBC,RX101,Marked
"""
SUS = """
NHS NUMBER,REFERRAL REQUEST RECEIVED DATE,APPOINTMENT DATE,APPOINTMENT TIME,ATTENDED OR DID NOT ATTEND CODE,ORGANISATION SITE IDENTIFIER (OF TREATMENT),CLINIC CODE,ACTIVITY TREATMENT FUNCTION CODE,FIRST ATTENDANCE CODE,CONSULTATION MECHANISM,PRIORITY TYPE CODE,SOURCE OF REFERRAL FOR OUT-PATIENTS,AGE AT CDS ACTIVITY DATE,PERSON STATED GENDER CODE,ETHNIC CATEGORY,OUTCOME OF ATTENDANCE CODE
9434765919,2025-01-02,2025-03-01,09:30:00,5,RX101,C1,110,1,01,1,03,61,1,A1,1
9434765919,2025-01-02,2025-04-01,09:30:00,3,RX101,C1,110,2,02,1,3,61,1,A,2
"""
TWO_FLAGS = """
Hospital_No,Date_Booked,Appt_DateTime,Clinic,Specialty_Desc,Birth_Year,Gender_Desc,Ethnic_Group_Desc,Attended_Flag,Cancelled_By,Cancel_Reason,Transport_Type,Interpreter
RX0001,02/01/2025,01/07/2025 09:30,C1,Cardiology,1980,Female,Indian - Asian or Asian British,Y,,,Ambulance,N/A
RX0001,02/01/2025,08/07/2025 09:30,C1,Trauma & Orthopaedics,1980,Female,Not stated,N,,,None,Not required
RX0002,02/01/2025,08/07/2025 09:30,C1,Cardiology,1950,Male,White,N,Patient,Marked,N/A,Required
999,02/01/2025,08/07/2025 09:30,C1,Cardiology,unknown,Male,Arab,,Hospital,Marked,Taxi,Urdu
999,02/01/2025,08/07/2025 10:30,C1,Cardiology,1890,Male,Arab,,,,,
"""
DATABASE = """
PERSON_KEY,CREATED_MS,SLOT_START_S,LOCATION,CHANNEL,PRIORITY,STATE,REMINDER_SENT_MS,UPDATED_MS
k1,1735813800000,1751358600,RX101,Telephone,ROUTINE,DONE,1735813800000,1735813800000
k1,1735813800000,1751445000,RX101,Video,URGENT,NO_SHOW,1735813800000,1735813800000
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "made up, and longer than thirty-two bytes")


def read(text: str, name: str, folder: Path) -> tuple[Checked, list[dict]]:
    path = folder / "extract.csv"
    path.write_text(text.strip() + "\n")
    with Workspace() as workspace:
        checked = checked_extract(path, workspace, mapping=load_mapping(shipped(f"training/mappings/{name}")))
        rows = workspace.fetch(f"FROM {checked.rows.get_name()} ORDER BY row_number").to_pylist()
    assert "Marked" not in str(rows)
    return checked, rows


def column(rows: list[dict], name: str) -> list[object]:
    return [row[name] for row in rows]


def test_a_fhir_appointment_takes_who_cancelled_from_the_reason(tmp_path: Path):
    checked, rows = read(FHIR, "fhir_appointment.toml", tmp_path)
    assert [(each.rule, each.first_rows) for each in checked.rejections] == [("outcome_code_unknown", (6,))]
    assert column(rows, "outcome_code") == ["5", "3", "2", "4", "0"]
    assert str(rows[0]["starts_at"]) == "2025-07-01 08:30:00"
    assert column(rows, "first_attendance_code") == ["1", "2", "1", "1", "WALKIN"]
    first, second, third, fourth, fifth = column(rows, "patient_id")
    assert first == second
    assert third.startswith(TEMPORARY)
    assert fourth.startswith(UNLINKED)
    assert fourth != fifth


def test_a_commissioning_data_set_gets_an_id_that_holds_no_number_of_a_patient(tmp_path: Path):
    _, rows = read(SUS, "sus_outpatient.toml", tmp_path)
    assert column(rows, "outcome_code") == ["5", "3"]
    assert column(rows, "referral_source_code") == ["03", "03"]
    assert column(rows, "ethnic_category_code") == ["A", "A"]
    assert len(set(column(rows, "appointment_id"))) == 2
    assert "9434765919" not in str(rows)
    assert column(read(SUS, "sus_outpatient.toml", tmp_path)[1], "appointment_id") == column(rows, "appointment_id")


def test_two_columns_give_the_outcome_and_words_their_codes(tmp_path: Path):
    checked, rows = read(TWO_FLAGS, "pas_two_flags.toml", tmp_path)
    assert checked.rejections == ()
    assert column(rows, "outcome_code") == ["5", "3", "2", "4", None]
    assert column(rows, "treatment_function_code") == ["320", "110", "320", "320", "320"]
    assert column(rows, "ethnic_category_code") == ["H", "Z", "White", "S", "S"]
    assert column(rows, "age_years") == [45, 45, 75, None, None]
    assert column(rows, "transport_booked") == [True, False, None, None, None]
    assert column(rows, "interpreter_needed") == [None, False, True, None, None]
    assert [(each.column, each.count) for each in checked.unreadable] == [
        ("age_years", 1),
        ("interpreter_needed", 1),
        ("transport_booked", 1),
    ]
    patients = column(rows, "patient_id")
    assert patients[0] == patients[1]
    assert len(set(patients)) == 4


def test_counts_from_1970_are_times_and_rows_get_ids(tmp_path: Path):
    _, rows = read(DATABASE, "booking_database.toml", tmp_path)
    assert column(rows, "appointment_id") == ["row 2", "row 3"]
    assert [str(row["booked_at"]) for row in rows] == ["2025-01-02 10:30:00"] * 2
    assert [str(row["starts_local"]) for row in rows] == ["2025-07-01 09:30:00", "2025-07-02 09:30:00"]
    assert column(rows, "consultation_mechanism_code") == ["02", "11"]
    assert column(rows, "outcome_code") == ["5", "3"]


def test_every_mapping_of_the_gallery_is_one_that_loads():
    folder = shipped("training/mappings/hes.toml").parent
    assert len([load_mapping(path) for path in folder.glob("*.toml")]) >= 7
