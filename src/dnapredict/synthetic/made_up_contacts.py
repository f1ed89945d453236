"""Made-up names and telephone numbers for the patients of a synthetic list, each name marked as made up.

The numbers are those that Ofcom reserves for drama: 07700 900000 to 900999, and 01632 960000 to 960999. They belong to
nobody (https://www.ofcom.org.uk, "Telephone numbers for use in TV and radio drama programmes").
"""

import datetime
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa

MARK: Final = "(made up)"
"""Follows each name, so that nobody takes it for a patient's name."""

_GIVEN: Final = {
    "1": ("Adam", "Bartosz", "Cheng", "Daniel", "Emeka", "Farid", "George", "Hamza", "Ivan", "Joseph", "Kwame", "Liam"),
    "2": ("Amina", "Blessing", "Chloe", "Divya", "Ewa", "Fatima", "Grace", "Hana", "Ioana", "Joyce", "Karen", "Li"),
}
_FAMILY: Final = ("Adeyemi", "Begum", "Clarke", "Davies", "Evans", "Fernandes", "Green", "Hussain", "Ionescu", "Jones")
_FAMILY_TOO: Final = ("Khan", "Lewis", "Mensah", "Nowak", "Okafor", "Patel", "Quinn", "Roberts", "Singh", "Taylor")
_LANGUAGES: Final = {
    "pl": "Polish",
    "ro": "Romanian",
    "ur": "Urdu",
    "bn": "Bengali",
    "pa": "Punjabi",
    "ar": "Arabic",
    "so": "Somali",
    "fr": "French",
    "zh": "Chinese",
    "pt": "Portuguese",
    "tr": "Turkish",
}
_NUMBERS: Final = 1_000
_DAYS_A_YEAR: Final = 365


def with_made_up_contacts(rows: pa.Table) -> pa.Table:
    """A synthetic list with the contact columns of the contract; one patient has the same ones in every row.

    >>> rows = pa.table({"patient_id": ["SYN-P1"], "starts_at": [datetime.datetime(2026, 12, 7)], "age_years": [40],
    ...     "gender_code": ["2"], "has_mobile": [True], "language_code": ["pl"], "interpreter_needed": [True]})
    >>> row = with_made_up_contacts(rows).to_pylist()[0]
    >>> row["person_full_name"].endswith("(made up)"), row["mobile_telephone"][:9], row["preferred_language"]
    (True, '07700 900', 'Polish')
    """
    cells = rows.select(_READ).to_pylist()
    for name, made_up in _COLUMNS.items():
        rows = rows.append_column(name, pa.array([made_up(row) for row in cells], pa.string()))
    return rows


def _name(row: Mapping[str, Any]) -> str:
    given = _GIVEN.get(row["gender_code"], (*_GIVEN["1"], *_GIVEN["2"]))
    family = (*_FAMILY, *_FAMILY_TOO)
    return f"{given[_drawn(row, 'given', len(given))]} {family[_drawn(row, 'family', len(family))]} {MARK}"


def _birth_date(row: Mapping[str, Any]) -> str:
    """A day on which the patient would be as old at the appointment as the list says."""
    day: datetime.date = row["starts_at"].date()
    first = day.replace(year=day.year - row["age_years"], day=min(day.day, 28))
    return (first - datetime.timedelta(days=1 + _drawn(row, "born", _DAYS_A_YEAR - 5))).isoformat()


def _mobile(row: Mapping[str, Any]) -> str | None:
    return f"07700 900{_drawn(row, 'mobile', _NUMBERS):03d}" if row["has_mobile"] else None


def _landline(row: Mapping[str, Any]) -> str | None:
    """A number at home, for everybody without a mobile telephone and for every third of the others."""
    has_one = not row["has_mobile"] or not _drawn(row, "landline", 3)
    return f"01632 960{_drawn(row, 'home', _NUMBERS):03d}" if has_one else None


def _language(row: Mapping[str, Any]) -> str | None:
    return _LANGUAGES.get(row["language_code"]) if row["interpreter_needed"] else None


_READ: Final = (
    "patient_id",
    "starts_at",
    "age_years",
    "gender_code",
    "has_mobile",
    "language_code",
    "interpreter_needed",
)
_COLUMNS: Final[dict[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "person_full_name": _name,
    "person_birth_date": _birth_date,
    "mobile_telephone": _mobile,
    "home_telephone": _landline,
    "preferred_language": _language,
}


def _drawn(row: Mapping[str, Any], what: str, many: int) -> int:
    """A number below `many` that depends on the patient and on what it is for."""
    return zlib.crc32(f"{what} {row['patient_id']}".encode()) % many
