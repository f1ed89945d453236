"""Assignments of a list's lines to colleagues of a team: `lists/ID.assigned`, without patients' data."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.data.files.atomic_write import private_folder, write_private
from dnapredict.data.files.file_lock import locked
from dnapredict.errors import DataError, StoreError
from dnapredict.worklist.files.list_store import assigned_file

LONGEST_NAME: Final = 80
_SECONDS_TO_WAIT: Final = 10.0
_BUSY: Final = "Somebody else is handing over lines of a list just now. Try again."


class Assignment(BaseModel):
    """Lines of a list that were handed over to a colleague, by whom and when. An empty name means the whole team."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: str
    by: str
    at: datetime.datetime
    lines: tuple[int, ...]


class _Assignments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    assignments: tuple[Assignment, ...] = ()


def assign(home: Path, list_id: str, assignment: Assignment) -> None:
    """Give lines of a list to a colleague; a later assignment of a line replaces an earlier one.

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
    with locked(private_folder(path.parent) / ".assign.lock", busy_message=_BUSY, seconds=_SECONDS_TO_WAIT):
        before = _read(path)
        kept = _Assignments(assignments=(*_without(before, assignment.lines), assignment))
        write_private(path, kept.model_dump_json())


def assigned(home: Path, list_id: str) -> Mapping[int, Assignment]:
    """The assignment of each line of a list that was handed over; {} if there is none.

    Raises
    ------
    StoreError
        If it is there and cannot be read.
    """
    found = _read(assigned_file(home, list_id))
    return {line: each for each in found for line in each.lines if each.to}


def _without(assignments: Sequence[Assignment], lines: Sequence[int]) -> list[Assignment]:
    taken = set(lines)
    rest = ((each, tuple(line for line in each.lines if line not in taken)) for each in assignments)
    return [each.model_copy(update={"lines": left}) for each, left in rest if left]


def _read(path: Path) -> tuple[Assignment, ...]:
    try:
        return _Assignments.model_validate_json(path.read_bytes()).assignments
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path}: cannot be read ({type(error).__name__}). Remove it to assign its lines again."
        ) from None
