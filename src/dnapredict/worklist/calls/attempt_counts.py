"""The table `attempts` of the calls database: calls that reached nobody, until somebody is reached.

A row has the number of its entry in the scoring log. A call that was answered with a wish to be called back has a row
too, so that a withdrawal removes the right one, but it does not count.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Attempt(NamedTuple):
    """A call that reached nobody: the number of its entry, hashes of appointment and patient, and the day (ISO)."""

    number: int
    appointment: str
    patient: str | None
    day: str


def record_attempt(connection: sqlite3.Connection, attempt: Attempt, *, counts: bool) -> None:
    """Record a call that reached nobody; `counts` is False if it was answered."""
    connection.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?)", (*attempt, int(counts)))


def forget_attempts(connection: sqlite3.Connection, appointment: str, *, patient: str | None) -> None:
    """Begin the count again, since the patient was reached."""
    connection.execute("DELETE FROM attempts WHERE appointment = ? OR patient = ?", (appointment, patient))


def withdraw_attempt(connection: sqlite3.Connection, appointment: str) -> None:
    """Remove the attempt that was recorded last, if the last outcome of the appointment was one."""
    last = "SELECT reached FROM contacts WHERE appointment = ?"
    if connection.execute(last, (appointment,)).fetchone() == (0,):
        newest = "SELECT max(number) FROM attempts WHERE appointment = ?"
        connection.execute(f"DELETE FROM attempts WHERE number = ({newest})", (appointment,))


def attempts_by(connection: sqlite3.Connection, column: str, hashes: Sequence[str]) -> Mapping[str, list[Attempt]]:
    """The attempts that count whose `column` is one of `hashes`, by hash."""
    marks = ", ".join("?" * len(hashes))
    sql = f"SELECT {', '.join(Attempt._fields)} FROM attempts WHERE counts AND {column} IN ({marks})"
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for each in map(Attempt._make, connection.execute(sql, hashes)):
        attempts[getattr(each, column)].append(each)
    return attempts
