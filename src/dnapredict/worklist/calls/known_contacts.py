"""What is known about the patients of a list: who opted out of calls, who was reached and when."""

import datetime
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

import pyarrow as pa

from dnapredict.data.files.digests import AS_WRITTEN, PATIENT, normal_form

Hashed = Callable[[str, str], str]
"""The keyed hash of a value of a kind, "appointment" or "patient"."""

_COLUMNS: Final = ("appointment_id", "patient_id", "clinic_code")
# Below the limit on parameters of a statement in any SQLite (999).
_VALUES_AT_ONCE: Final = 400


@dataclass(frozen=True)
class KnownContacts:
    """What is known about the rows of a list.

    Attributes
    ----------
    opted_out
        Rows whose patient opted out of calls.
    settled
        Rows about whose appointment the patient was already reached.
    reached_on
        By row: days on which the patient was reached for the row's clinic.
    notices
        Limitations, in sentences for the people who work with the list.
    """

    opted_out: frozenset[int] = frozenset()
    settled: frozenset[int] = frozenset()
    reached_on: Mapping[int, Sequence[datetime.date]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def mutes(self, row: int, call_by: datetime.date, *, mute_days: int) -> bool:
        """Whether the patient was reached for this clinic within `mute_days` of the day of the call."""
        if not mute_days:
            return False
        # Before or after: an overdue call is due on a day before the patient was reached.
        return any(abs((call_by - day).days) <= mute_days for day in self.reached_on.get(row, ()))


class _Contact(NamedTuple):
    """The columns of the table `contacts` that a list needs."""

    appointment: str
    patient: str | None
    clinic: str | None
    day: str
    reached: int
    settled: int
    opted_out: int


def contacts_of(
    listed: pa.Table, connection: sqlite3.Connection, *, hashed: Hashed, notices: tuple[str, ...] = ()
) -> KnownContacts:
    """The contacts that concern the rows of `listed`, queried for a few hundred rows at a time.

    Parameters
    ----------
    listed
        `appointment_id`, `patient_id` and `clinic_code`; a patient or a clinic may be null.
    """
    opted_out: set[int] = set()
    settled: set[int] = set()
    reached_on: dict[int, list[datetime.date]] = defaultdict(list)
    for row, clinic, about, of_patient in _rows(listed, connection, hashed):
        if any(each.opted_out for each in (*about, *of_patient)):
            opted_out.add(row)
        if any(each.settled for each in about):
            settled.add(row)
        for each in of_patient:
            if each.reached and clinic is not None and each.clinic == clinic:
                reached_on[row].append(datetime.date.fromisoformat(each.day))
    return KnownContacts(frozenset(opted_out), frozenset(settled), dict(reached_on), notices)


def _rows(
    listed: pa.Table, connection: sqlite3.Connection, hashed: Hashed
) -> Iterator[tuple[int, str | None, Sequence[_Contact], Sequence[_Contact]]]:
    """Each row with contacts: its number, its clinic, and the contacts by appointment and by patient."""
    for first in range(0, listed.num_rows, _VALUES_AT_ONCE):
        part = listed.select(_COLUMNS).slice(first, _VALUES_AT_ONCE)
        ids, patient_ids, clinics = (column.cast(pa.string()).to_pylist() for column in part.columns)
        appointments = [hashed("appointment", each) for each in ids]
        patients = [_of_patient(each, hashed) for each in patient_ids]
        about = _by(connection, "appointment", appointments)
        of_patient = _by(connection, "patient", list(chain.from_iterable(patients)))
        if not about and not of_patient:
            continue
        for index, (appointment, forms) in enumerate(zip(appointments, patients, strict=True)):
            contacts = list(chain.from_iterable(of_patient.get(form, ()) for form in forms))
            if contacts or appointment in about:
                yield first + index, clinics[index], about.get(appointment, ()), contacts


def _of_patient(number: str | None, hashed: Hashed) -> tuple[str, ...]:
    """The hashes under which a patient may be recorded: of the normalised number, and of the number as written."""
    if number is None:
        return ()
    known = hashed(PATIENT, number)
    return (known,) if normal_form(number) == number else (known, hashed(AS_WRITTEN, number))


def _by(connection: sqlite3.Connection, column: str, hashes: Sequence[str]) -> Mapping[str, list[_Contact]]:
    """The contacts whose `column` is one of `hashes`, by hash."""
    marks = ", ".join("?" * len(hashes))
    sql = f"SELECT {', '.join(_Contact._fields)} FROM contacts WHERE {column} IN ({marks})"
    contacts: dict[str, list[_Contact]] = defaultdict(list)
    for each in map(_Contact._make, connection.execute(sql, hashes)):
        contacts[getattr(each, column)].append(each)
    return contacts


def opted_out(patient_of: Mapping[str, str | None], connection: sqlite3.Connection) -> frozenset[str]:
    """The appointments (as hashes) whose patient opted out of calls.

    Parameters
    ----------
    patient_of
        The patient of each appointment, None where only the lists of the home may know.
    """
    rows = connection.execute("SELECT appointment, patient FROM contacts WHERE opted_out").fetchall()
    if not rows:
        return frozenset()
    appointments, patients = {row[0] for row in rows}, {row[1] for row in rows} - {None}
    listed = _patients_listed(list(patient_of), connection)
    return frozenset(
        each
        for each, patient in patient_of.items()
        if each in appointments or patient in patients or listed.get(each) in patients
    )


def _patients_listed(appointments: Sequence[str], connection: sqlite3.Connection) -> Mapping[str, str]:
    patients: dict[str, str] = {}
    for first in range(0, len(appointments), _VALUES_AT_ONCE):
        some = appointments[first : first + _VALUES_AT_ONCE]
        marks = ", ".join("?" * len(some))
        patients |= dict(
            connection.execute(f"SELECT appointment, patient FROM listed WHERE appointment IN ({marks})", some)
        )
    return patients
