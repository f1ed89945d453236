"""A draft of a mapping: right about headers and codes, honest about the rest, silent about patients."""

import functools
import re
import tomllib
from pathlib import Path

import pytest

from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import Mapping, load_mapping
from dnapredict.data.contract.columns import COLUMNS
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE, is_nhs_number
from dnapredict.data.mapping.suggestion import suggest
from dnapredict.pipeline.run_inputs import checked_extract

VITORIA = Path(__file__).resolve().parents[3] / "shared" / "data" / "vitoria_appointments_2016.csv.gz"

NHS_NUMBERS = [
    f"{nine}{digit}" for nine in range(999000100, 999000140) for digit in range(10) if is_nhs_number(f"{nine}{digit}")
]


def extract(folder: Path, header: str, *rows: str) -> Path:
    path = folder / "extract.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def suggested(path: Path) -> str:
    """The draft of a mapping, which takes seconds: made once for a file."""
    return _suggested(path, path.read_bytes())


@functools.cache
def _suggested(path: Path, _: bytes) -> str:
    return suggest(path)


def drafted(path: Path) -> dict:
    return tomllib.loads(suggested(path))["columns"]


def kept(path: Path) -> int:
    """Rows of `path` that keep the contract through the mapping drafted for it."""
    mapping = path.with_suffix(".toml")
    mapping.write_text(suggested(path))
    with Workspace() as workspace:
        return checked_extract(path, workspace, mapping=load_mapping(mapping)).kept


def test_a_clinic_list_is_drafted_whole_and_its_draft_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY_VARIABLE, "made up, and longer than thirty-two bytes")
    path = extract(
        tmp_path,
        "Appt ID,Clinic Code,Clinic Name,Specialty,Appt Date,Appt Time,New/FU,NHS Number,Surname,DOB,Sex,"
        "Mobile,Booked Date,Interpreter,Status",
        "A1,OPH1,Eyes,130,07/01/2025,0930,New,9434765919,Marked,04/02/1980,F,07700 9,02/12/2024,N,Booked",
        "A2,OPH1,Eyes,130,07/01/2025,1045,FU,9434765919,Marked,04/02/1980,F,,02/12/2024,Y,DNA",
    )
    assert drafted(path) == {
        "appointment_id": {"from": "Appt ID"},
        "patient_id": {"from": "NHS Number", "pseudonymise": True},
        "booked_at": {"from": "Booked Date"},
        "starts_at": {"date": "Appt Date", "time": "Appt Time"},
        "outcome_code": {"from": "Status", "translate": {"Booked": "0", "DNA": "3"}},
        "clinic_code": {"from": "Clinic Code"},
        "treatment_function_code": {"from": "Specialty"},
        "first_attendance_code": {"from": "New/FU", "translate": {"New": "1", "FU": "2"}},
        "age_years": {"born": "DOB"},
        "gender_code": {"from": "Sex", "translate": {"F": "2"}},
        "has_mobile": {"filled": "Mobile"},
        "interpreter_needed": {"from": "Interpreter"},
        "person_family_name": {"from": "Surname"},
        "person_birth_date": {"from": "DOB"},
        "mobile_telephone": {"from": "Mobile"},
    }
    assert kept(path) == 2


def test_hospital_statistics_are_known_by_their_names(tmp_path: Path):
    path = extract(
        tmp_path,
        "ATTENDKEY,TOKEN_PERSON_ID,REQDATE,APPTDATE,ATTENDED,FIRSTATT,ETHNOS,TRETSPEF,SITETRET,PRIORITY,"
        "REFSOURC,APPTAGE,SEX,LSOA11,OUTCOME",
        "1,T,2024-03-01,2024-05-13,5,1,A,130,RBN01,1,03,61,1,E01000001,1",
    )
    found = {name: origin["from"] for name, origin in drafted(path).items()}
    assert found == {
        "appointment_id": "ATTENDKEY",
        "patient_id": "TOKEN_PERSON_ID",
        "booked_at": "REQDATE",
        "starts_at": "APPTDATE",
        "outcome_code": "ATTENDED",
        "site_code": "SITETRET",
        "treatment_function_code": "TRETSPEF",
        "first_attendance_code": "FIRSTATT",
        "priority_type_code": "PRIORITY",
        "referral_source_code": "REFSOURC",
        "age_years": "APPTAGE",
        "gender_code": "SEX",
        "lsoa_code": "LSOA11",
        "ethnic_category_code": "ETHNOS",
    }
    assert "# - OUTCOME: known only after the event" in suggested(path)
    assert kept(path) == 1


