"""What a long scoring has done so far, in a folder beside its output, so that it can be taken up again.

The folder belongs to one question: the bytes of the list, the model, the history and the settings. It holds
row numbers, risks and reasons, no identifier; while the scoring runs, also what the engine
cannot hold in memory. Only its owner may enter it. It goes when the output stands, and what a
scoring that was killed and never run again has left goes after a week.
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
from dnapredict.errors import StoreError

_ENDING: Final = ".scoring"
_ABOUT: Final = "about.json"
_LOCK: Final = "lock"
_OVERFLOW: Final = "overflow"
_STALE_SECONDS: Final = 7 * 86_400
_FORM: Final = 2


@dataclass(frozen=True)
class Staging:
    """The folder of one scoring, which no other process uses meanwhile.

    Attributes
    ----------
    begun
        The day on which the question was first asked.
    question
        The digest of all that the answer rests on. A part is sealed with it: one that is damaged or of
        another question counts as not done.
    overflow
        Where the engine may put what memory does not hold.
    """

    folder: Path
    begun: datetime.date
    question: str

    @property
    def overflow(self) -> Path:
        """A folder that is empty at the start."""
        return self.folder / _OVERFLOW

    def has(self, part: int, *, rows: int) -> bool:
        """Whether `part`, of so many rows, is done."""
        try:
            content = self._path(part).read_bytes()
            if not is_intact(content, name=self._name(part)):
                return False
            return bool(pq.read_metadata(pa.BufferReader(content)).num_rows == rows)
        except (OSError, pa.ArrowException):
            return False

    def keep(self, part: int, judged: pa.Table) -> None:
        """Put `part` on disk, whole or not at all.

        Raises
        ------
        StoreError
            If it cannot be written; the parts before stay.
        """
        with write_atomically(self._path(part)) as draft:
            pq.write_table(judged.replace_schema_metadata(UNSEALED), draft, compression="zstd")
            seal(draft, name=self._name(part))

    def paths(self, parts: int) -> list[Path]:
        """The files of all parts, in order."""
        return [self._path(part) for part in range(parts)]

    def _name(self, part: int) -> str:
        return f"{self.question}/{part}"

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:06d}.parquet"


@contextlib.contextmanager
def staged(out: Path, question: str) -> Iterator[Staging]:
    """The folder for scoring to `out`, with what was done of the same `question` before.

    What stands there of another question is removed. After success the folder goes; after an error,
    and when the process is killed, it stays.

    Raises
    ------
    StoreError
        If the place cannot be written, or another process is writing the same output.
    """
    out = out.resolve()
    folder = out.parent / f".{out.name}{_ENDING}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        _forget_stale(out.parent, but=folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
    busy = f"{out}: another run of dnapredict is writing it. Wait for that, or stop it."
    try:
        with locked(folder / _LOCK, busy_message=busy):
            yield from _open(folder, question)
    finally:
        _remove_empty(folder)


def _open(folder: Path, question: str) -> Iterator[Staging]:
    is_done = False
    try:
        yield Staging(folder, _taken_up(folder, question), question)
        is_done = True
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
    finally:
        shutil.rmtree(folder / _OVERFLOW, ignore_errors=True)
        if is_done or not any(folder.glob("part-*")):
            _empty(folder)


def _taken_up(folder: Path, question: str) -> datetime.date:
    """The day on which the question was first asked; what is left of another question is removed."""
    shutil.rmtree(folder / _OVERFLOW, ignore_errors=True)
    about = folder / _ABOUT
    try:
        found = json.loads(about.read_text(encoding="utf-8"))
        is_same = found["question"] == question and found["seal"] == _sealed(question, found["begun"])
        begun = datetime.date.fromisoformat(found["begun"]) if is_same else None
    except (OSError, ValueError, KeyError, TypeError):
        begun = None
    if begun is None:
        _empty(folder)
        begun = datetime.datetime.now(datetime.UTC).date()
        told = {"form": _FORM, "question": question, "begun": begun.isoformat()}
        write_private(about, json.dumps(told | {"seal": _sealed(question, begun.isoformat())}))
    (folder / _OVERFLOW).mkdir(mode=0o700)
    return begun


def _sealed(question: str, begun: str) -> str:
    return hashlib.sha256(f"{question} {begun}".encode()).hexdigest()


def _forget_stale(place: Path, *, but: Path) -> None:
    """Remove what scorings to other outputs in `place` have left that nobody takes up any more."""
    for folder in place.glob(f".*{_ENDING}"):
        with contextlib.suppress(OSError):
            about = folder / _ABOUT
            if folder == but or time.time() - about.stat().st_mtime < _STALE_SECONDS:
                continue
            if is_unlocked(folder / _LOCK):
                _empty(folder)
            _remove_empty(folder)


def _empty(folder: Path) -> None:
    """Remove all but the lock; what says that the folder is ours goes last, so that a rest is found again."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == _ABOUT):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            path.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    """Remove a folder in which nothing but the lock is left, unless somebody is about to use it."""
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [_LOCK]:
            (folder / _LOCK).unlink()
            folder.rmdir()
