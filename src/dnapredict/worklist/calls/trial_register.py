"""The patients and appointments of the trials of a home, in `HOME/trial/register.db`.

The register holds keyed hashes (HMAC-SHA-256) and the place of each patient in the sequence of the stratum; not the
arm, which follows from the place and the secret `HOME/trial/arms.secret` (`plan.trial_arms.arm_sequence`). Without
that secret nobody can tell an arm. Both files are for their owner alone.
"""

import datetime
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from dnapredict.config.trial_config import TrialConfig
from dnapredict.data.files.atomic_write import create_private_file, private_folder
from dnapredict.data.files.digests import PATIENT, SecretError, keyed_hash, read_or_make, read_secret
from dnapredict.data.files.newest_marks import NewestMark, NewestState
from dnapredict.errors import StoreError
from dnapredict.worklist.calls.calls_database import refusal_of_disk
from dnapredict.worklist.plan.trial_arms import PatientPlace, arm_sequence, order_key

FOLDER: Final = "trial"
SECRET: Final = "arms.secret"  # noqa: S105 - the name of a file
_DATABASE: Final = "register.db"
_SECONDS_TO_WAIT: Final = 30.0
_VALUES_AT_ONCE: Final = 500
_TABLES: Final = {
    "patients": "trial, patient, stratum, place INTEGER, listed_on, PRIMARY KEY (trial, patient), "
    "UNIQUE (trial, stratum, place)",
    "appointments": "trial, appointment, listed_on, PRIMARY KEY (trial, appointment)",
    "settings": "name PRIMARY KEY, value",
}
_CHECK: Final = "secret check"
_WRITES: Final = "writes"
_USED_FOR: Final = "the arms of a trial were drawn with it, so that nobody can tell them without it"
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TrialRegister:
    """The register of one trial of a home; lists of any process add to it.

    Attributes
    ----------
    today
        The day on which patients are added.

    Raises
    ------
    SecretError
        From any method, if the secret is missing although patients were allocated with it, damaged or replaced.
    StoreError
        From any method, if the register cannot be read or written.
    """

    home: Path
    trial: TrialConfig
    today: datetime.date

    @property
    def path(self) -> Path:
        """The file of the register."""
        return self.home / FOLDER / _DATABASE

    def known(self, patients: Sequence[str]) -> dict[str, PatientPlace]:
        """The places of those of these patients who are in the trial."""
        hashes = {self._hash(PATIENT, each): each for each in patients}
        found = self._run(lambda connection: self._places(connection, list(hashes)))
        return {hashes[patient]: place for patient, place in found.items()}

    def add(self, strata: dict[str, str]) -> dict[str, PatientPlace]:
        """Give each of these patients the next place of the given stratum, in the order of a keyed hash.

        A patient whom another process added in the meantime keeps that place.
        """
        key = self._secret
        hashes = {self._hash(PATIENT, each): each for each in strata}
        ordered = sorted(hashes, key=lambda each: order_key(key, trial=self.trial.name, patient=each))
        new = [(each, strata[hashes[each]]) for each in ordered]
        found = self._run(lambda connection: self._add(connection, new))
        return {hashes[patient]: place for patient, place in found.items()}

    def appointments(self, appointments: Sequence[str]) -> set[str]:
        """Those of these appointments that were in the trial on an earlier list."""
        hashes = {self._hash("appointment", each): each for each in appointments}
        sql = "SELECT appointment FROM appointments WHERE trial = ? AND appointment IN"
        found = self._run(lambda connection: list(self._select(connection, sql, list(hashes))))
        return {hashes[appointment] for (appointment,) in found}

    def note(self, appointments: Iterable[str]) -> None:
        """Record that these appointments are in the trial, whatever later lists plan for them."""
        rows = [(self.trial.name, self._hash("appointment", each), self.today.isoformat()) for each in appointments]
        self._run(
            lambda connection: connection.executemany("INSERT OR IGNORE INTO appointments VALUES (?, ?, ?)", rows)
        )

    @property
    def last_day(self) -> datetime.date | None:
        """The last day on which a list added a patient or appointment; None before the first."""
        if not self.path.exists():
            return None
        sql = (
            "SELECT max(day) FROM (SELECT max(listed_on) AS day FROM patients WHERE trial = :trial "
            "UNION ALL SELECT max(listed_on) FROM appointments WHERE trial = :trial)"
        )
        (day,) = self._run(lambda connection: connection.execute(sql, {"trial": self.trial.name}).fetchone())
        return None if day is None else datetime.date.fromisoformat(day)

    @property
    def secret_mark(self) -> str:
        """A hash by which the secret is recognised and not known; the first time, the secret is made."""
        return self._hash("secret", "check")

    @cached_property
    def _secret(self) -> bytes:
        path = self.home / FOLDER / SECRET
        # The register is made first, so that a secret without one tells that it was lost.
        is_used = bool(self._connected(_setting))
        return read_or_make(path, used_for=_USED_FOR if is_used else "")

    def _hash(self, kind: str, value: str) -> str:
        return keyed_hash(self._secret, kind, value)

    def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """`work` in one transaction, after checking that the secret is the one of the register."""
        mark = self.secret_mark

        def checked(connection: sqlite3.Connection) -> _Result:
            if (expected := _setting(connection)) and expected != mark:
                raise another_secret(self.home)
            connection.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (_CHECK, mark))
            return work(connection)

        return self._connected(checked)

    def _connected(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        require_register(self.home)
        try:
            private_folder(self.path.parent)
            create_private_file(self.path)
            connect = sqlite3.connect(self.path, timeout=_SECONDS_TO_WAIT, isolation_level=None)
            with closing(connect) as connection:
                connection.execute("BEGIN IMMEDIATE")
                for name, columns in _TABLES.items():
                    connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) WITHOUT ROWID")
                writes = _require_newest(self.home, connection)
                before = connection.total_changes
                result = work(connection)
                if is_changed := connection.total_changes > before:
                    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_WRITES, str(writes + 1)))
                connection.execute("COMMIT")
            if is_changed:
                _mark(self.home).note(NewestState(number=writes + 1))
            return result
        except sqlite3.Error as error:
            if reason := refusal_of_disk(error):  # nothing is lost: a backup would only be older
                raise StoreError(
                    f"{self.path}: the register of the trial cannot be written: {reason}. Mend that, and run the same "
                    "command again."
                ) from None
            raise _unusable(self.path, f"cannot be used ({type(error).__name__})") from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror}).") from None

    def _add(self, connection: sqlite3.Connection, new: Sequence[tuple[str, str]]) -> dict[str, PatientPlace]:
        there = self._places(connection, [patient for patient, _ in new])
        sql = "SELECT stratum, max(place) FROM patients WHERE trial = ? GROUP BY stratum"
        last = dict(connection.execute(sql, (self.trial.name,)).fetchall())
        for patient, stratum in new:
            if patient not in there:
                last[stratum] = last.get(stratum, 0) + 1
                row = (self.trial.name, patient, stratum, last[stratum], self.today.isoformat())
                connection.execute("INSERT INTO patients VALUES (?, ?, ?, ?, ?)", row)
        return self._places(connection, [patient for patient, _ in new])

    def _places(self, connection: sqlite3.Connection, patients: Sequence[str]) -> dict[str, PatientPlace]:
        sql = "SELECT patient, stratum, place FROM patients WHERE trial = ? AND patient IN"
        found = list(self._select(connection, sql, patients))
        arms: dict[str, list[bool]] = {}
        for _, stratum, place in found:
            if len(arms.get(stratum, ())) < place:
                longest = max(each for _, name, each in found if name == stratum)
                arms[stratum] = self._arms_of(stratum, longest)
        return {patient: PatientPlace(stratum, arms[stratum][place - 1]) for patient, stratum, place in found}

    def _arms_of(self, stratum: str, places: int) -> list[bool]:
        sequence = arm_sequence(self._secret, trial=self.trial.name, stratum=stratum, share=self.trial.share)
        return list(islice(sequence, places))

    def _select(self, connection: sqlite3.Connection, sql: str, values: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        for first in range(0, len(values), _VALUES_AT_ONCE):
            some = values[first : first + _VALUES_AT_ONCE]
            marks = ", ".join("?" * len(some))
            yield from connection.execute(f"{sql} ({marks})", (self.trial.name, *some))


def _setting(connection: sqlite3.Connection, name: str = _CHECK) -> str:
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row[0])


