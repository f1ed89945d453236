"""Temporary files and folders of atomic writes, in the folder of the output: locked by their writer.

The temporary file of `worklist.xlsx`, its draft, is `.HEX-worklist.xlsx`, with 16 random hexadecimal digits. The
process that writes it holds a lock, which the operating system releases when the process ends or is killed. The next
write to the same output removes drafts without a lock. Where locks are not available (Windows, some network disks), it
removes drafts that are more than an hour old.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.operating_system import is_own, try_lock_path

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
SECONDS_OF_A_DRAFT: Final = 3_600
"""A draft that cannot be locked and was not written to for so long is what a killed process has left."""
DRAFT: Final = re.compile(r"\.[0-9a-f]{16}-(?P<name>.+)", re.DOTALL)
"""The name of a draft of a file or folder."""
REPLACED: Final = re.compile(r"\.[0-9a-f]{16}\.replaced-(?P<name>.+)", re.DOTALL)
"""The name of a folder that holds a folder `name` while that is replaced."""


def new_draft(folder: Path, *, name: str = "draft", mode: int = PRIVATE_FILE) -> Path:
    """Create an empty file with a random name in `folder`, to be filled and renamed; it is not locked.

    Libraries choose a format by the ending, so the draft keeps the ending of `name`.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    draft = folder / f".{secrets.token_hex(8)}-{name}"
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return draft


@contextlib.contextmanager
def drafted_file(folder: Path, *, name: str, mode: int = PRIVATE_FILE) -> Iterator[Path]:
    """An empty file as of `new_draft`, locked until the block ends, and then removed if it is still there.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    with contextlib.ExitStack() as lock:
        while True:
            draft = new_draft(folder, name=name, mode=mode)
            if _locked(draft, lock):
                break
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def drafted_folder(folder: Path, *, name: str) -> Iterator[Path]:
    """An empty folder in `folder` for its owner alone, locked until the block ends, and then removed if still there.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    with _locked_folder(folder, f"-{name}") as draft:
        yield draft


@contextlib.contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Move the folder at `path` away while the block puts another in its place; put it back if the block raises.

    After a kill within the block the next `remove_abandoned_drafts` for `path` puts it back.

    Raises
    ------
    OSError
        If it cannot be moved.
    """
    with _locked_folder(path.parent, f".replaced-{path.name}") as away:
        path.rename(away / path.name)
        try:
            yield
        except BaseException:
            (away / path.name).rename(path)
            raise


@contextlib.contextmanager
def _locked_folder(folder: Path, ending: str) -> Iterator[Path]:
    with contextlib.ExitStack() as lock:
        while True:
            made = folder / f".{secrets.token_hex(8)}{ending}"
            made.mkdir(mode=PRIVATE_FOLDER)
            if _locked(made, lock):
                break
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def remove_abandoned_drafts(folder: Path, *, of: str | re.Pattern[str]) -> None:
    """Remove the drafts in `folder` of an output of that name that no process holds; nothing else would ever do so.

    A folder of that name that was moved away and not replaced is put back. What cannot be removed stays.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = DRAFT.fullmatch(entry.name) or REPLACED.fullmatch(entry.name)
            if found is not None and (found["name"] == of if isinstance(of, str) else of.fullmatch(found["name"])):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(Path(entry.path), found["name"])


def _remove_if_abandoned(path: Path, name: str) -> None:
    state = path.lstat()
    if not is_own(state) or not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        return
    # The lock is held while it is removed: a process that has just made it then makes another.
    with contextlib.ExitStack() as lock:
        if not _is_abandoned(path, state, lock):
            return
        if stat.S_ISREG(state.st_mode):
            path.unlink(missing_ok=True)
            return
        before = path / name
        if REPLACED.fullmatch(path.name) and before.exists() and not path.with_name(name).exists():
            before.rename(path.with_name(name))
        shutil.rmtree(path, ignore_errors=True)


def is_abandoned(modified: float) -> bool:
    """Whether a draft was written to so long ago (seconds since 1970) that its process was killed."""
    return time.time() - modified > SECONDS_OF_A_DRAFT


def is_in_use(path: Path) -> bool:
    """Whether a process holds the lock of the draft at `path`; False where there are no locks.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    with contextlib.ExitStack() as lock:
        return try_lock_path(path, lock) is False


def _is_abandoned(path: Path, state: os.stat_result, lock: contextlib.ExitStack) -> bool:
    is_free = try_lock_path(path, lock)
    if is_free is None:
        newest = max((each.lstat().st_mtime for each in path.rglob("*")), default=0.0)
        return is_abandoned(max(newest, state.st_mtime))
    return is_free


def _locked(path: Path, lock: contextlib.ExitStack) -> bool:
    """Lock a draft that was just made; False if another process has meanwhile taken it for an abandoned one."""
    try:
        return try_lock_path(path, lock) is not False and path.exists()
    except FileNotFoundError:
        return False
