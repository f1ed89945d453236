"""Back up a home that is in use, and restore the backup elsewhere.

Databases are copied by SQLite itself, other files as bytes, in an order in which a file that is named by another one
is copied after it. The tree is read again until nothing has changed meanwhile. `backup.json` holds the SHA-256 of each
file, so that a restore puts back what was backed up or nothing.

Left out are the contact details of patients and the rows to mend, which a backup would keep longer than their list, the
key that both are encrypted with, uploads that wait for an answer, locks, and drafts.
"""

import contextlib
import datetime
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from dnapredict import __version__
from dnapredict.config.home import require_home
from dnapredict.data.files.atomic_write import create_folder, private_folder, write_private
from dnapredict.data.files.digests import file_sha256, sealed_json, unsealed_json
from dnapredict.data.files.drafts import DRAFT
from dnapredict.data.files.loss_marks import MADE
from dnapredict.data.files.newest_marks import FOLDER as NEWEST
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import DnapredictError, StoreError, UsageError
from dnapredict.registry.decision_ledger import Decisions
from dnapredict.service.auth import api_keys
from dnapredict.service.home_checks.home_files import linked_folders, unfollowed_links, walk
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls.stated_opt_outs import opt_outs_of
from dnapredict.worklist.files.list_files import CONTACTS, UNSCORED
from dnapredict.worklist.follow_up.outcome_store import MARK as OUTCOMES_MARK

MANIFEST: Final = "backup.json"
"""The file of a backup that names all others."""

_MAY_BE_INTERRUPTED: Final = f"has no {MANIFEST}, as a backup that was interrupted. If it is one, remove it; name"

# What names the newest entry of another file: copied once, before that file. The calls database names an entry of the
# scoring log, MLflow and the head file name one of the ledger.
_FIRST: Final = ("mlflow.db", "lists/calls.db", "tested/decisions.head")
_LATER_PASSES: Final = 4
# Names its file by a seal, so that both are copied until neither has changed.
_BY_SEAL: Final = f"{NEWEST}/{OUTCOMES_MARK}"
_SQLITE: Final = b"SQLite format 3\0"
_SECONDS_TO_WAIT: Final = 30.0
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_LEFT_OUT: Final = (CONTACTS, UNSCORED)
_KEPT: Final = ".kept"
_Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Backup:
    """A backup of a home.

    Attributes
    ----------
    made_at
        When it was begun (UTC).
    files
        SHA-256 of each file, by its path in the home.
    """

    made_at: datetime.datetime
    files: Mapping[str, str]


def back_up(home: Path, target: Path) -> Backup:
    """Copy a home, which may be in use, to the new folder `target`.

    Raises
    ------
    UsageError
        If `target` exists and is not empty, or lies in the home, or the home in it.
    StoreError
        If the folder is no home, holds a link that leads nowhere or is not followed, or a file cannot be read or
        written. An interrupted backup has no `backup.json`.
    """
    require_home(home)
    for top in (home, *linked_folders(home)):
        _require_outside(target, top)
    _require_whole(home)
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).exists():
        raise UsageError(f"{target}: is not empty, and {_MAY_BE_INTERRUPTED} a new folder.")
    _require_empty(target)
    began = utc_now()
    try:
        private_folder(target)
        _copy_all(home, target)
        files = {path: file_sha256(target / path) for path in sorted(_relative_paths(target))}
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"{target}: the backup could not be completed ({reason}). Remove it and run again.") from None
    said = {"made_at": began.isoformat(), "dnapredict": __version__, "files": files}
    write_private(target / MANIFEST, sealed_json(json.dumps(said, indent=1)))
    return Backup(began, files)


def read_backup(folder: Path) -> Backup:
    """The backup in `folder`, after checking that each file is as it was backed up.

    Raises
    ------
    StoreError
        If it is no backup, is incomplete, or a file of it is missing, changed or not of it.
    """
    path = folder / MANIFEST
    try:
        said = json.loads(unsealed_json(path.read_bytes()) or b"")
        found = Backup(datetime.datetime.fromisoformat(said["made_at"]), dict(said["files"]))
    except FileNotFoundError:
        raise StoreError(f"{folder}: {_MAY_BE_INTERRUPTED} a complete backup.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: is damaged ({type(error).__name__}). Restore another backup.") from None
    there = set(_relative_paths(folder)) - {MANIFEST}
    wrong = sorted(there ^ found.files.keys()) or [
        name for name, digest in found.files.items() if file_sha256(folder / name) != digest
    ]
    if wrong:
        raise StoreError(
            f"{folder / wrong[0]}: is missing, or not as it was backed up ({len(wrong):,} such files). Restore another "
            "backup."
        )
    return found


def restore(folder: Path, home: Path) -> Backup:
    """Put a backup into a home that does not exist yet, or is empty; all of it or nothing.

    Raises
    ------
    UsageError
        If the home holds something, or one lies in the other.
    StoreError
        If the backup is damaged, or the home cannot be written.
    """
    _require_outside(home, folder)
    _require_empty(home)
    found = read_backup(folder)
    try:
        private_folder(home.parent)
        with create_folder(home) as draft:
            for name in found.files:
                _copy_file(folder / name, draft / name)
            if home.exists():
                home.rmdir()  # empty; a rename would not replace it on Windows
    except OSError as error:
        raise StoreError(f"{home}: the backup cannot be restored ({error.strerror}).") from None
    return found


