"""A kept list as a file to take away, with what was recorded about its appointments."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from dnapredict.lists import files, kept
from dnapredict.lists.answers import COLUMNS
from dnapredict.lists.sheet import OUTCOME, Note
from dnapredict.service.actions import TakenAction
from dnapredict.service.outcomes import OFFERED_WORDS, WORDS
from dnapredict.service.purpose import NEVER_FOR, USE

__all__ = ["as_file"]


def as_file(found: kept.KeptList, *, form: str, taken: Mapping[str, TakenAction]) -> bytes:
    """A kept list as the bytes of a CSV or XLSX file, with what was recorded about each appointment.

    It is written as `dnapredict score` writes one, from the note that was made when it was scored.
    """
    said = [WORDS[taken[each].outcome] if each in taken else None for each in _appointments(found)]
    worklist = found.worklist.select(COLUMNS).append_column(OUTCOME, pa.array(said, pa.string()))
    with tempfile.TemporaryDirectory(prefix="dnapredict-") as folder:
        out = Path(folder) / f"worklist.{form}"
        files.write_tables([worklist], out, note=found.heading.note or _note_of_another(found.heading))
        return out.read_bytes()


def _appointments(found: kept.KeptList) -> list[str]:
    appointments: list[str] = found.worklist["appointment_id"].to_pylist()
    return appointments


def _note_of_another(heading: kept.Heading) -> Note:
    """What is known of a list that another system sent and that came without a note."""
    never = (f"Never use it to {use}." for use in NEVER_FOR)
    first = f"Worklist for {USE}, made by model version {heading.model_version} on "
    synthetic = ("SYNTHETIC: made-up patients, for demonstration only.",) if heading.synthetic else ()
    day = heading.scored_at.date()
    return Note(
        (*synthetic, f"{first}{day.day} {day:%B %Y}.", *never),
        day=day,
        outcomes=OFFERED_WORDS,
        title=heading.name,
    )
