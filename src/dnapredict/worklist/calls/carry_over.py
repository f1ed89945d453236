"""What people entered about the lines of a list goes over to its later export: notes, and who calls.

Outcomes belong to an appointment and its patient, and need no copy. A note and a hand-over belong to a line of a list.
"""

import datetime
from collections.abc import Mapping
from pathlib import Path

from dnapredict.worklist.calls import assignments
from dnapredict.worklist.files import contact_details
from dnapredict.worklist.files.kept_list import KeptList


def carry_over(home: Path, before: KeptList, kept: KeptList, *, contact_days: int) -> None:
    """Give the lines of `kept` the notes and colleagues of the same appointments on `before`.

    Notes are kept as long as those of the later list, and not at all once its appointments are over.

    Raises
    ------
    StoreError
        If the home cannot be written to, or who calls about the lines of `before` cannot be read.
    """
    lines = _lines_of(kept)
    moved = {line: lines[appointment] for appointment, line in _lines_of(before).items() if appointment in lines}
    _carry_notes(home, before, kept, moved, contact_days=contact_days)
    _carry_assignments(home, before, kept, moved)


def _lines_of(kept: KeptList) -> dict[str, int]:
    """The line of each appointment; the first one where a row repeats it."""
    ids = kept.page_rows["appointment_id"].to_pylist()
    return {each: line for line, each in reversed([*enumerate(ids, start=1)]) if each is not None}


def _carry_notes(home: Path, before: KeptList, kept: KeptList, moved: Mapping[int, int], *, contact_days: int) -> None:
    noted = contact_details.notes(home, before.heading.list_id)
    notes = {moved[line]: text for line, text in noted.items() if line in moved}
    until = contact_details.last_day(kept, contact_days=contact_days)
    if notes and until is not None and until >= datetime.datetime.now(kept.heading.zone).date():
        contact_details.add_notes(home, kept.heading.list_id, notes, until=until)


def _carry_assignments(home: Path, before: KeptList, kept: KeptList, moved: Mapping[int, int]) -> None:
    by_colleague: dict[tuple[str, str, datetime.datetime], list[int]] = {}
    for line, each in assignments.assigned(home, before.heading.list_id).items():
        if line in moved:
            by_colleague.setdefault((each.to, each.by, each.at), []).append(moved[line])
    for (to, by, at), lines in by_colleague.items():
        assignment = assignments.Assignment(to=to, by=by, at=at, lines=tuple(sorted(lines)))
        assignments.assign(home, kept.heading.list_id, assignment)