def accepted(home: Path, database: str | None) -> Iterator[str]:
    """What a restored home takes for the newest state, as sentences to compare with what is known elsewhere.

    What cannot be read is left out; the checks of the home name it.
    """
    with contextlib.suppress(DnapredictError):
        log = ScoringLog(home, database)
        try:
            last = log.verify()
        finally:
            log.close()
        yield f"The scoring log ends with entry {last.last:,}. Compare with what you kept: dnapredict log verify."
    with contextlib.suppress(DnapredictError):
        stated = len(opt_outs_of(home).patients())
        yield f"Opt-outs that lists stated: {stated:,}. Those stated later are lost: score the later lists again."
    with contextlib.suppress(DnapredictError):
        valid = [key.key_id for key in api_keys.all_keys(home) if key.revoked_at is None]
        yield f"Valid keys: {', '.join(valid) or 'none'}. Revoke again those that were revoked later."
    ledger = Decisions(home)
    with contextlib.suppress(DnapredictError):
        decisions = len(ledger.entries()) if ledger.has_existed else 0
        yield f"Decisions: {decisions:,}. Check whether a version was rejected later."


def _require_outside(target: Path, source: Path) -> None:
    whole, other = target.resolve(), source.resolve()
    if whole.is_relative_to(other) or other.is_relative_to(whole):
        raise UsageError(f"{target}: lies in {source}, or {source} in it. Name a folder outside.")


def _require_whole(home: Path) -> None:
    """Refuse links whose files would be missing from the backup."""
    if linked := next(unfollowed_links(home), None):
        raise StoreError(
            f"{linked}: is a link to a folder, which a backup would leave out. Put the folder in its place."
        )
    paths = (top / name for top, folders, files in walk(home) for name in (*folders, *files))
    if broken := next((path for path in paths if path.is_symlink() and not path.exists()), None):
        raise StoreError(f"{broken}: is a link that leads nowhere. Restore its target, or remove it.")


def _require_empty(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target}: exists and is not an empty folder. Name a new one.")


def _copy_all(home: Path, target: Path) -> None:
    first = [name for name in _paths_of(home) if _is_first(name)]
    copied: dict[str, _Signature | None] = {}
    # The marks before all: a mark that is newer than its file would call the file an older copy.
    for name in sorted(first, key=lambda each: (not each.startswith(f"{NEWEST}/"), each)):
        _copy_changed(home, target, name, copied)
    for _ in range(1 + _LATER_PASSES):
        rest = [name for name in _paths_of(home) if name not in first and (not _is_first(name) or name in _FIRST)]
        changes = sum(_copy_changed(home, target, name, copied) for name in rest)
        changes += _remove_vanished(home, target, copied)
        if not changes:
            return


def _is_first(name: str) -> bool:
    return name in _FIRST or (name.startswith(f"{NEWEST}/") and name != _BY_SEAL)


def _copy_changed(home: Path, target: Path, name: str, copied: dict[str, _Signature | None]) -> int:
    """Copy a file unless it was copied as it is; return 1 where it was copied."""
    source = home / name
    try:
        signature = _signature(source)
        if name in copied and copied[name] in (signature, None):
            return 0
        is_database = _is_database(source)
        (_copy_database if is_database else _copy_file)(source, target / name)
    except FileNotFoundError:
        return 0  # removed meanwhile
    copied[name] = None if is_database else signature  # a database is copied once, as of one moment
    return 1


def _remove_vanished(home: Path, target: Path, copied: dict[str, _Signature | None]) -> int:
    """Remove from the backup what was removed from the home meanwhile."""
    gone = [name for name in copied if not (home / name).exists()]
    for name in gone:
        (target / name).unlink(missing_ok=True)
        del copied[name]
    return len(gone)


def _signature(path: Path) -> _Signature:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _is_database(path: Path) -> bool:
    if path.suffix != ".db":  # not opened: closing a descriptor would drop the locks of SQLite in this process
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _copy_database(source: Path, target: Path) -> None:
    private_folder(target.parent)
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    address = f"{source.absolute().as_uri()}?mode=rw"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=_SECONDS_TO_WAIT)) as read,
        contextlib.closing(sqlite3.connect(target)) as written,
    ):
        read.backup(written)
        written.execute("PRAGMA journal_mode=DELETE")  # one file, without a write-ahead log
    shutil.copystat(source, target)


def _copy_file(source: Path, target: Path) -> None:
    private_folder(target.parent)
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    shutil.copy2(source, target)


def _paths_of(home: Path) -> list[str]:
    """The files that a backup holds. What says that a file was written comes before the file itself."""
    kept = [name for name in _relative_paths(home) if not _is_left_out(PurePosixPath(name), home)]
    return sorted(kept, key=lambda name: (not name.endswith((MADE, _KEPT, "CURRENT")), name))


def _relative_paths(folder: Path) -> Iterator[str]:
    for top, _, files in walk(folder):
        yield from ((top / name).relative_to(folder).as_posix() for name in files if (top / name).is_file())


def _is_left_out(name: PurePosixPath, home: Path) -> bool:
    bare = name.name.removesuffix(MADE)
    if name.parts[0] == "uploads" or str(name) == "contacts.key" or bare.endswith((*_LEFT_OUT, *_SIDE_FILES)):
        return True
    is_lock = name.suffix == ".lock" and not (home / name).stat().st_size
    return is_lock or any(part.startswith(".") for part in name.parts) or DRAFT.fullmatch(name.name) is not None
