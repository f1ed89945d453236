"""All files of one history store, open for reading once each of them agrees with its digest.

`store.json` holds size and SHA-256 of the other files; `CURRENT` holds that of `store.json`. A store that
was written before digests were kept is opened with a warning, after Arrow has checked its structure.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import StoreError
from dnapredict.features.history import REMEMBERED
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.mapped_files import COLUMNS as MINUTE_COLUMNS
from dnapredict.features.store.mapped_files import KeptAppointments, KeptBookings, KeptCounts, KeptMinutes

MEND: Final = "Run 'dnapredict refresh EXTRACT' to rebuild the history."

_LOG: Final = logging.getLogger("dnapredict.features")
_MANIFEST: Final = "store.json"
# Increased when the files change their form: a store of an unknown form is refused and must be rebuilt.
_FORM: Final = 4
# Its minutes do not count bookings whose patient is not known, and it has no `bookings.arrow`.
_FORM_WITHOUT_BOOKINGS: Final = 3
_KEPT_OPEN: Final = 2
_READERS: Final = 4

Key = tuple[Path, str]
State = dict[str, tuple[int, ...]]
# Opened stores, the newest last, and refused ones with the state of the files that were refused.
_OPEN: Final[dict[Key, "Contents"]] = {}
_REFUSED: Final[dict[Key, tuple[State, str]]] = {}
_LOCK: Final = threading.Lock()


@dataclass(frozen=True)
class Contents:
    """The files of a history store, mapped into memory."""

    folder: Path
    state: State
    recording_delay_days: int
    horizon_days: int | None
    """None in a store of an earlier version, which did not record it."""
    appointments: KeptAppointments
    counts: KeptCounts
    minutes: KeptMinutes
    bookings: KeptBookings | None
    """None in a store of an earlier version."""

    def is_as_opened(self) -> bool:
        """Whether no file has been written to since; one that was removed is still mapped.

        Called at every look-up: a file that is truncated while it is mapped ends the process.
        """
        now = _state(self.folder)
        return all(now.get(name, then) == then for name, then in self.state.items())

    def require_delay(self, days: int) -> None:
        """Refuse a model that counts on another recording delay than the store was written for.

        Raises
        ------
        StoreError
        """
        if self.recording_delay_days != days:
            raise StoreError(
                f"{self.folder}: the history was written for another recording delay than the model's "
                f"({days} days). Run 'dnapredict refresh EXTRACT'."
            )

    def require_clock(self, clock: Clock) -> None:
        """Refuse to add rows that would be counted by another clock than those that are there.

        Raises
        ------
        StoreError
        """
        self.require_delay(clock.recording_delay_days)
        if self.horizon_days != clock.horizon_days:
            raise StoreError(
                f"{self.folder}: the history was written for another horizon ({clock.horizon_days} days now), or by "
                "an earlier version, which did not record it. Run 'dnapredict refresh' with the whole extract, "
                "without --append."
            )

    def require_bookings(self) -> None:
        """Refuse to add rows to a store of an earlier version, which counts fewer bookings than this one.

        Raises
        ------
        StoreError
        """
        if self.bookings is None:
            raise StoreError(
                f"{self.folder}: the history was written by an earlier version, which did not count bookings without "
                "a patient number. Run 'dnapredict refresh' once with the whole extract, without --append."
            )


def write_manifest(folder: Path, *, clock: Clock) -> str:
    """Write `store.json` about the files in `folder`, and give its SHA-256."""
    files = {path.name: _settled(path) for path in sorted(folder.iterdir())}
    about = {
        "form": _FORM,
        "recording_delay_days": clock.recording_delay_days,
        "horizon_days": clock.horizon_days,
        "files": files,
    }
    path = folder / _MANIFEST
    path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return str(_settled(path)["sha256"])


def _settled(path: Path) -> dict[str, Any]:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def opened(folder: Path, digest: str) -> Contents:
    """The store in `folder` whose `store.json` has that digest, checked once in a process.

    It is checked again when one of its files has been written to, and files that were refused are not
    read again before that: a large store takes seconds of two cores, and a service asks every few seconds.

    Raises
    ------
    StoreError
        If a file is missing, or is not as it was written.
    """
    key = (folder, digest)
    with _LOCK:
        if key not in _OPEN or not _OPEN[key].is_as_opened():
            _OPEN.pop(key, None)
            state = _state(folder)
            if key in _REFUSED and _REFUSED[key][0] == state:
                raise StoreError(_REFUSED[key][1])
            try:
                _OPEN[key] = _checked(folder, digest, state)
            except StoreError as error:
                _REFUSED[key] = (state, str(error))
                raise
            for old in list(_OPEN)[:-_KEPT_OPEN]:
                del _OPEN[old]
        return _OPEN[key]


def _state(folder: Path) -> State:
    """Inode, size and times of each file of the folder: they change when a file is written to or replaced."""
    try:
        with os.scandir(folder) as entries:
            stats = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return {}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats}


def _checked(folder: Path, digest: str, state: State) -> Contents:
    about = _manifest(folder, digest)
    try:
        if digest:
            _require_intact(folder, about["files"])
        else:
            _require_sound(folder)
        contents = Contents(
            folder,
            state,
            about["recording_delay_days"],
            about.get("horizon_days"),
            KeptAppointments.open(folder),
            KeptCounts.open(folder),
            KeptMinutes.open(folder),
            KeptBookings.open(folder) if about["form"] == _FORM else None,
        )
        if not digest:
            _require_within(contents)
    except (OSError, pa.ArrowException, KeyError, ValueError):
        raise StoreError(f"{folder}: the history is damaged. {MEND}") from None
    return contents


def _manifest(folder: Path, digest: str) -> dict[str, Any]:
    path = folder / _MANIFEST
    try:
        if digest and file_sha256(path) != digest:
            raise StoreError(f"{path}: is damaged; its SHA-256 is not the one in CURRENT. {MEND}")
        about = json.loads(path.read_text(encoding="utf-8"))
        form, has_delay = about["form"], isinstance(about["recording_delay_days"], int)
    except FileNotFoundError:
        raise StoreError(f"{path}: is missing; the history is damaged. {MEND}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(f"{path}: the history is damaged. {MEND}") from None
    if form not in (_FORM, _FORM_WITHOUT_BOOKINGS) or not has_delay:
        raise StoreError(f"{folder}: the history was written by another version of dnapredict. {MEND}")
    if not digest and "files" in about:
        raise StoreError(f"{folder.parent / 'CURRENT'}: is damaged; it lacks the digest of {path}. {MEND}")
    return dict(about)


def _require_intact(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Hash the files in parallel: hashing releases the interpreter lock, and a store can hold a gigabyte."""
    for name, wanted in files.items():
        _require_size(folder / name, wanted["bytes"])
    with ThreadPoolExecutor(_READERS) as readers:
        found = list(readers.map(_digest, [folder / name for name in files]))
    for (name, wanted), digest in zip(files.items(), found, strict=True):
        if digest != wanted["sha256"]:
            raise StoreError(f"{folder / name}: is damaged; its SHA-256 is not the one in store.json. {MEND}")


