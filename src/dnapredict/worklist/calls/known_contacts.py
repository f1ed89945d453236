"""Who was reached and who opted out of calls: the table `contacts`, and what it says about the patients of a list.

The table has one row for each appointment, from the actions that people record, oldest first. The last outcome of an
appointment counts, with two exceptions: an opt-out stays in force after later outcomes, and "recorded by mistake"
withdraws the last outcome, but not an earlier opt-out.
"""

import datetime
import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.data.files.digests import AS_WRITTEN, PATIENT, normal_form
from dnapredict.worklist.calls.attempt_counts import (
    Attempt,
    attempts_by,
    forget_attempts,
    record_attempt,
    withdraw_attempt,
)
from dnapredict.worklist.calls.calls_database import setting, write_settings

Effect = Literal["reached", "rebooked", "not reached", "wrong number", "call back", "opted out", "withdrawn"]

_NUMBER: Final = "log number"
_SEAL: Final = "log seal"
_SUM: Final = "contacts sum"
_MODULUS: Final = 1 << 128
_EMPTY: Final = f"{0:032x}"
# In the column `opted_out`: the opt-out was recorded last, or something else after it.
_OUT: Final = 1
_OTHER_ATTEMPTS_COUNT_FOR: Final = datetime.timedelta(days=14)
_OUT_BEFORE: Final = 2


@dataclass(frozen=True)
class Contact:
    """An outcome recorded about an appointment, from the scoring log.

    Attributes
    ----------
    number, seal
        Number and seal of the entry in the log.
    appointment, patient
        Keyed hashes; the patient may not be known.
    day
        Local day on which it was recorded.
    effect
        "rebooked" counts as reached, but about an appointment time that no longer exists.
    """

    number: int
    seal: str
    appointment: str
    patient: str | None
    clinic: str | None
    day: datetime.date
    outcome: str
    effect: Effect


class RecordedContacts(Protocol):
    """The interface to the scoring log, which is in a higher layer."""

    def hashed(self, kind: str, value: str) -> str:
        """The keyed hash that identifies an appointment or a patient in the log."""

    def after(self, number: int, seal: str) -> Iterable[Contact]:
        """Contacts recorded after the entry `number` with that seal; all where there is no such entry."""


def read_up_to(connection: sqlite3.Connection) -> tuple[int, str]:
    """The number and the seal of the last entry that is in the table; (0, "") for none."""
    return int(setting(connection, _NUMBER) or 0), setting(connection, _SEAL)


def add(connection: sqlite3.Connection, contacts: Iterable[Contact]) -> None:
    """Add `contacts`, which follow those that are there, to the table."""
    last = None
    for last in contacts:
        _add(connection, last)
    if last is not None:
        write_settings(connection, {_NUMBER: str(last.number), _SEAL: last.seal})


def verify(connection: sqlite3.Connection) -> bool:
    """Whether the rows are unchanged: with an altered hash an opt-out would be lost unnoticed."""
    return (setting(connection, _SUM) or _EMPTY) == _total(connection)


def accept_rows(connection: sqlite3.Connection) -> None:
    """Make `verify` hold for the present rows."""
    write_settings(connection, {_SUM: _total(connection)})


def _add(connection: sqlite3.Connection, new: Contact) -> None:
    sql = "SELECT patient, opted_out FROM contacts WHERE appointment = ?"
    old = connection.execute(sql, (new.appointment,)).fetchone()
    if new.effect == "withdrawn":
        withdraw_attempt(connection, new.appointment)
        _withdraw(connection, new, opted_out=None if old is None else old[1])
        return
    patient, opted_out = old or (None, 0)
    reached = new.effect in ("reached", "rebooked", "opted out")
    day, patient = new.day.isoformat(), new.patient or patient or _patient_listed(connection, new.appointment)
    row = (
        new.appointment,
        patient,
        new.clinic,
        day,
        new.outcome,
        int(reached),
        # Rebooked: the patient was reached, so that the mute period counts, but about a time that no longer exists.
        int(reached and new.effect != "rebooked"),
        _OUT if new.effect == "opted out" else _OUT_BEFORE if opted_out else 0,
    )
    _put(connection, row)
    if reached:
        forget_attempts(connection, new.appointment, patient=patient)
    else:
        attempt = Attempt(new.number, new.appointment, patient, day)
        record_attempt(connection, attempt, counts=new.effect != "call back")


