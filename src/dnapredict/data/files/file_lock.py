"""Locks on files between processes; the system releases them when a process ends, however it ends.

Ours and not the library filelock: that is no dependency of any other, its lock is exclusive, and a shared one
is what lets many requests read the database of calls at a time.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from dnapredict.data.files.atomic_write import private_folder
from dnapredict.errors import StoreError

_SECONDS_BETWEEN_TRIES: Final = 0.02


@contextlib.contextmanager
def locked(path: Path, *, busy_message: str, seconds: float = 0.0, make_folder: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on the file at `path`, which is created if missing.

    Parameters
    ----------
    make_folder
        Whether to create the folder of the file, for its owner alone, if it is missing.

    Raises
    ------
    StoreError
        With `busy_message` if another process holds it for longer than `seconds`; or if the file cannot be
        created.
    """
    with contextlib.ExitStack() as stack:
        try:
            if make_folder:
                private_folder(path.parent)
            stack.enter_context(wait_for_lock(path, seconds=seconds))
        except TimeoutError:
            raise StoreError(busy_message) from None
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot be written ({error.strerror}).") from None
        yield


@contextlib.contextmanager
def wait_for_lock(path: Path, *, seconds: float, shared: bool = False) -> Iterator[None]:
    """Hold a lock on the file at `path`, which is created if missing; wait up to `seconds` for it.

    Any number of processes may hold a `shared` lock while none holds an exclusive one. Windows has no
    shared locks: there every lock is exclusive.

    Raises
    ------
    TimeoutError
        If others hold it for longer.
    OSError
        If the file cannot be created.
    """
    until = time.monotonic() + seconds
    with path.open("ab") as file:
        while not _try_lock(file, shared=shared):
            if time.monotonic() >= until:
                raise TimeoutError
            time.sleep(_SECONDS_BETWEEN_TRIES)
        yield


def is_unlocked(path: Path) -> bool:
    """Whether no process holds a lock on the file at `path`.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    with path.open("ab") as file:
        return _try_lock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes], *, shared: bool = False) -> bool:  # noqa: ARG001
        """Whether this process now has an exclusive lock, which it keeps until the file is closed."""
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
        """Whether this process now has the lock, which it keeps until the file is closed."""
        try:
            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
