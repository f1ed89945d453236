"""The records of cycles: which steps of the weekly routine are done, in `HOME/cycle/DIGEST/steps.json`.

Apart from `cycle`, which runs the steps and loads what trains and audits: `dnapredict doctor` reads records on
hosts that do neither.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError

FOLDER: Final = "cycle"
_RECORD: Final = "steps.json"


class CycleStep(StoredRecord):
    """A step that is done.

    Attributes
    ----------
    name
        `refresh`, `monitor`, `train`, `compare` or `audit`.
    words
        What it found, in sentences.
    asks
        Whether it asks for a decision: an alarm holds, or a gate failed.
    version
        The version that was trained or audited; "" in other steps.
    report
        The page of its report, relative to the folder of the cycle; "" without one.
    """

    name: str
    words: tuple[str, ...]
    asks: bool = False
    version: str = ""
    report: str = ""


class CycleRecord(StoredRecord):
    """The content of `steps.json`."""

    schema_version: int = 1
    extract: str
    steps: tuple[CycleStep, ...] = ()
    is_done: bool = False


def read_cycle(folder: Path) -> CycleRecord | None:
    """The record in the folder of a cycle; None where no step is done.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    advice = "Remove the folder of this cycle to run it from its start."
    return read_record(folder / _RECORD, CycleRecord, advice=advice)


def write_cycle(folder: Path, record: CycleRecord) -> None:
    """Write the record of a cycle."""
    write_private(folder / _RECORD, record.model_dump_json(indent=1))


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each cycle of a home whose record cannot be read."""
    for folder in sorted((home / FOLDER).glob("*/")):
        try:
            read_cycle(folder)
        except StoreError as error:
            yield str(error)
