"""Patients who were reached, opted out of calls or did not answer: derived from the table `events`.

The table is a copy of the scoring log's entries about calls, in order. If the log does not have the patient of an
appointment, the lists of the home give it. Rows are never changed; the state is computed for each list.
"""

import datetime
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.data.files.digests import AS_WRITTEN, PATIENT, normal_form
from dnapredict.worklist.calls.attempts import NO_EVENTS, CallEvent, CallState, Effect, call_state
from dnapredict.worklist.calls.calls_database import accept_new_rows, accept_rows, setting, write_settings
from dnapredict.worklist.calls.recorded_calls import RecordedCall
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

_NUMBER: Final = "log number"
_SEAL: Final = "log seal"
_OTHER_ATTEMPTS_COUNT_FOR: Final = datetime.timedelta(days=14)
# A list of a million rows does not need the hashes of all at the same time.
_ROWS_AT_ONCE: Final = 10_000
_COLUMNS: Final = ("appointment_id", "patient_id", "clinic_code")
# All events about the appointments, and about those of the patients or of the appointments' patients. Each CROSS JOIN
# makes SQLite look up what is before it in what is after it.
_CONCERNING: Final = f"""
    WITH concerned AS (
        SELECT appointment, patient FROM json_each(:appointments) CROSS JOIN events ON appointment = value
        UNION SELECT appointment, patient FROM json_each(:patients) CROSS JOIN events ON patient = value
    ), about AS (
        SELECT appointment FROM concerned
        UNION SELECT events.appointment FROM concerned CROSS JOIN events USING (patient)
    )
    SELECT {", ".join(CallEvent._fields)} FROM about CROSS JOIN events USING (appointment) ORDER BY id
"""

PatientsOf = Callable[[Collection[str]], Mapping[str, str | None]]
"""Gives the patient of appointments, at least of those that belong to some patients; all are hashes."""

Hashed = Callable[[str, str], str]
"""The keyed hash of a value of a kind, "appointment" or "patient"."""


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
    """Copy `contacts`, which follow those that were copied, into the table."""
    new = list(contacts)
    if not new:
        return
    is_read_from_beginning = not read_up_to(connection)[0]
    if is_read_from_beginning:
        _remove_rescued(connection, new)
    # If a log was restored from a backup, it is read again: what is known of it keeps its place.
    sql = "INSERT OR IGNORE INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?) RETURNING *"
    rows = [row for each in new for row in connection.execute(sql, _columns(connection, each))]
    if is_read_from_beginning:
        accept_rows(connection)
    else:
        accept_new_rows(connection, rows)
    write_settings(connection, {_NUMBER: str(new[-1].number), _SEAL: new[-1].seal})


def _remove_rescued(connection: sqlite3.Connection, new: Iterable[Contact]) -> None:
    """Remove rows rescued from a damaged database, or kept by an earlier release, if the log has the same entries.

    An earlier release kept no numbers. Its opt-outs are kept, since retention may have removed their log entries.
    """
    sql = "DELETE FROM events WHERE appointment = ? AND (number = ? OR (number = 0 AND effect <> 'opted out'))"
    connection.executemany(sql, ((each.appointment, each.number) for each in new))


def _columns(connection: sqlite3.Connection, new: Contact) -> tuple[object, ...]:
    # Lists scored as files are not in the log, and rows of `listed` are not kept as long as an opt-out.
    patient = new.patient or _patients_listed([new.appointment], connection).get(new.appointment)
    return new.number, new.appointment, patient, new.clinic, new.day.isoformat(), new.outcome, new.effect


class _States:
    """The state that follows from the events about some appointments and patients; all are hashes."""

    def __init__(self, events: Iterable[CallEvent], *, same: Mapping[str, str] | None = None) -> None:
        """`same` maps a patient's hash to another hash of the same patient."""
        events = list(events)
        # Not every entry contains the patient of the appointment. The last entry with a patient counts.
        named = {each.appointment: each.patient for each in events if each.patient is not None}
        self._patient = {appointment: (same or {}).get(each, each) for appointment, each in named.items()}
        of_patient: dict[str, list[CallEvent]] = defaultdict(list)
        for each in events:
            of_patient[self.patient_of(each.appointment)].append(each)
        self._states = {patient: call_state(own) for patient, own in of_patient.items()}

    def patient_of(self, appointment: str) -> str:
        """The patient of an appointment; an appointment without a known patient counts as a patient of its own."""
        return self._patient.get(appointment, appointment)

    def of(self, patient: str) -> CallState:
        return self._states.get(patient, NO_EVENTS)

    def opted_out(self) -> Iterator[str]:
        return (patient for patient, state in self._states.items() if state.opted_out)

    def appointments_of(self, patients: Collection[str]) -> Iterator[str]:
        return (appointment for appointment, patient in self._patient.items() if patient in patients)


