"""Bookings by minute in a file that is mapped into memory, found by clinic and day.

`minutes.arrow` holds what `clinic_bookings.minute_counts` gives, sorted; `clinic_days.arrow` where the rows
of each kind, clinic and day are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.features.kept.index import KeyIndex, write_index

__all__ = ["COLUMNS", "SORTED_MINUTES", "KeptMinutes", "write_minutes"]

_MINUTES: Final = "minutes.arrow"
_CLINIC_DAYS: Final = "clinic_days.arrow"
_KEY: Final = ("kind", "clinic", "day")
COLUMNS: Final = (*_KEY, "minute", "n")

SORTED_MINUTES: Final = """
    SELECT kind, clinic, day, minute, sum(n)::INTEGER AS n FROM ({made})
    GROUP BY kind, clinic, day, minute ORDER BY kind, clinic, day, minute
"""


def write_minutes(made: pa.Table, folder: Path) -> None:
    """Write the result of `SORTED_MINUTES`."""
    table = made.combine_chunks()
    with pa.OSFile(str(folder / _MINUTES), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(table.num_rows, 1))
    new = np.ones(table.num_rows, dtype=bool)
    if table.num_rows:
        new[1:] = False
        for name in _KEY:
            column = table[name].combine_chunks()
            new[1:] |= np.asarray(pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)))
    first = np.flatnonzero(new)
    bounds = np.append(first, table.num_rows).astype(np.int64)
    write_index(list(_keys(table.select(_KEY).take(pa.array(first)))), bounds, folder / _CLINIC_DAYS)


@dataclass(frozen=True)
class KeptMinutes:
    """What `write_minutes` wrote, open for reading."""

    rows: pa.Table
    clinic_days: KeyIndex

    @classmethod
    def open(cls, folder: Path) -> "KeptMinutes":
        """Map the files of `folder` into memory; nothing is read yet."""
        table = pa.ipc.open_file(pa.memory_map(str(folder / _MINUTES))).read_all()
        return cls(table, KeyIndex.open(folder / _CLINIC_DAYS))

    def asked(self, clinic_days: pa.Table) -> pa.Table:
        """The minutes of each `kind`, `clinic` and `day` of `clinic_days`."""
        return self.rows.take(pa.array(self.clinic_days.rows(_keys(clinic_days))))


def _keys(clinic_days: pa.Table) -> Iterator[str]:
    columns = (clinic_days[name].to_pylist() for name in _KEY)
    return (f"{kind} {day} {clinic}" for kind, clinic, day in zip(*columns, strict=True))