def test_the_contracts_own_names_are_drafted_as_they_are(tmp_path: Path):
    path = extract(tmp_path, ",".join(column.name for column in COLUMNS), "a,p,2025-01-02,2025-02-01")
    assert drafted(path) == {column.name: {"from": column.name} for column in COLUMNS}


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    ("first", "second", "pattern"),
    [
        ("02/01/2025", "31/01/2025", None),  # read without being told
        ("2025-01-02 10:20", "2025-01-31 10:20", None),
        ("02.01.2025", "31.01.2025", "%d.%m.%Y"),
        ("20250102", "20250131", "%Y%m%d"),
        ("01/31/2025 4:05 PM", "01/02/2025 9:00 AM", "%m/%d/%Y %I:%M %p"),
    ],
)
def test_dates_get_the_pattern_they_need(tmp_path: Path, first: str, second: str, pattern: str | None):
    path = extract(tmp_path, "Appt ID,Booked,Appointment Date", f"1,{first},2025-06-01", f"2,{second},2025-06-01")
    assert drafted(path)["booked_at"].get("format") == pattern
    assert kept(path) == 2


def test_a_slip_in_a_name_costs_no_column_and_is_asked_about(tmp_path: Path):
    path = extract(tmp_path, "Apointment ID,Booking Date,Appointment Date", "1,2025-01-02,2025-02-01")
    assert drafted(path)["appointment_id"] == {"from": "Apointment ID"}
    assert "# Is 'Apointment ID' this? Its name is only alike." in suggested(path)


def test_a_required_column_that_nothing_looks_like_is_asked_for(tmp_path: Path):
    draft = suggested(extract(tmp_path, "Appt ID,Appointment Date", "1,2025-02-01"))
    assert "# booked_at must be had, and no column looks like it." in draft
    assert '# booked_at = { from = "..." }' in draft


def test_each_column_that_stays_outside_has_its_reason(tmp_path: Path):
    header = "Appt ID,Address 1,SMS_received,Outcome of Attendance,Diabetes,Consultant,Ward Round,Hospital No"
    draft = suggested(extract(tmp_path, header, "1,Marked,1,2,0,Marked,x,RX1"))
    for name, why in {
        "Address 1": "personal",
        "SMS_received": "a treatment",
        "Outcome of Attendance": "known only after the event",
        "Diabetes": "clinical",
        "Consultant": "about staff",
        "Ward Round": "not part of the contract",
    }.items():
        assert f"# - {name}: {why}" in draft


def test_a_code_is_shown_where_many_share_it_and_never_otherwise(tmp_path: Path):
    rows = [f"{row},Rebooked elsewhere" for row in range(10)]
    shown = suggested(extract(tmp_path, "Appt ID,Status", *rows, "11,Mrs Marked rang"))
    assert 'Say in translate what "Rebooked elsewhere" means (5 attended on time, 6 arrived late' in shown
    assert "1 more values are no national codes; not shown here." in shown
    assert "Marked" not in shown


def test_no_value_of_a_patient_is_in_a_draft(tmp_path: Path):
    names = [column.name for column in COLUMNS] + ["Surname", "Postcode", "DOB", "NHS Number", "Mobile"]
    rows = [",".join([f"Marked{row}"] * len(names)) for row in range(40)]
    assert "Marked" not in suggested(extract(tmp_path, ",".join(names), *rows))


@pytest.mark.skipif(not VITORIA.exists(), reason="the Vitória extract is not here: see docs")
def test_the_draft_for_vitoria_is_the_mapping_that_comes_with_dnapredict():
    ours = load(shipped("training/mappings/vitoria.toml"), Mapping)
    drafted = Mapping.model_validate(tomllib.loads(suggested(VITORIA)))
    assert drafted.columns == ours.columns


def test_postcode_provider_and_referral_are_drafted(tmp_path: Path):
    """The commented lines of the geography are one table, and valid once they are no comments."""
    path = extract(
        tmp_path,
        "Appt ID,Appt Date,Booked Date,Referral Date,RTT Status,Status,Postcode,Provider Code,LD Flag",
        "1,01/02/2026,03/01/2026,01/12/2025,10,Attended,ZY1 1AA,RBL,N",
    )
    draft = suggested(path)
    columns = tomllib.loads(draft)["columns"]
    drawn = {name: columns[name]["from"] for name in ("referred_at", "rtt_status_code", "provider_code")}
    assert drawn == {"referred_at": "Referral Date", "rtt_status_code": "RTT Status", "provider_code": "Provider Code"}
    assert columns["learning_disability_flag"] == {"from": "LD Flag"}
    geography = tomllib.loads("\n".join(re.findall(r"^# (\[geography\]|\w+ = \".*)$", draft, re.MULTILINE)))
    assert geography["geography"].keys() == {"postcode", "postcodes", "imd"}
    assert "ZY1" not in draft


