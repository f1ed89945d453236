"""The files of the lists that a home keeps: where each lies, its state, and whether it was lost.

`lists/ID.parquet` is a list, and `ID.kept` its marker, which is deleted with it: a marker without a list means that
the list was lost, and one that counts more writes than the list, that the list is an older copy. Other files of the
same name hold what belongs to the list, each with a mark that it was written.
"""

import contextlib
import datetime
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.loss_marks import MADE

CONTACTS: Final = ".contacts"
"""The ending of the file with the contact details of a list: see `worklist.files.contact_details`."""
UNSCORED: Final = ".unscored"
ASSIGNED: Final = ".assigned"
MARKER: Final = ".kept"
_FOLDER: Final = "lists"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d(?=\Z|, writes: )")

FileState = tuple[int, int, int, int]
"""What changes with every write of a file: its number, size and times."""


def list_folder(home: Path) -> Path:
    """The folder of all kept lists."""
    return home / _FOLDER


def list_file(home: Path, list_id: str) -> Path:
    """Where a list is kept."""
    return home / _FOLDER / f"{list_id}.parquet"


def unscored_file(home: Path, list_id: str) -> Path:
    """Where the rows of a list that could not be scored are kept."""
    return home / _FOLDER / f"{list_id}{UNSCORED}"


def assigned_file(home: Path, list_id: str) -> Path:
    """The path of the file with a list's assignments."""
    return home / _FOLDER / f"{list_id}{ASSIGNED}"


def contacts_file(home: Path, list_id: str) -> Path:
    """Where the contact details of a list are kept."""
    return home / _FOLDER / f"{list_id}{CONTACTS}"


def written_files(home: Path, ending: str) -> list[Path]:
    """The files of that ending, such as `CONTACTS`, that are kept or were and are lost; drafts are left out."""
    folder = list_folder(home)
    marked = (path.with_name(path.name.removesuffix(MADE)) for path in folder.glob(f"*{ending}{MADE}"))
    return sorted(path for path in {*folder.glob(f"*{ending}"), *marked} if not path.name.startswith("."))


def marker_of(path: Path) -> Path:
    """The marker of a list in the file at `path`."""
    return path.with_suffix(MARKER)


def marked_day(path: Path) -> datetime.date:
    """The day in the marker of a list, on which it was scored.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged.
    """
    return datetime.date.fromisoformat(marker_of(path).read_text(encoding="ascii").partition(",")[0])


def loss_of(path: Path) -> str:
    """The message that a list is lost; "" if the list exists, or was deleted together with its marker."""
    try:
        written = marker_of(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    if path.exists():  # another process has just written it
        return ""
    # A damaged marker may hold the content of another file, which must not reach the log.
    found = _DAY.match(written)
    day = "an unknown day" if found is None else found[0]
    return (
        f"{path}: the list scored on {day} is lost. Restore it from a backup or score it again; if it was "
        f"removed on purpose, remove {marker_of(path).name} too."
    )


def file_state(path: Path) -> FileState:
    """A state of the file that changes with every write.

    Raises
    ------
    OSError
        If it does not exist or is not a regular file: opening a named pipe would block for ever.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise OSError("not a regular file")
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def list_files(home: Path) -> Iterator[tuple[Path, FileState]]:
    """The regular files of kept lists, each with its state; another process may remove one meanwhile."""
    for path in (home / _FOLDER).glob("[!.]*.parquet"):
        with contextlib.suppress(OSError):
            yield path, file_state(path)


def kept_list_ids(home: Path) -> frozenset[str]:
    """The ids of all lists that are kept whole."""
    return frozenset(path.stem for path, _ in list_files(home))