def _mark(home: Path) -> NewestMark:
    loses = "patients who were allocated since then are given arms again, which may be other ones"
    return NewestMark(home, "trial-register", "the register of the trial", loses)


def _require_newest(home: Path, connection: sqlite3.Connection) -> int:
    """The number of transactions that changed the register; 0 for one of an earlier release.

    Raises
    ------
    StoreError
        If it is an older copy.
    """
    writes = int(_setting(connection, _WRITES) or 0)
    # Read inside the transaction: no other process writes until it ends.
    newest = _mark(home).read()
    if newest is not None and writes < newest.number:
        raise _mark(home).older(str(home / FOLDER / _DATABASE))
    return writes


def require_register(home: Path) -> None:
    """Refuse a home whose register of a trial was lost: a new one would draw other arms.

    Raises
    ------
    StoreError
    """
    path = home / FOLDER / _DATABASE
    if (home / FOLDER / SECRET).exists() and not (path.exists() and path.stat().st_size):
        raise _unusable(path, "is missing or empty")


def verify_register(home: Path) -> None:
    """Check register and secret of a home's trial, and change neither; nothing is checked where there is none.

    Raises
    ------
    SecretError
        If the secret is missing although patients were allocated with it, damaged or replaced.
    StoreError
        If the register is missing or damaged.
    """
    require_register(home)
    path, secret = home / FOLDER / _DATABASE, home / FOLDER / SECRET
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            is_whole = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            expected = _setting(connection)
            if is_whole:
                _require_newest(home, connection)
    except sqlite3.Error as error:
        raise _unusable(path, f"cannot be used ({type(error).__name__})") from None
    if not is_whole:
        raise _unusable(path, "is damaged")
    if expected and not secret.exists():
        raise SecretError(f"{secret}: this secret is missing, and {_USED_FOR}. Restore it from a backup.")
    if expected and keyed_hash(read_secret(secret), "secret", "check") != expected:
        raise another_secret(home)


def appointments_listed(home: Path, trial: str, *, before: datetime.date) -> int:
    """The number of appointments of a trial on lists of earlier days; 0 where the home has no register.

    Raises
    ------
    StoreError
        If the register cannot be read.
    """
    path = home / FOLDER / _DATABASE
    if not path.exists():
        return 0
    sql = "SELECT count(*) FROM appointments WHERE trial = ? AND listed_on < ?"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (number,) = connection.execute(sql, (trial, before.isoformat())).fetchone()
    except sqlite3.Error as error:
        raise _unusable(path, f"cannot be used ({type(error).__name__})") from None
    return int(number)


def _unusable(path: Path, problem: str) -> StoreError:
    return StoreError(
        f"{path}: the register of the trial {problem}. Restore the folder {FOLDER} of the home from a backup; without "
        "it the arms of earlier lists would change."
    )


def another_secret(home: Path) -> SecretError:
    """The error of a home whose secret is not the one that arms are drawn with."""
    return SecretError(
        f"{home / FOLDER / SECRET}: is another secret than the arms of the trial were drawn with, so that nobody can "
        "tell them. Restore that secret from a backup."
    )