def _put(connection: sqlite3.Connection, row: tuple[object, ...]) -> None:
    _remove(connection, "appointment = ?", row[0])
    connection.execute("INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    _change_sum(connection, _sum_of(row))


def _patient_listed(connection: sqlite3.Connection, appointment: str) -> str | None:
    """The patient of an appointment on a list of this home; lists scored as files are not in the log."""
    row = connection.execute("SELECT patient FROM listed WHERE appointment = ?", (appointment,)).fetchone()
    return None if row is None else str(row[0])


def _withdraw(connection: sqlite3.Connection, new: Contact, *, opted_out: int | None) -> None:
    """Withdraw the last outcome of the appointment, or the patient's opt-out if the appointment has no outcome.

    `opted_out` is None if the appointment has no outcome.
    """
    # Only the outcome after the opt-out was a mistake: the opt-out itself counts again.
    if opted_out == _OUT_BEFORE:
        kept = "SELECT appointment, patient, clinic, day, outcome, 1, 1, ? FROM contacts WHERE appointment = ?"
        _put(connection, connection.execute(kept, (_OUT, new.appointment)).fetchone())
    elif opted_out is not None:
        _remove(connection, "appointment = ?", new.appointment)
    elif new.patient is not None:
        _remove(connection, "patient = ? AND opted_out", new.patient)


def _remove(connection: sqlite3.Connection, where: str, value: object) -> None:
    rows = connection.execute(f"SELECT * FROM contacts WHERE {where}", (value,)).fetchall()
    connection.execute(f"DELETE FROM contacts WHERE {where}", (value,))
    if rows:
        _change_sum(connection, -sum(map(_sum_of, rows)))


def _change_sum(connection: sqlite3.Connection, change: int) -> None:
    # A sum of row hashes modulo 2**128: it is updated for one row at a time, whatever the order of the rows.
    before = int(setting(connection, _SUM) or _EMPTY, 16)
    write_settings(connection, {_SUM: f"{(before + change) % _MODULUS:032x}"})


def _total(connection: sqlite3.Connection) -> str:
    total = sum(map(_sum_of, connection.execute("SELECT * FROM contacts")))
    return f"{total % _MODULUS:032x}"


def _sum_of(row: tuple[object, ...]) -> int:
    return int.from_bytes(hashlib.sha256(repr(row).encode()).digest()[:16], "big")


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
    attempts
        By row: days of the calls that reached nobody since somebody was reached, about the row's appointment.
    other_attempts
        The same about other appointments of the patient.
    notices
        Limitations, in sentences for the people who work with the list.
    """

    opted_out: frozenset[int] = frozenset()
    settled: frozenset[int] = frozenset()
    reached_on: Mapping[int, Sequence[datetime.date]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    attempts: Mapping[int, Sequence[datetime.date]] = field(default_factory=dict)
    other_attempts: Mapping[int, Sequence[datetime.date]] = field(default_factory=dict)

    def unanswered(self, today: datetime.date, *, most_attempts: int) -> list[int]:
        """The rows about which, or about whose patient lately, `most_attempts` calls reached nobody.

        A call about another appointment counts for two weeks: later, the patient may have another number.
        """
        since = today - _OTHER_ATTEMPTS_COUNT_FOR
        counts = {row: len(days) for row, days in self.attempts.items()}
        for row, days in self.other_attempts.items():
            counts[row] = counts.get(row, 0) + sum(day >= since for day in days)
        return sorted(row for row, count in counts.items() if count >= most_attempts)

    def mutes(self, row: int, call_by: datetime.date, *, mute_days: int) -> bool:
        """Whether the patient was reached for this clinic within `mute_days` of the day of the call."""
        if not mute_days:
            return False
        # Before or after: an overdue call is due on a day before the patient was reached.
        return any(abs((call_by - day).days) <= mute_days for day in self.reached_on.get(row, ()))

    def muted(self, call_by: NDArray[np.datetime64], *, mute_days: int) -> NDArray[np.bool_]:
        """The same for every row of the list, each to be called by its day of `call_by`."""
        found = np.zeros(len(call_by), dtype=bool)
        for row in self.reached_on:
            found[row] = self.mutes(row, call_by[row].astype(object), mute_days=mute_days)
        return found


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
    attempts: dict[int, list[datetime.date]] = defaultdict(list)
    other_attempts: dict[int, list[datetime.date]] = defaultdict(list)
    for row, clinic, known in _rows(listed, connection, hashed):
        if any(each.opted_out for each in (*known.about, *known.of_patient)):
            opted_out.add(row)
        if any(each.settled for each in known.about):
            settled.add(row)
        for each in known.of_patient:
            if each.reached and clinic is not None and each.clinic == clinic:
                reached_on[row].append(datetime.date.fromisoformat(each.day))
        for attempt in known.attempts:
            days = attempts if attempt.appointment == known.appointment else other_attempts
            days[row].append(datetime.date.fromisoformat(attempt.day))
    return KnownContacts(
        frozenset(opted_out), frozenset(settled), dict(reached_on), notices, dict(attempts), dict(other_attempts)
    )


class _RowContacts(NamedTuple):
    """What is known about a row: its appointment's hash, and contacts by appointment and by patient."""

    appointment: str
    about: Sequence[_Contact]
    of_patient: Sequence[_Contact]
    attempts: Sequence[Attempt]


def _rows(
    listed: pa.Table, connection: sqlite3.Connection, hashed: Hashed
) -> Iterator[tuple[int, str | None, _RowContacts]]:
    """Each row with contacts or attempts, its clinic, and what is known about it."""
    for first in range(0, listed.num_rows, _VALUES_AT_ONCE):
        part = listed.select(_COLUMNS).slice(first, _VALUES_AT_ONCE)
        ids, patient_ids, clinics = (column.cast(pa.string()).to_pylist() for column in part.columns)
        appointments = [hashed("appointment", each) for each in ids]
        patients = [_of_patient(each, hashed) for each in patient_ids]
        all_patients = list(chain.from_iterable(patients))
        about = _by(connection, "appointment", appointments)
        of_patient = _by(connection, "patient", all_patients)
        tried = attempts_by(connection, "appointment", appointments)
        tried_patients = attempts_by(connection, "patient", all_patients)
        if not (about or of_patient or tried or tried_patients):
            continue
        for index, (appointment, forms) in enumerate(zip(appointments, patients, strict=True)):
            contacts = tuple(chain.from_iterable(of_patient.get(form, ()) for form in forms))
            attempts = {*tried.get(appointment, ())}.union(*(tried_patients.get(form, ()) for form in forms))
            if contacts or attempts or appointment in about:
                known = _RowContacts(appointment, about.get(appointment, ()), contacts, sorted(attempts))
                yield first + index, clinics[index], known


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
