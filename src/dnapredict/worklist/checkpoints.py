"""Checkpoints of a long scoring, in a folder beside its output, so that it can be resumed.

The folder belongs to one input digest: of the list, the model, the history and the settings. It holds row numbers,
risks and reasons but no identifier, and during the scoring DuckDB's spilled data. Only its owner may
read it. It is removed when the output is written. If a killed scoring is never run again, retention removes it after
`staging_days`; what it has spilled, and its unfinished worklist, go with the next scoring in the same folder.
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
from dnapredict.data.files.drafts import DRAFT
from dnapredict.data.files.file_lock import locked
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError

_ENDING: Final = ".scoring"
_ABOUT: Final = "about.json"
_LOCK: Final = "lock"
_OVERFLOW: Final = "overflow"
# A scoring that is only beginning has made its folder and not locked it yet.
_SECONDS_TO_LOCK: Final = 60
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
        remove_abandoned(out.parent, but=folder)
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


def has_staging(parent: Path) -> bool:
    """Whether there is a scoring in that folder, interrupted or not."""
    return any(parent.glob(f".*{_ENDING}"))


def remove_abandoned(parent: Path, *, but: Path | None = None, begun_before: datetime.date | None = None) -> int:
    """Remove what scorings that were killed have left of the rows of their lists in `parent`.

    Parameters
    ----------
    but
        A folder that is left alone: the caller's own.
    begun_before
        Scorings that began before that day are removed as a whole; without it, none is.

    Returns
    -------
    The number of scorings that were removed as a whole.
    """
    removed = 0
    for folder in parent.glob(f".*{_ENDING}"):
        with contextlib.suppress(OSError, StoreError):
            if folder != but and not _is_young(folder):
                with locked(folder / _LOCK, busy_message=""):
                    shutil.rmtree(folder / _OVERFLOW, ignore_errors=True)
                    for draft in filter(_is_draft, folder.iterdir()):
                        draft.unlink()
                    if begun_before is not None and _begun(folder) < begun_before:
                        _empty(folder)
                        removed += 1
                _remove_empty(folder)
    return removed


def _is_young(folder: Path) -> bool:
    newest = max(each.lstat().st_mtime for each in (folder, *folder.rglob("*")))
    return time.time() - newest < _SECONDS_TO_LOCK


def _is_draft(path: Path) -> bool:
    return DRAFT.fullmatch(path.name) is not None


def _begun(folder: Path) -> datetime.date:
    """The day on which a scoring began, as it says itself; of one that does not say, the day of its last change."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return datetime.date.fromisoformat(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["begun"])
    return datetime.datetime.fromtimestamp(folder.lstat().st_mtime, datetime.UTC).date()


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
