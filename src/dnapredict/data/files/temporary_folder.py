"""Temporary folders that are removed by the next process where the one that made them was killed.

What an engine spills to the disk may be rows of an extract. A process that ends removes its folders; one that is killed
cannot. So each folder is locked for as long as its process runs, and folders without a lock are removed.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = "dnapredict-"
"""How the names of temporary folders begin."""

_NAMED: Final = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
# Between making a folder and locking it; a process that is stopped just there loses nothing that it has written.
_SECONDS_TO_LOCK: Final = 60


@contextlib.contextmanager
def temporary_folder(folder: Path | None = None) -> Iterator[Path]:
    """Yield a new folder for its owner alone, in `folder` or the system's temporary folder; remove it at the end.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    remove_abandoned(folder)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        with _locked_folder(made):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_abandoned(folder: Path | None = None) -> int:
    """Remove the temporary folders of this account whose process was killed, and return their number.

    Nothing happens on Windows, where folders cannot be locked.
    """
    top = Path(tempfile.gettempdir() if folder is None else folder)
    removed = 0
    for path in top.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if _NAMED.fullmatch(path.name) and _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed


if os.name == "posix":
    import fcntl

    @contextlib.contextmanager
    def _locked_folder(path: Path) -> Iterator[None]:
        handle = os.open(path, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # on a disk without locks nobody gets one, and nothing is removed
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(handle)

    def _is_abandoned(path: Path) -> bool:
        state = path.lstat()
        is_young = time.time() - state.st_mtime < _SECONDS_TO_LOCK
        if path.is_symlink() or not path.is_dir() or state.st_uid != os.geteuid() or is_young:
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True

else:

    @contextlib.contextmanager
    def _locked_folder(path: Path) -> Iterator[None]:  # noqa: ARG001
        yield

    def _is_abandoned(path: Path) -> bool:  # noqa: ARG001
        return False
