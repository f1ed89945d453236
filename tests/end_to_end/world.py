"""A small synthetic trust with a champion, made once for all tests that need a whole product."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dnapredict.data.files.file_lock import wait_for_lock

__all__ = ["Trust", "made_once", "weekly_list"]
_LONGEST = 1_800.0  # seconds that another process may take to make something


@dataclass(frozen=True)
class Trust:
    """A home with a champion and a history, the extract it came from and next week's list.

    `trained` is the home as it was after the training, before its audit; `training` is what `train --json` printed.
    """

    home: Path
    extract: Path
    weekly: Path
    trained: Path
    training: Path


def made_once(name: str, make: Callable[[Path], None], factory: pytest.TempPathFactory) -> Path:
    """The folder `name`, which `make` fills: once for all processes of a run, which may read it and not write to it.

    `make test` gives them a folder in common; processes of pytest-xdist have one anyway, a single process its own.
    """
    own = factory.getbasetemp()
    common = os.environ.get("TEST_RUN_FOLDER") or (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
    place = Path(common) / f"made-once-{name}"
    with wait_for_lock(place.with_suffix(".lock"), seconds=_LONGEST):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)  # of a process that was stopped
            place.mkdir()
            make(place)
            (place / "complete").touch()
    return place


def weekly_list(extract: Path, out: Path, *, rows: int = 400) -> None:
    """The next appointments without an outcome, as a clinic list."""
    table = pq.read_table(extract)
    future = table.filter(pc.is_null(table["outcome_code"])).sort_by("starts_at").slice(0, rows)
    pq.write_table(future.drop_columns(["outcome_code", "recorded_at"]), out)


def as_requests(table: pa.Table) -> list[dict[str, object]]:
    """Rows as a client of the service would send them: JSON values, nothing for what is not known."""
    return [
        {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in row.items()
            if value is not None
        }
        for row in table.to_pylist()
    ]
