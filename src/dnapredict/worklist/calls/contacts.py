"""Who was reached, and who opted out of calls: one row for each appointment in the table `contacts`.

The rows come from the actions that people record, oldest first. The last outcome of an appointment counts, with two
exceptions: an opt-out stays in force after later outcomes, and "recorded by mistake" withdraws the last outcome, but
not an earlier opt-out.
"""

import datetime
import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from dnapredict.worklist.calls.calls_database import setting, write_settings

Effect = Literal["reached", "rebooked", "not reached", "opted out", "withdrawn"]

_NUMBER: Final = "log number"
_SEAL: Final = "log seal"
_SUM: Final = "contacts sum"
_MODULUS: Final = 1 << 128
_EMPTY: Final = f"{0:032x}"
# In the column `opted_out`: the opt-out was recorded last, or something else after it.
_OUT: Final = 1
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
        _withdraw(connection, new, opted_out=None if old is None else old[1])
        return
    patient, opted_out = old or (None, 0)
    reached = new.effect in ("reached", "rebooked", "opted out")
    row = (
        new.appointment,
        new.patient or patient or _patient_listed(connection, new.appointment),
        new.clinic,
        new.day.isoformat(),
        new.outcome,
        int(reached),
        # Rebooked: the patient was reached, so that the mute period counts, but about a time that no longer exists.
        int(reached and new.effect != "rebooked"),
        _OUT if new.effect == "opted out" else _OUT_BEFORE if opted_out else 0,
    )
    _put(connection, row)


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