def test_words_are_written_into_the_draft_with_the_meaning_of_their_codes(tmp_path: Path):
    groups = ["White - British", "Indian - Asian or Asian British", "Not stated", "Asian"]
    rows = [f"{row},{groups[row % 4]},110 - Trauma and Orthopaedics" for row in range(40)]
    path = extract(tmp_path, "Appt ID,Ethnicity,Specialty", *rows)
    assert drafted(path)["ethnic_category_code"] == {
        "from": "Ethnicity",
        "translate": {"White - British": "A", "Indian - Asian or Asian British": "H", "Not stated": "Z"},
    }
    draft = suggested(path)
    assert '"Indian - Asian or Asian British" = "H"  # Asian: Indian' in draft
    assert '"110 - Trauma and Orthopaedics" = "110"  # trauma and orthopaedics' in draft
    assert 'Say in translate what "Asian" means' in draft


def test_columns_are_known_by_their_values_where_their_names_say_nothing(tmp_path: Path):
    rows = [
        f"{row},{('White - British', 'Chinese')[row % 2]},{('Male', 'Female')[row % 2]},{('DNA', 'Attended')[row % 2]},"
        f"{('Single', 'Married')[row % 2]},{number},01/02/2025,02/03/2025"
        for row, number in enumerate(NHS_NUMBERS)
    ]
    path = extract(tmp_path, "Appt ID,Field 7,Field 8,Result,Status,Field 9,Booked,When", *rows)
    draft = drafted(path)
    assert draft["ethnic_category_code"]["from"] == "Field 7"
    assert draft["gender_code"]["from"] == "Field 8"
    assert draft["outcome_code"]["from"] == "Result"
    assert draft["patient_id"] == {"from": "Field 9", "pseudonymise": True}
    assert draft["starts_at"] == {"from": "When"}
    assert "'Field 7' is taken by its values, not by its name. Is it this?" in suggested(path)


def test_yes_in_a_column_that_asks_whether_one_missed_is_a_missed_appointment_and_elsewhere_a_question(tmp_path: Path):
    rows = [f"{row},{'Yes' if row % 2 else 'No'}" for row in range(30)]
    assert drafted(extract(tmp_path, "Appt ID,DNA", *rows))["outcome_code"]["translate"] == {"Yes": "3", "No": "5"}
    attended = extract(tmp_path, "Appt ID,Attended", *rows)
    assert "translate" not in drafted(attended)["outcome_code"]
    assert 'Say in translate what "Yes" means' in suggested(attended)


def test_counts_from_1970_get_their_format(tmp_path: Path):
    path = extract(
        tmp_path, "Appt ID,Booked,Appointment Date", "1,1735813800,1738490400000", "2,1735813801,1738490400000"
    )
    assert drafted(path)["booked_at"]["format"] == "epoch"
    assert drafted(path)["starts_at"]["format"] == "epoch_ms"
    assert kept(path) == 2


def test_years_of_two_digits_get_their_format(tmp_path: Path):
    path = extract(
        tmp_path,
        "Appt ID,Booked Date,Appt Date,Appt Time,DOB",
        "1,02/01/26,01/03/26,0930,14/06/34",
        "2,03/01/26,02/03/26,1045,15/07/99",
    )
    draft = drafted(path)
    assert draft["booked_at"] == {"from": "Booked Date", "format": "%d/%m/%y"}
    assert draft["starts_at"]["format"][:3] == ["%d/%m/%y %H:%M", "%d/%m/%y %H:%M:%S", "%d/%m/%y %H%M"]
    mapping = path.with_suffix(".toml")
    mapping.write_text(suggested(path))
    with Workspace() as workspace:
        checked = checked_extract(path, workspace, mapping=load_mapping(mapping))
        ages = workspace.fetch(f"SELECT age_years FROM {checked.rows.get_name()} ORDER BY row_number")
    assert ages["age_years"].to_pylist() == [91, 26]


# Formats of the time of day, after a date that is parsed without a format in the mapping.
WRITTEN = """
    day             | time
    Mon 07-Dec-2026 | 9.30
    Mon 7 Dec 2026  | 09:30
    Monday, 7 December 2026 | 0930
    Mon 07/12/26    | 9:30 AM
    07-Dec-26       | 9.30am
    07/12/2026      | 9:30 am
    7-Dec-2026      | 9.30AM
    2026-12-07      | 9:30AM
    07/12/2026      | 930
    Monday 07 December 2026 | 9:30am
"""


