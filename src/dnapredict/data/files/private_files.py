"""Write what only its owner may read, whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dnapredict.data.files.atomic_write import private_folder
from dnapredict.errors import StoreError


def private_file(folder: Path) -> Path:
    """A new empty file in `folder`, to be filled and put into its place: only its owner may read it.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    handle, name = tempfile.mkstemp(dir=folder, prefix=".draft-")
    os.close(handle)
    return Path(name)


def write_private(path: Path, text: str) -> None:
    """Write beside `path`, then put it in its place: a reader never meets half a file.

    Folders that are missing are made. Only its owner may read or write the file.

    Raises
    ------
    StoreError
        If it cannot be written; what stood there before stays.
    """
    with _draft(path, text) as draft:
        os.replace(draft, path)


def written_once(path: Path, text: str) -> str:
    """What stands at `path`: `text`, unless somebody else was first.

    Processes that all need the same secret agree so on the one that came first.

    Raises
    ------
    StoreError
        If it can be neither written nor read.
    """
    if not path.exists():
        with _draft(path, text) as draft, contextlib.suppress(FileExistsError):
            os.link(draft, path)
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None


@contextlib.contextmanager
def _draft(path: Path, text: str) -> Iterator[str]:
    draft = ""
    try:
        private_folder(path.parent)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({type(error).__name__}).") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)
