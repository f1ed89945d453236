"""Files that one process holds at a time; a process that ends, however it ends, lets go."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from dnapredict.errors import StoreError

_SECONDS_BETWEEN_TRIES: Final = 0.02


@contextlib.contextmanager
def held(path: Path, *, otherwise: str, seconds: float = 0.0) -> Iterator[None]:
    """Hold the file at `path`, which is made where it is missing.

    Raises
    ------
    StoreError
        With the message `otherwise` if another process holds it for longer than `seconds`; or if it
        cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(waited_for(path, seconds=seconds))
        except TimeoutError:
            raise StoreError(otherwise) from None
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot be written ({error.strerror}).") from None
        yield


@contextlib.contextmanager
def waited_for(path: Path, *, seconds: float, shared: bool = False) -> Iterator[None]:
    """Hold the file at `path`, which is made where it is missing; wait for others so many seconds.

    Any number may hold it `shared` at a time, while nobody holds it alone. Windows knows no shared lock:
    there all take turns.

    Raises
    ------
    TimeoutError
        If others hold it for longer.
    OSError
        If it cannot be made.
    """
    until = time.monotonic() + seconds
    with path.open("ab") as file:
        while not _taken(file, shared=shared):
            if time.monotonic() >= until:
                raise TimeoutError
            time.sleep(_SECONDS_BETWEEN_TRIES)
        yield


def is_free(path: Path) -> bool:
    """Whether nobody holds the file at `path`.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    with path.open("ab") as file:
        return _taken(file)


if sys.platform == "win32":
    import msvcrt

    def _taken(file: IO[bytes], *, shared: bool = False) -> bool:  # noqa: ARG001
        """Whether this process alone now holds the file; it does until the file is closed."""
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(file: IO[bytes], *, shared: bool = False) -> bool:
        """Whether this process now holds the file, alone or shared; it does until the file is closed."""
        try:
            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
