"""Assignments of a list's lines to colleagues of a team: `lists/ID.assigned`, without patients' data.

The file counts its writes, and its mark `ID.assigned.made`, which is deleted with the list, holds the count too: an
older copy of the file is refused.
"""

import datetime
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.data.files.loss_marks import is_lost, mark_of, mark_writes, marked_writes
from dnapredict.errors import DataError, StoreError
from dnapredict.worklist.files.list_files import ASSIGNED, assigned_file, written_files

LONGEST_NAME: Final = 80
_SECONDS_TO_WAIT: Final = 10.0
_LOCK: Final = ".assign.lock"
_LOG: Final = logging.getLogger("dnapredict.worklist")
_SAYS: Final = "Handed over"
_BUSY: Final = "Somebody else is handing over lines of a list just now. Try again."


class Assignment(StoredRecord):
    """Lines of a list that were handed over to a colleague, by whom and when. An empty name means the whole team."""

    to: str
    by: str
    at: datetime.datetime
    lines: tuple[int, ...]


class _Assignments(StoredRecord):
    writes: int = 0  # in a file of an earlier release
    assignments: tuple[Assignment, ...] = ()


def assign(home: Path, list_id: str, assignment: Assignment) -> None:
    """Give lines of a list to a colleague; a later assignment of a line replaces an earlier one.

    A damaged or lost file is replaced, which is logged: nothing in it can be restored, and the page asks to hand over
    again.

    Raises
    ------
    DataError
        If the name is too long or not printable.
    StoreError
        If the home cannot be written to.
    """
    if len(assignment.to) > LONGEST_NAME or not assignment.to.isprintable():
        raise DataError(f"A colleague's name has at most {LONGEST_NAME} printable characters.")
    path = assigned_file(home, list_id)
    with locked(path.with_name(_LOCK), busy_message=_BUSY, seconds=_SECONDS_TO_WAIT, make_folder=True):
        try:
            before = _read(path)
        except StoreError as error:
            _LOG.error("%s", error)
            before = _Assignments()
        writes = 1 + max(before.writes, marked_writes(path))
        assignments = (*_without(before.assignments, assignment.lines), assignment)
        write_private(path, _Assignments(writes=writes, assignments=assignments).model_dump_json())
        mark_writes(path, writes, says=_SAYS)


def assigned(home: Path, list_id: str) -> Mapping[int, Assignment]:
    """The assignment of each line of a list that was handed over; {} if there is none.

    Raises
    ------
    StoreError
        If it cannot be read, or is lost.
    """
    found = _read(assigned_file(home, list_id)).assignments
    return {line: each for each in found for line in each.lines if each.to}


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each file of assignments that cannot be read or is lost."""
    for path in written_files(home, ASSIGNED):
        try:
            _read(path)
        except StoreError as error:
            yield str(error)


def _without(assignments: Sequence[Assignment], lines: Sequence[int]) -> list[Assignment]:
    taken = set(lines)
    rest = ((each, tuple(line for line in each.lines if line not in taken)) for each in assignments)
    return [each.model_copy(update={"lines": left}) for each, left in rest if left]


def _read(path: Path) -> _Assignments:
    marked = marked_writes(path)
    stored = read_record(path, _Assignments, advice="Hand the lines over again, which replaces it.")
    if stored is None and is_lost(path):
        raise StoreError(
            f"{path}: lines of this list were handed over, and the file that says to whom is missing. Restore it from "
            f"a backup, or hand the lines over again; if it was removed on purpose, remove {mark_of(path).name} too."
        )
    if stored is not None and stored.writes < marked:
        raise StoreError(
            f"{path}: is an older copy: lines of this list were handed over later. Restore the newest backup, or hand "
            f"the lines over again; to go on with this copy on purpose, remove {mark_of(path).name}."
        )
    return _Assignments() if stored is None else stored
