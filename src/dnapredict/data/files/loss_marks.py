"""Marks that a file of a home was written, so that a lost file is not mistaken for one that never was.

The mark of `NAME` is the file `NAME.made` next to it. It is written after the file itself: a process that is killed in
between leaves a file without a mark, as an earlier release does, and never a mark that accuses wrongly.

The mark of a file that belongs to a list and is rewritten also counts the writes, as the file itself does: a file that
counts fewer is an older copy. The count is once more in `newest/lists/NAME.made`, since a folder `lists` that is put
back brings its marks along. Both are deleted with the list; a file of the home that stays has a mark of
`data.files.newest_marks`.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_once, write_private
from dnapredict.data.files.newest_marks import FOLDER
from dnapredict.errors import StoreError

MADE: Final = ".made"
_WRITES: Final = re.compile(r", writes: (\d{1,12})\n\Z")
_SAYS: Final = "The file of this name without .made was written in this home. Do not delete this mark on its own.\n"


def mark_of(path: Path) -> Path:
    """The mark of the file at `path`."""
    return path.with_name(path.name + MADE)


def mark_made(path: Path, says: str = _SAYS) -> None:
    """Mark that the file at `path` was written, with a mark that `says` this; nothing happens where it is marked.

    Raises
    ------
    StoreError
        If the mark cannot be written.
    """
    write_once(mark_of(path), says)


def mark_writes(path: Path, writes: int, *, says: str) -> None:
    """Mark that the file at `path` was written for the `writes`-th time, with a mark that begins with `says`.

    The file is written first: a process that is killed in between leaves an older count, which refuses nothing.

    Raises
    ------
    StoreError
        If the mark cannot be written.
    """
    write_count(mark_of(path), writes, says=says)


def marked_writes(path: Path) -> int:
    """The number of writes in the marks of the file at `path`; 0 where it has none, as in an earlier release.

    They are read before the file: another process may write between the two.
    """
    return count_in(mark_of(path))


def write_count(mark: Path, writes: int, *, says: str) -> None:
    """As `mark_writes`, for a mark at a path of its own."""
    write_private(mark, f"{says}, writes: {writes}\n")
    note_count(mark, writes)


def note_count(mark: Path, writes: int) -> None:
    """Write the count of `mark` into `newest` alone, as where the file and its mark are removed while the list stays.

    A count that cannot be written fails nothing: an older one refuses nothing.
    """
    with contextlib.suppress(StoreError):
        write_private(_second_of(mark), f"Writes, writes: {writes}\n", durable=False)


def count_in(mark: Path) -> int:
    """As `marked_writes`, for a mark at a path of its own.

    Without the mark itself the count in `newest` says nothing: a person removes the mark to accept an older copy.
    """
    return max(_count(mark), _count(_second_of(mark))) if mark.exists() else 0


def _count(mark: Path) -> int:
    try:
        found = _WRITES.search(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return 0 if found is None else int(found[1])


def _second_of(mark: Path) -> Path:
    return mark.parents[1] / FOLDER / mark.parent.name / mark.name


def second_marks(folder: Path) -> Iterator[Path]:
    """The counts in `newest` of the files that are, or were, in `folder`; drafts are left out."""
    yield from sorted((folder.parent / FOLDER / folder.name).glob("[!.]*"))


def remove_mark(mark: Path) -> None:
    """Delete a mark, and the count in `newest`.

    Raises
    ------
    OSError
        If one of them cannot be deleted.
    """
    # The mark first: without it the count says nothing.
    mark.unlink(missing_ok=True)
    _second_of(mark).unlink(missing_ok=True)


def remove_with_mark(path: Path) -> bool:
    """Delete the file at `path` with its marks; return whether it was there.

    Raises
    ------
    OSError
        If one of them cannot be deleted.
    """
    # The marks first: if the process is killed in between, a file without a mark is left, and not a lost file.
    remove_mark(mark_of(path))
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def is_lost(path: Path) -> bool:
    """Whether the file at `path` was written in this home and is not there."""
    return not path.exists() and mark_of(path).exists()


def loss_message(path: Path, *, what: str, without_backup: str) -> str:
    """The sentences about a lost file: what it is, and what to do with a backup and without one.

    Parameters
    ----------
    what
        The file in words, such as "the scoring log".
    without_backup
        What happens once the mark is removed, as the end of a sentence.
    """
    return (
        f"{path}: {what} is missing, and it was written in this home before. Restore it from a backup; if there is "
        f"none, remove {mark_of(path).name} as well, {without_backup}."
    )
