"""Checkpoints of a long scoring, in a folder beside its output, so that it can be resumed.

The folder belongs to one input digest: of the list, the model, the history and the settings. It holds row numbers,
risks and reasons but no identifier, and during the scoring DuckDB's spilled data. Only its owner may
read it. It is removed when the output is written, or after a week if a killed scoring is never run again.
"""

import contextlib
import datetime
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import write_atomically, write_private
from dnapredict.data.files.digests import UNSEALED, is_intact, seal
from dnapredict.data.files.file_lock import is_unlocked, locked
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError

_ENDING: Final = ".scoring"
_ABOUT: Final = "about.json"
_LOCK: Final = "lock"
_OVERFLOW: Final = "overflow"
_STALE_SECONDS: Final = 7 * 86_400
_FORM: Final = 2


@dataclass(frozen=True)
class Staging:
    """The folder of one scoring, locked against other processes.

    Attributes
    ----------
    started_on
        The day on which the scoring was first started.
    input_digest
        The digest of all inputs. Each part carries it: a damaged part, or one of other inputs, counts as missing.
    overflow
        Folder into which DuckDB may spill.
    """

    folder: Path
    started_on: datetime.date
    input_digest: str

    @property
    def overflow(self) -> Path:
        """A folder that is empty at the start."""
        return self.folder / _OVERFLOW

    def has(self, part: int, *, rows: int) -> bool:
        """Whether `part`, with that number of rows, is complete on disk."""
        try:
            content = self._path(part).read_bytes()
            if not is_intact(content, name=self._name(part)):
                return False
            return bool(pq.read_metadata(pa.BufferReader(content)).num_rows == rows)
        except (OSError, pa.ArrowException):
            return False

    def keep(self, part: int, predictions: pa.Table) -> None:
        """Write `part` atomically.

        Raises
        ------
        StoreError
            If it cannot be written; the parts before stay.
        """
        with write_atomically(self._path(part)) as draft:
            pq.write_table(predictions.replace_schema_metadata(UNSEALED), draft, compression="zstd")
            seal(draft, name=self._name(part))

    def paths(self, parts: int) -> list[Path]:
        """The files of all parts, in order."""
        return [self._path(part) for part in range(parts)]

    def _name(self, part: int) -> str:
        return f"{self.input_digest}/{part}"

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:06d}.parquet"


@contextlib.contextmanager
def staged(out: Path, input_digest: str, *, zone: datetime.tzinfo = datetime.UTC) -> Iterator[Staging]:
    """The folder for scoring to `out`, with the parts that were written for the same `input_digest` before.

    Parts of other inputs are removed; the day of the scoring is that of `zone`. After success the folder is removed;
    after an error, and when the process is killed, it stays.

    Raises
    ------
    StoreError
        If the folder cannot be written, or another process is writing the same output.
    """
    out = out.resolve()
    folder = out.parent / f".{out.name}{_ENDING}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        _remove_stale(out.parent, but=folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
    busy = f"{out}: another run of dnapredict is writing it. Wait for that, or stop it."
    try:
        with locked(folder / _LOCK, busy_message=busy):
            yield from _open(folder, input_digest, zone)
    finally:
        _remove_empty(folder)


def _open(folder: Path, input_digest: str, zone: datetime.tzinfo) -> Iterator[Staging]:
    is_finished = False
    try:
        yield Staging(folder, _resume(folder, input_digest, zone), input_digest)
        is_finished = True
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
    finally:
        shutil.rmtree(folder / _OVERFLOW, ignore_errors=True)
        if is_finished or not any(folder.glob("part-*")):
            _empty(folder)


def _resume(folder: Path, input_digest: str, zone: datetime.tzinfo) -> datetime.date:
    """The day on which the scoring was first started; what is left of other inputs is removed."""
    shutil.rmtree(folder / _OVERFLOW, ignore_errors=True)
    about = folder / _ABOUT
    try:
        content = json.loads(about.read_text(encoding="utf-8"))
        is_same = content["question"] == input_digest and content["seal"] == _seal_of(input_digest, content["begun"])
        started_on = datetime.date.fromisoformat(content["begun"]) if is_same else None
    except (OSError, ValueError, KeyError, TypeError):
        started_on = None
    if started_on is None:
        _empty(folder)
        started_on = utc_now().astimezone(zone).date()
        content = {"form": _FORM, "question": input_digest, "begun": started_on.isoformat()}
        write_private(about, json.dumps(content | {"seal": _seal_of(input_digest, started_on.isoformat())}))
    (folder / _OVERFLOW).mkdir(mode=0o700)
    return started_on


def _seal_of(input_digest: str, started_on: str) -> str:
    return hashlib.sha256(f"{input_digest} {started_on}".encode()).hexdigest()


def _remove_stale(parent: Path, *, but: Path) -> None:
    """Remove folders of abandoned scorings to other outputs in `parent`."""
    for folder in parent.glob(f".*{_ENDING}"):
        with contextlib.suppress(OSError):
            about = folder / _ABOUT
            if folder == but or time.time() - about.stat().st_mtime < _STALE_SECONDS:
                continue
            if is_unlocked(folder / _LOCK):
                _empty(folder)
            _remove_empty(folder)


def _empty(folder: Path) -> None:
    """Remove everything but the lock; the marker file goes last, so that an interrupted removal is continued."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == _ABOUT):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            path.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    """Remove a folder in which only the lock is left, unless another process is about to use it."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [_LOCK]:
            (folder / _LOCK).unlink()
            folder.rmdir()
