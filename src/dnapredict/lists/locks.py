"""Files that one process holds at a time; a process that ends, however it ends, lets go."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from dnapredict.errors import StoreError

__all__ = ["held", "is_free"]

_SECONDS_BETWEEN_TRIES: Final = 0.05


@contextlib.contextmanager
def held(path: Path, *, otherwise: str, seconds: float = 0.0) -> Iterator[None]:
    """Hold the file at `path`, which is made where it is missing.

    Raises
    ------
    StoreError
        With the message `otherwise` if another process holds it for longer than `seconds`; or if it
        cannot be made.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be written ({error.strerror}).") from None
    with file:
        until = time.monotonic() + seconds
        while not _taken(file):
            if time.monotonic() >= until:
                raise StoreError(otherwise)
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

    def _taken(file: IO[bytes]) -> bool:
        """Whether this process alone now holds the file; it does until the file is closed."""
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(file: IO[bytes]) -> bool:
        """Whether this process alone now holds the file; it does until the file is closed."""
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