def _events(
    connection: sqlite3.Connection, appointments: Iterable[str], patients: Iterable[str]
) -> Iterator[CallEvent]:
    values = {"appointments": json.dumps(list(appointments)), "patients": json.dumps(list(patients))}
    return map(CallEvent._make, connection.execute(_CONCERNING, values))


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
        By row: days of the unanswered calls about the row's appointment since the patient was last reached.
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
        """The rows with `most_attempts` unanswered calls about the appointment, or lately about its patient.

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


def contacts_of(
    listed: pa.Table, connection: sqlite3.Connection, *, hashed: Hashed, notices: tuple[str, ...] = ()
) -> KnownContacts:
    """The contacts that concern the rows of `listed`.

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
    for row, appointment, clinic, about, of_patient in _rows(listed, connection, hashed):
        if about.opted_out or of_patient.opted_out:
            opted_out.add(row)
        if about.is_settled(appointment):
            settled.add(row)
        for each in of_patient.reached.values():
            if clinic is not None and each.clinic == clinic:
                reached_on[row].append(_day(each))
        for each in about.attempts:
            if each.appointment == appointment:
                attempts[row].append(_day(each))
        for each in of_patient.attempts:
            if each.appointment != appointment:
                other_attempts[row].append(_day(each))
    return KnownContacts(
        frozenset(opted_out), frozenset(settled), dict(reached_on), notices, dict(attempts), dict(other_attempts)
    )


def _day(event: CallEvent) -> datetime.date:
    return datetime.date.fromisoformat(event.day)


def _rows(
    listed: pa.Table, connection: sqlite3.Connection, hashed: Hashed
) -> Iterator[tuple[int, str, str | None, CallState, CallState]]:
    """Each row with events: its number, appointment and clinic, and the states of the appointment's and its patient."""
    for first in range(0, listed.num_rows, _ROWS_AT_ONCE):
        part = listed.select(_COLUMNS).slice(first, _ROWS_AT_ONCE)
        ids, numbers, clinics = (column.cast(pa.string()).to_pylist() for column in part.columns)
        appointments = [hashed("appointment", each) for each in ids]
        patients = [each and hashed(PATIENT, each) for each in numbers]
        # Older entries have the hash of the number as it was written.
        same = {
            hashed(AS_WRITTEN, number): patient
            for number, patient in zip(numbers, patients, strict=True)
            if number is not None and normal_form(number) != number
        }
        states = _States(_events(connection, appointments, chain(filter(None, patients), same)), same=same)
        for row, (appointment, patient, clinic) in enumerate(zip(appointments, patients, clinics, strict=True), first):
            about = states.of(states.patient_of(appointment))
            of_patient = about if patient is None else states.of(patient)
            if about is not NO_EVENTS or of_patient is not NO_EVENTS:
                yield row, appointment, clinic, about, of_patient


def opted_out(
    appointments: Collection[str],
    connection: sqlite3.Connection,
    *,
    patients_of: PatientsOf,
    stated: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """The appointments (as hashes) whose patient opted out of calls.

    Parameters
    ----------
    patients_of
        Gives the patients of appointments according to the scoring log.
    stated
        Patients who opted out by the column of a list.
    """
    recorded = [row[0] for row in connection.execute("SELECT appointment FROM events WHERE effect = 'opted out'")]
    states = _States(_events(connection, recorded, ()))
    out = stated.union(states.opted_out())
    if not out:
        return frozenset()
    # From the few patients to their appointments: a list has thousands, and call mode asks for each patient.
    logged = (appointment for appointment, patient in patients_of(out).items() if patient in out)
    concerned = {*out, *logged, *_appointments_listed(out, connection), *states.appointments_of(out)}
    return frozenset(each for each in appointments if each in concerned)


def recorded_events(connection: sqlite3.Connection) -> list[RecordedCall]:
    """All events as recorded calls, in order, each at the end of its local day."""
    sql = "SELECT number, appointment, patient, day, outcome, effect FROM events ORDER BY id"
    return [
        RecordedCall(number, appointment, patient, _end_of(day), outcome, effect)
        for number, appointment, patient, day, outcome, effect in connection.execute(sql)
    ]


def _end_of(day: str) -> datetime.datetime:
    """The last moment of a local day, in UTC without a zone."""
    following = datetime.date.fromisoformat(day) + datetime.timedelta(days=1)
    midnight = datetime.datetime.combine(following, datetime.time(), LOCAL_ZONE)
    return midnight.astimezone(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(microseconds=1)


def _patients_listed(appointments: Sequence[str], connection: sqlite3.Connection) -> Mapping[str, str]:
    sql = "SELECT appointment, patient FROM json_each(?) CROSS JOIN listed ON appointment = value"
    return dict(connection.execute(sql, (json.dumps(appointments),)))


def _appointments_listed(patients: Iterable[str], connection: sqlite3.Connection) -> list[str]:
    sql = "SELECT appointment FROM json_each(?) CROSS JOIN listed ON patient = value"
    return [appointment for (appointment,) in connection.execute(sql, (json.dumps(list(patients)),))]