def _require_size(path: Path, wanted: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StoreError(f"{path}: is missing or cannot be read ({error.strerror}). {MEND}") from None
    if size != wanted:
        raise StoreError(f"{path}: is damaged; it holds {size:,} bytes, not the {wanted:,} written. {MEND}")


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}). {MEND}") from None


def _require_sound(folder: Path) -> None:
    """Check what can be checked without digests: that the offsets of each Arrow file are within the file."""
    for path in sorted(folder.glob("*.arrow")):
        pa.ipc.open_file(pa.memory_map(str(path))).read_all().validate(full=True)
    _LOG.warning(
        "%s: was written by an earlier version of dnapredict and has no digests, so that damage to it cannot "
        "be seen. Run 'dnapredict refresh EXTRACT' once.",
        folder,
    )


def _require_within(contents: Contents) -> None:
    """Check that the files have their columns, and that the indexes refer to existing rows."""
    appointments, minutes = contents.appointments, contents.minutes
    if appointments.schema.names != list(REMEMBERED) or minutes.rows.column_names != list(MINUTE_COLUMNS):
        raise ValueError("a file is in the place of another")
    rows = sum(batch.num_rows for batch in appointments.batches)
    for index, of in ((appointments.patients, rows), (minutes.clinic_days, minutes.rows.num_rows)):
        ends = index.starts + index.counts
        if np.any(index.starts < 0) or np.any(index.counts < 0) or np.any(ends > of):
            raise ValueError("an index leads outside its file")
