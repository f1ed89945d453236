"""Write what only its owner may read, whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

from dnapredict.errors import StoreError

__all__ = ["write_private"]


def write_private(path: Path, text: str) -> None:
    """Write beside `path`, then put it in its place: a reader never meets half a file.

    Folders that are missing are made. Only its owner may read or write the file.

    Raises
    ------
    StoreError
        If it cannot be written; what stood there before stays.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise StoreError(f"{path}: cannot be written ({type(error).__name__}).") from None
