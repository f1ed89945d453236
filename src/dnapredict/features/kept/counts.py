"""Daily counts in a file that is mapped into memory, of which a request reads one row a key and day.

`counts.arrow` holds, for each kind and key, the counts of all days up to each day on which one became known.
What a request asks for comes back as additions: for each day that it asks about, what was added
since the last one. So the sums of `rates` are the same as over the whole of the counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.features.rates import COUNTED, count_of

__all__ = ["CUMULATIVE", "KeptCounts", "write_counts"]

_COUNTS: Final = "counts.arrow"
_COLUMNS: Final = tuple(count_of(code) for code in COUNTED)
# A place is the number of the key and the number of the day in one whole number.
_DAYS: Final = 1 << 20

CUMULATIVE: Final = f"""
    SELECT kind, key, day, {", ".join(f'sum("{name}") OVER w::BIGINT AS "{name}"' for name in _COLUMNS)}
    FROM (SELECT kind, key, day, {", ".join(f'sum("{name}") AS "{name}"' for name in _COLUMNS)}
          FROM ({{daily}}) GROUP BY kind, key, day)
    WINDOW w AS (PARTITION BY kind, key ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ORDER BY kind, key, day
"""


def write_counts(cumulative: pa.Table, folder: Path) -> None:
    """Write the result of `CUMULATIVE`."""
    table = cumulative.combine_chunks()
    with pa.OSFile(str(folder / _COUNTS), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(table.num_rows, 1))


@dataclass(frozen=True)
class KeptCounts:
    """What `write_counts` wrote, open for reading."""

    rows: pa.RecordBatch
    numbers: Mapping[tuple[int, str], int]
    places: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path) -> "KeptCounts":
        """Map the file of `folder` into memory and number its keys."""
        table = pa.ipc.open_file(pa.memory_map(str(folder / _COUNTS))).read_all()
        rows = table.combine_chunks().to_batches()[0] if table.num_rows else _nothing(table.schema)
        new = _changes(rows)
        first = rows.take(pa.array(np.flatnonzero(new)))
        keys = zip(first["kind"].to_pylist(), first["key"].to_pylist(), strict=True)
        numbers = {key: number for number, key in enumerate(keys)}
        return cls(rows, numbers, (np.cumsum(new) - 1) * _DAYS + _day_numbers(rows["day"]))

    def asked(self, keys: pa.Table) -> pa.Table:
        """Additions up to the day before each `day` of `keys`, which `rates.keys_of` gave."""
        pairs = zip(keys["kind"].to_pylist(), keys["key"].to_pylist(), strict=True)
        number = np.array([self.numbers.get(pair, -1) for pair in pairs], dtype=np.int64)
        days = _day_numbers(keys["day"].combine_chunks())
        before = np.searchsorted(self.places, number * _DAYS + days, side="left") - 1
        known = (number >= 0) & (before >= 0)
        known[known] = self.places[before[known]] // _DAYS == number[known]
        return self._additions(np.unique(before[known]))

    def _additions(self, found: NDArray[np.int64]) -> pa.Table:
        taken = pa.Table.from_batches([self.rows.take(pa.array(found))])
        number = self.places[found] // _DAYS
        follows = np.concatenate([[False], number[1:] == number[:-1]]) if len(found) else np.array([], bool)
        columns = {name: taken[name] for name in ("kind", "key", "day")}
        for name in _COLUMNS:
            total = taken[name].to_numpy()
            columns[name] = pa.array(np.where(follows, np.diff(total, prepend=0), total).astype(np.int64))
        return pa.table(columns)


def _changes(rows: pa.RecordBatch) -> NDArray[np.bool_]:
    """Whether a row is the first of its kind and key."""
    new = np.zeros(rows.num_rows, dtype=bool)
    new[:1] = True
    for name in ("kind", "key"):
        column = rows[name]
        new[1:] |= np.asarray(pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))))
    return new


def _day_numbers(days: pa.Array) -> NDArray[np.int64]:
    return np.asarray(days.cast(pa.int32()), dtype=np.int64)


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