@pytest.mark.cases(2)
@pytest.mark.parametrize("written", [line.strip() for line in WRITTEN.strip().splitlines()[1:]])
def test_a_day_and_a_time_are_read_as_hospitals_write_them(tmp_path: Path, written: str):
    day, time = (cell.strip() for cell in written.split("|"))
    header = "Appt ID;Booked Date;Clinic Date;Start;Age;Clinic"
    path = extract(tmp_path, header, *(f'A{n};2026-09-01;"{day}";{time};50;ENT' for n in range(12)))
    assert kept(path) == 12


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("Mon 07/12/2026 09:30 AM", "%a %d/%m/%Y %I:%M %p"),
        ("Monday, 7 December 2026 9:30pm", "%A, %d %B %Y %I:%M%p"),
        ("07/12/2026 9:30am", "%d/%m/%Y %I:%M%p"),
        ("07-Dec-2026 9:30 PM", "%d-%b-%Y %I:%M %p"),
        ("07.12.2026 09.30", "%d.%m.%Y %H.%M"),
        ("07/12/2026 09:30", None),
    ],
)
def test_a_moment_in_one_column_is_read_although_a_total_is_below_it(tmp_path: Path, written: str, pattern: str | None):
    rows = [f'A{n};2026-09-01;"{written}";50;ENT' for n in range(12)]
    path = extract(tmp_path, "Appt ID;Booked Date;Appt Date and Time;Age;Clinic", *rows, ";;Total;12;")
    assert drafted(path)["starts_at"].get("format") == pattern
    assert kept(path) == 12


def test_words_alone_have_no_pattern_of_dates(tmp_path: Path):
    path = extract(tmp_path, "Appt ID,Booked,Appointment Date", "1,soon,2025-06-01", "2,later,2025-06-01")
    assert drafted(path)["booked_at"].get("format") is None


@pytest.mark.cases(1)
@pytest.mark.parametrize("flag", ["N,Y", "No,Yes", "0,1"])
def test_no_in_a_column_that_asks_whether_one_missed_may_be_a_cancellation(tmp_path: Path, flag: str):
    no, yes = flag.split(",")
    rows = [f"{row},{yes if row % 9 == 0 else no},{'Patient' if row % 4 == 1 else ''}" for row in range(40)]
    path = extract(tmp_path, "Appt ID,DNA,Cancelled By,Clinic Code,Site Code", *(f"{row},C1,RX1" for row in rows))
    draft = suggested(path)
    assert drafted(path)["outcome_code"] == {
        "combine": ["DNA", "Cancelled By"],
        "translate": {no: "5", yes: "3", f"{no} | Patient": "2", "Patient": "2"},
    }
    assert "'Cancelled By' says which appointments were cancelled" in draft


@pytest.mark.cases(1)
@pytest.mark.parametrize("name", ["MRN", "Hospital Number", "PAS Number", "Unit Number"])
def test_a_hospital_number_is_drafted_as_a_pseudonym(tmp_path: Path, name: str):
    path = extract(tmp_path, f"Appt ID,Clinic Code,{name}", *(f"{row},C1,RX{row}" for row in range(30)))
    assert drafted(path)["patient_id"] == {"from": name, "pseudonymise": "local"}
    assert "Needs a key" in suggested(path)


def test_nhs_numbers_in_a_column_of_hospital_numbers_are_drafted_as_such(tmp_path: Path):
    path = extract(tmp_path, "Appt ID,Clinic Code,MRN", *(f"a{number},C1,{number}" for number in NHS_NUMBERS))
    assert drafted(path)["patient_id"] == {"from": "MRN", "pseudonymise": True}


def test_an_outcome_is_known_by_its_words_whatever_its_name_hints_at(tmp_path: Path):
    words = ("Attended", "Did Not Attend", "Patient Cancelled", "Hospital Cancelled", "Attended")
    rows = [f"{row},C1,{words[row % 5]},White - British,Cardiology" for row in range(50)]
    for name in ("Attendance Outcome", "APPT_STATUS_NAME", "outcome"):
        path = extract(tmp_path, f"Appt ID,Clinic Code,{name},Ethnicity Description,Specialty Name", *rows)
        draft = drafted(path)
        assert draft["outcome_code"]["from"] == name
        assert draft["outcome_code"]["translate"]["Patient Cancelled"] == "2"
        assert draft["ethnic_category_code"]["from"] == "Ethnicity Description"
        assert draft["treatment_function_code"]["from"] == "Specialty Name"


def test_a_draft_without_an_outcome_asks_for_it(tmp_path: Path):
    path = extract(tmp_path, "Appt ID,Clinic Code,Booked Date", "1,C1,01/02/2025")
    assert "# outcome_code: no column looks like it" in suggested(path)


def test_who_cancelled_is_pointed_out_beside_a_flag_that_is_asked_about(tmp_path: Path):
    rows = [f"{row},C1,{'Y' if row % 3 else 'N'},{'Patient' if row % 4 == 1 else ''}" for row in range(40)]
    path = extract(tmp_path, "Appt ID,Clinic Code,Attended,Cancelled By", *rows)
    assert 'combine = ["Attended", "Cancelled By"]' in " ".join(suggested(path).replace("\n#", "").split())
