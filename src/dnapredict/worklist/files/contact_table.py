"""Contact details in the columns of a table: read from a list, and written as text for a download."""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from dnapredict.data.contract.telephones import telephones_in
from dnapredict.data.readers.csv_dialect import ROW_NUMBER

# Titles and degrees that follow a name after a comma.
_AFTER_A_NAME: Final = frozenset({"phd", "md", "mr", "mrs", "ms", "miss", "dr", "jr", "sr", "jnr", "snr"})
_TELEPHONES: Final = {"mobile_telephone": "mobile", "home_telephone": "home", "other_telephone": "other"}


@dataclass(frozen=True)
class ContactDetails:
    """The contact details of a patient, as on the list; unknown ones are empty.

    `telephones` are in the order in which to call them, the mobile number first. `kinds` has the kind of each number:
    "mobile", "home" or "other". Numbers are shown as they are on the list; `data.contract.telephones.dialled` gives the
    number that a link dials.
    """

    name: str | None = field(default=None, repr=False)
    birth_date: datetime.date | None = field(default=None, repr=False)
    telephones: tuple[str, ...] = field(default=(), repr=False)
    language: str | None = field(default=None, repr=False)
    preferred_time: str | None = field(default=None, repr=False)
    kinds: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return self == ContactDetails()


def details_of(contacts: pa.Table) -> dict[int, ContactDetails]:
    """The contact details by row number of a table of contact columns (`data.mapping.contact_columns`)."""
    return {row[ROW_NUMBER]: details for row in contacts.to_pylist() if not (details := _details_of_row(row)).is_empty}


def _details_of_row(row: Mapping[str, Any]) -> ContactDetails:
    both = (row.get("person_given_name"), row.get("person_family_name"))
    name = " ".join(part for part in both if part) or row.get("person_full_name")
    if row.get("person_full_name") and not all(both):
        name = row["person_full_name"]
    numbers: dict[str, str] = {}
    for column, kind in _TELEPHONES.items():
        for number in telephones_in(row.get(column) or ""):
            numbers.setdefault(number, kind)
    return ContactDetails(
        name=_in_spoken_order(_one_line(name)),
        birth_date=row.get("person_birth_date"),
        telephones=tuple(numbers),
        kinds=tuple(numbers.values()),
        language=_one_line(row.get("preferred_language")),
        preferred_time=_one_line(row.get("preferred_contact_time")),
    )


def _in_spoken_order(name: str | None) -> str | None:
    """A name with the given name first; lists often have the family name first, with a comma.

    >>> _in_spoken_order("O'Brien, Mary Ann"), _in_spoken_order("SMITH, Jo (Mrs)"), _in_spoken_order("Sam Jones, PhD")
    ("Mary Ann O'Brien", 'Jo (Mrs) SMITH', 'Sam Jones, PhD')
    """
    family, comma, given = (name or "").partition(", ")
    is_turned = comma and given and "," not in given and given.lower() not in _AFTER_A_NAME
    return f"{given} {family}" if is_turned else name


def _one_line(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split()) or None


CARRIED: Final = (
    "person_full_name",
    "person_birth_date",
    *_TELEPHONES,
    "preferred_language",
    "preferred_contact_time",
)
"""The contact columns that a download can have, under these names; a full name is joined from its parts."""


def columns_carried(contact_columns: Collection[str]) -> tuple[str, ...]:
    """The columns of `CARRIED` that a list with these contact columns has."""
    has_name = any(name.startswith("person_") and name.endswith("_name") for name in contact_columns)
    return tuple(name for name in CARRIED if name in contact_columns or (name == CARRIED[0] and has_name))


def carried_table(details: Mapping[int, ContactDetails], names: Sequence[str]) -> pa.Table:
    """The columns `names` of `CARRIED` as text for a download, with the row number of each."""
    rows = [carried_row(each) for each in details.values()]
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in names}
    return pa.table({ROW_NUMBER: pa.array(list(details), pa.int64()), **columns})


def carried_row(details: ContactDetails) -> dict[str, str | None]:
    """All columns of `CARRIED` of one row."""
    numbers = tuple(zip(details.telephones, details.kinds, strict=True))
    of_kind = {
        column: " / ".join(number for number, own in numbers if own == kind) or None
        for column, kind in _TELEPHONES.items()
    }
    return of_kind | {
        "person_full_name": details.name,
        "person_birth_date": None if details.birth_date is None else f"{details.birth_date:%d/%m/%Y}",
        "preferred_language": details.language,
        "preferred_contact_time": details.preferred_time,
    }
