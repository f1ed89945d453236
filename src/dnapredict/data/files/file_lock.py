"""Locks on files between processes; the system releases them when a process ends, however it ends.

Ours and not the library filelock: that is no dependency of any other, its lock is exclusive, and a shared one
is what lets many requests read the database of calls at a time.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import private_folder
from dnapredict.data.files.operating_system import try_lock
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
        while not try_lock(file, shared=shared):
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
        return try_lock(file)
