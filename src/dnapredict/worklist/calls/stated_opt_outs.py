"""Opt-outs from the column `opt_out` of a list, stored for later lists.

A later list may have no such column, and the patient still does not wish to be called. `lists/opt-outs.json` holds a
keyed hash of each patient and the day of the list, and counts its writes, so that an older copy is refused. It holds
what tells its key too, since none of its patients would be recognised in the file of another home. A row of
the patient with "no" in that column, or the outcome "Wishes to be called again", removes the opt-out; an empty cell
changes nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.digests import PATIENT, keyed_hash, read_secret, sealed_json, unsealed_json
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.loss_marks import is_lost, loss_message, mark_made
from dnapredict.data.files.newest_marks import NewestMark, NewestState
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError

LOG_SECRET: Final = Path("scoring-log.secret")
"""The file of a home with the secret with which appointments and patients are hashed in its scoring log."""
_FILE: Final = Path("lists") / "opt-outs.json"
_LOCK: Final = "opt-outs.lock"
_WHAT: Final = "the file of those who asked not to be called"
_WITHOUT_BACKUP: Final = "and score all lists with opt-outs again"
_SECONDS_TO_WAIT: Final = 10.0
_BUSY: Final = "The opt-outs of this home are being written by another process. Try again in a minute."
# If more than this share of so many patients opted out, the column `opt_out` is probably another column.
_FEWEST: Final = 20
_MOST_OUT: Final = 0.5
_MARK: Final = "opt-outs"
_LOSES: Final = "patients who asked since then not to be called are called again"
_Days = Mapping[str, str]


@dataclass(frozen=True)
class _Stated:
    """The content of the file: the day of each opt-out, and the number of writes; 0 in one of an earlier release.

    `check` is the hash of a constant by the key of the patients' hashes; "" in one of an earlier release.
    """

    patients: _Days
    writes: int
    check: str = ""


@dataclass(frozen=True)
class StatedOptOuts:
    """The stated opt-outs of one home; `hashed` gives the keyed hash of a patient's number."""

    home: Path
    hashed: Callable[[str, str], str]

    def remember(self, listed: pa.Table) -> pa.Array:
        """Store the opt-outs of a list, and return its patients who opted out on this or an earlier list.

        Parameters
        ----------
        listed
            `patient_id` and `opt_out` of its valid rows. A refused row counts only for its own list, because its
            columns may be shifted.

        Raises
        ------
        StoreError
            If the stored opt-outs are damaged, or a new one cannot be stored.
        """
        patients = listed["patient_id"].cast(pa.string())
        out = _saying(patients, listed["opt_out"])
        not_out = _saying(patients, pc.invert(listed["opt_out"])) - out
        patients = patients.drop_null().unique()
        is_implausible = len(patients) >= _FEWEST and len(out) > _MOST_OUT * len(patients)
        if not is_implausible and (out or (not_out and self._read())):
            self._change(out=self._hashes(out), not_out=self._hashes(not_out))
        known = self._read()
        return pa.array([each for each in patients.to_pylist() if known and self._hash(each) in known], pa.string())

    def patients(self) -> frozenset[str]:
        """The hashes of all patients who opted out on a list.

        Raises
        ------
        StoreError
            If the stored opt-outs are damaged.
        """
        return frozenset(self._read())

    def take_back(self, patient: str) -> None:
        """Remove the opt-out of a patient (by hash) who wishes to be called again.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        if patient in self._read():
            self._change(out=frozenset(), not_out=frozenset({patient}))

    def _hash(self, patient: str) -> str:
        return self.hashed(PATIENT, patient)

    def _hashes(self, patients: Iterable[str]) -> frozenset[str]:
        return frozenset(map(self._hash, patients))

    def _change(self, *, out: frozenset[str], not_out: frozenset[str]) -> None:
        known = self._read()
        if out <= known.keys() and not_out.isdisjoint(known):
            return
        path = self.home / _FILE
        with locked(path.with_name(_LOCK), busy_message=_BUSY, seconds=_SECONDS_TO_WAIT, make_folder=True):
            today = utc_now().date().isoformat()
            newest, stated = self._mark.read(), self._stated()
            kept = {each: day for each, day in stated.patients.items() if each not in not_out}
            changed = {**dict.fromkeys(sorted(out), today), **kept}
            writes = max(stated.writes, 0 if newest is None else newest.number) + 1
            content = {"writes": writes, "check": self._check(), "patients": changed}
            write_private(path, sealed_json(json.dumps(content)))
            mark_made(path)
            self._mark.note(NewestState(number=writes))

    @property
    def _mark(self) -> NewestMark:
        return NewestMark(self.home, _MARK, _WHAT, _LOSES)

    def _read(self) -> _Days:
        newest = self._mark.read()  # first: another process may write between the two
        stated = self._stated()
        if newest is not None and 0 <= stated.writes < newest.number:
            raise self._mark.older(str(self.home / _FILE))
        if stated.check and stated.check != self._check():
            raise StoreError(
                f"{self.home / _FILE}: is of another home, or {LOG_SECRET} is: it is not known who of a list asked not "
                "to be called. Restore both from one backup."
            )
        return stated.patients

    def _check(self) -> str:
        return self.hashed("secret", "check")

    def _stated(self) -> _Stated:
        path = self.home / _FILE
        try:
            state = path.stat()
        except FileNotFoundError:
            if is_lost(path):
                raise StoreError(loss_message(path, what=_WHAT, without_backup=_WITHOUT_BACKUP)) from None
            return _NONE_STATED
        except OSError as error:  # not as if nobody had opted out
            raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
        return _patients(path, (state.st_ino, state.st_size, state.st_mtime_ns))


def opt_outs_of(home: Path) -> StatedOptOuts:
    """The stated opt-outs of a home, to be read or checked; its secret is read where it is needed, and never made."""
    return StatedOptOuts(home, lambda kind, value: keyed_hash(read_secret(home / LOG_SECRET), kind, value))


def _saying(patients: pa.ChunkedArray, is_said: pa.ChunkedArray) -> frozenset[str]:
    return frozenset(patients.filter(pc.fill_null(is_said, False)).drop_null().unique().to_pylist())


# Removed with its mark on purpose: no older copy of anything.
_NONE_STATED: Final = _Stated({}, -1)


@lru_cache(maxsize=8)
def _patients(path: Path, _: tuple[int, int, int]) -> _Stated:
    """Read again only after the file was written."""
    try:
        read = json.loads(unsealed_json(path.read_bytes()) or b"")
        return _Stated(read["patients"], int(read.get("writes", 0)), str(read.get("check", "")))
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            f"{path}: is damaged, so that it is not known who asked not to be called. Restore it from a backup; if "
            "there is none, remove it, and score all lists with opt-outs again."
        ) from None
