"""A synthetic extract written as a patient administration system exports it, made from the synthetic board.

Days first, the clock time apart, words for outcomes and codes, NHS numbers with temporary ones among them,
telephone clinics, reasons of cancellation. Made from general habits; no patient in it is real.
"""

import csv
import datetime
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from dnapredict.data.contract import codes
from dnapredict.data.contract.treatment_functions import TREATMENT_FUNCTION
from dnapredict.data.mapping.pseudonyms import is_nhs_number

OUTCOMES = {
    "5": "Attended",
    "6": "Arrived late, was seen",
    "7": "Arrived late - could not be seen",
    "2": "Cancelled by Patient",
    "3": "Did Not Attend",
    "4": "Cancelled by Hospital",
    "0": "Booked",
    None: "",
}
REASONS = {"2": "Patient unwell", "4": "Clinic cancelled"}
VISITS = {"1": "New", "2": "Follow Up", "3": "New Telephone", "4": "Follow Up Telephone", None: ""}
PRIORITIES = {"1": "Routine", "2": "Urgent", "3": "Two Week Wait", None: ""}
MEDIA = {"01": "Face to Face", "02": "Telephone", "11": "Video", None: ""}
SEXES = {"1": "Male", "2": "Female", "9": "Indeterminate", "X": "Unknown", None: ""}
# The board's codes in the national descriptions, some in another order or of another system.
ETHNIC_GROUPS = {
    "A": "White - British",
    "B": "White - Irish",
    "C": "White - Any other White background",
    "D": "Mixed - White and Black Caribbean",
    "E": "Mixed - White and Black African",
    "F": "Mixed - White and Asian",
    "G": "Mixed - Any other mixed background",
    "H": "Indian - Asian or Asian British",
    "J": "Asian/Asian British: Pakistani",
    "K": "Asian or Asian British - Bangladeshi",
    "L": "Asian or Asian British - Any other Asian background",
    "M": "Black or Black British - Caribbean",
    "N": "Black or Black British - African",
    "P": "Black or Black British - Any other Black background",
    "R": "Chinese",
    "S": "Other Ethnic Groups - Any other ethnic group",
    "Z": "Not stated",
    "99": "Not known",
    None: "",
}
HEADER = (
    *("Appt Ref", "NHS No", "Surname", "DOB", "Sex", "Ethnicity", "Mobile", "Appt Date", "Appt Time", "Booked Date"),
    *("Clinic Code", "Site", "Specialty", "Visit Type", "Delivery Method", "Urgency", "Source of Referral"),
    *("Interpreter", "Transport", "LSOA", "IMD Decile", "Appt Status", "Cancellation Reason", "Date Outcome Recorded"),
)


def pas_export(board: Path, out: Path) -> None:
    """Write the appointments of the synthetic board in the file `board` as a CSV export."""
    rows = pq.read_table(board).to_pylist()
    numbers = dict(zip(dict.fromkeys(row["patient_id"] for row in rows), _nhs_numbers(), strict=False))
    with out.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(HEADER)
        lines.writerows(_line(place, row, numbers) for place, row in enumerate(rows))


def _nhs_numbers() -> Iterator[str]:
    """Numbers of the range kept for tests, and one temporary number in fifty."""
    for number in range(1, 10_000_000):
        nine = f"9990{number:05d}" if number < 100_000 else f"999{number:06d}"
        digits = next((f"{nine}{digit}" for digit in range(10) if is_nhs_number(f"{nine}{digit}")), "")
        if digits:
            yield f"TEMP{number:06d}" if number % 50 == 0 else f"{digits[:3]} {digits[3:6]} {digits[6:]}"


def _line(place: int, row: dict[str, object], numbers: dict[str, str]) -> list[object]:
    starts, age = row["starts_at"], row["age_years"]
    born = "" if age is None else _day(datetime.date(starts.year - age - 1, starts.month, 1) + datetime.timedelta(40))
    interpreter = {True: "Required", False: "Not required", None: "N/A"}[row["interpreter_needed"]]
    mobile = {True: "07700 900123", False: "N/A", None: ""}[row["has_mobile"]]
    service = row["treatment_function_code"]
    referral = row["referral_source_code"]
    return [
        row["appointment_id"],
        "TBC" if place % 500 == 0 else numbers[row["patient_id"]],
        "Surname",
        born,
        SEXES[row["gender_code"]],
        ETHNIC_GROUPS[row["ethnic_category_code"]],
        mobile,
        _day(starts),
        f"{starts:%H:%M}",
        _day(row["booked_at"]),
        row["clinic_code"],
        row["site_code"],
        f"{service} - {TREATMENT_FUNCTION[service].title()}" if service else "",
        VISITS[row["first_attendance_code"]],
        MEDIA[row["consultation_mechanism_code"]],
        PRIORITIES[row["priority_type_code"]],
        codes.REFERRAL_SOURCE[referral].capitalize() if referral else "",
        interpreter,
        "Ambulance" if row["transport_booked"] else "None",
        row["lsoa_code"] or "",
        row["imd_decile"] or "",
        OUTCOMES[row["outcome_code"]],
        REASONS.get(row["outcome_code"], ""),
        f"{row['recorded_at']:%d/%m/%Y %H:%M}" if row["recorded_at"] else "",
    ]


def _day(date: datetime.date) -> str:
    return f"{date:%d/%m/%Y}"
