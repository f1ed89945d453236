"""Files mapped into memory and looked up by key: appointments by patient, counts by day, bookings by minute.

`appointments.arrow` holds the rows sorted by patient, in batches of one size; `patients.arrow` where each patient's
rows are; `bookings.arrow` which appointments are among the counts. One patient is read without reading the rest, and
several processes that read the same files share the memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.features.rates import COUNTED, count_of


def write_index(keys: Sequence[str | None], bounds: NDArray[np.int64], path: Path) -> None:
    """Write an index in which rows `bounds[i]` to `bounds[i + 1]` belong to `keys[i]`; a key of None is left out.

    It holds a hash of each key, not the key.
    """
    known = np.array([key is not None for key in keys], dtype=bool)
    hashes = np.array([_hash(key) for key in keys if key is not None], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    index = pa.table(
        {
            "hash": hashes[order],
            "start": bounds[:-1][known][order],
            "count": np.diff(bounds)[known][order],
        }
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, index.schema) as writer:
        writer.write_table(index.combine_chunks(), max_chunksize=max(index.num_rows, 1))


@dataclass(frozen=True)
class KeyIndex:
    """The index that `write_index` wrote, memory-mapped: processes that read it share the memory."""

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def open(cls, path: Path) -> "KeyIndex":
        """Map the file into memory; nothing is read yet."""
        index = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        return cls(
            hashes=_plain(index["hash"]).view(np.uint64),
            starts=_plain(index["start"]),
            counts=_plain(index["count"]),
        )

    def rows(self, keys: Iterable[str]) -> NDArray[np.int64]:
        """Row numbers of `keys`, ascending; also those of another key with the same hash, which is very rare."""
        hashes = np.unique(np.array([_hash(key) for key in keys], dtype=np.uint64))
        first = np.searchsorted(self.hashes, hashes, side="left")
        last = np.searchsorted(self.hashes, hashes, side="right")
        entries = _ranges(first, last - first)
        return np.sort(_ranges(self.starts[entries], self.counts[entries]))


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")


def _plain(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """The numbers of a column without copying them, of whatever kind of 64 bits."""
    chunk = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    plain: NDArray[np.int64] = np.asarray(chunk).view(np.int64)
    return plain


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """`start, start + 1, ...` for each start, as many as its count, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    numbers: NDArray[np.int64] = np.arange(total) + np.repeat(starts - (ends - counts), counts)
    return numbers


_COUNTS: Final = "counts.arrow"
_COLUMNS: Final = tuple(count_of(code) for code in COUNTED)
# A position is the number of the key times this, plus the number of the day.
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
    positions: NDArray[np.int64]

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

    def before(self, keys: pa.Table) -> pa.Table:
        """Additions up to the day before each `day` of `keys`, which `rates.keys_of` gave."""
        pairs = zip(keys["kind"].to_pylist(), keys["key"].to_pylist(), strict=True)
        number = np.array([self.numbers.get(pair, -1) for pair in pairs], dtype=np.int64)
        days = _day_numbers(keys["day"].combine_chunks())
        before = np.searchsorted(self.positions, number * _DAYS + days, side="left") - 1
        known = (number >= 0) & (before >= 0)
        known[known] = self.positions[before[known]] // _DAYS == number[known]
        return self._additions(np.unique(before[known]))

    def _additions(self, found: NDArray[np.int64]) -> pa.Table:
        taken = pa.Table.from_batches([self.rows.take(pa.array(found))])
        number = self.positions[found] // _DAYS
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

    def of_clinic_days(self, clinic_days: pa.Table) -> pa.Table:
        """The minutes of each `kind`, `clinic` and `day` of `clinic_days`."""
        return self.rows.take(pa.array(self.clinic_days.rows(_keys(clinic_days))))


def _keys(clinic_days: pa.Table) -> Iterator[str]:
    columns = (clinic_days[name].to_pylist() for name in _KEY)
    return (f"{kind} {day} {clinic}" for kind, clinic, day in zip(*columns, strict=True))


_BOOKINGS: Final = "bookings.arrow"

SORTED_BOOKINGS: Final = """
    SELECT DISTINCT md5_number_lower(appointment_id) AS booking FROM ({appointments}) ORDER BY booking
"""


def write_bookings(hashes: pa.Table, folder: Path) -> None:
    """Write the result of `SORTED_BOOKINGS`."""
    table = hashes.combine_chunks()
    with pa.OSFile(str(folder / _BOOKINGS), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(table.num_rows, 1))


@dataclass(frozen=True)
class KeptBookings:
    """What `write_bookings` wrote, open for reading: a hash of each appointment's id, rising.

    An appointment is looked up here and not among those of its patient, so that it is recognised without a patient.
    """

    hashes: NDArray[np.uint64]

    @classmethod
    def open(cls, folder: Path) -> "KeptBookings":
        """Map the file of `folder` into memory; nothing is read yet."""
        table = pa.ipc.open_file(pa.memory_map(str(folder / _BOOKINGS))).read_all()
        return cls(_plain(table["booking"]).view(np.uint64))

    def holds(self, hashes: pa.ChunkedArray) -> NDArray[np.bool_]:
        """Whether each appointment is in the store, by the hash of its id."""
        asked = _plain(hashes).view(np.uint64)
        first = np.searchsorted(self.hashes, asked, side="left")
        last = np.searchsorted(self.hashes, asked, side="right")
        return last > first


_ROWS: Final = "appointments.arrow"
_PATIENTS: Final = "patients.arrow"
_BATCH: Final = 1_000_000
_AT_ONCE: Final = 100_000


def write_appointments(rows: pa.RecordBatchReader, folder: Path) -> None:
    """Write `rows`, which come sorted by `patient_id`, and where each patient's begin."""
    patients: list[str | None] = []
    starts: list[int] = []
    written = 0
    with pa.OSFile(str(folder / _ROWS), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        for batch in _of_one_size(rows):
            writer.write_batch(batch)
            runs = pc.run_end_encode(batch["patient_id"])
            begins = [written, *(written + np.asarray(runs.run_ends)[:-1])]
            for patient, start in zip(runs.values.to_pylist(), begins, strict=True):
                if not patients or patients[-1] != patient:
                    patients.append(patient)
                    starts.append(start)
            written += batch.num_rows
    write_index(patients, np.array([*starts, written], dtype=np.int64), folder / _PATIENTS)


def _of_one_size(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Batches of `_BATCH` rows, the last one shorter, so that a row number gives batch and position."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        while count + batch.num_rows >= _BATCH:
            taken = _BATCH - count
            yield _one([*waiting, batch.slice(0, taken)])
            batch, waiting, count = batch.slice(taken), [], 0  # noqa: PLW2901 - the rest of it
        waiting.append(batch)
        count += batch.num_rows
    if count:
        yield _one(waiting)


def _one(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    batch = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    return pa.RecordBatch.from_arrays([_zero_nulls(column) for column in batch.columns], schema=batch.schema)


def _zero_nulls(column: pa.Array) -> pa.Array:
    """Zeros in the memory of nulls, so that equal rows give equal files: DuckDB leaves anything there."""
    if not column.null_count or not pa.types.is_primitive(column.type):
        return column
    numbers = pc.fill_null(column.view(pa.int64()), 0).to_numpy()
    return pa.array(numbers, mask=column.is_null().to_numpy(zero_copy_only=False)).view(column.type)


@dataclass(frozen=True)
class KeptAppointments:
    """What `write_appointments` wrote, open for reading."""

    batches: tuple[pa.RecordBatch, ...]
    schema: pa.Schema
    patients: KeyIndex

    @classmethod
    def open(cls, folder: Path) -> "KeptAppointments":
        """Map the files of `folder` into memory; nothing is read yet."""
        file = pa.ipc.open_file(pa.memory_map(str(folder / _ROWS)))
        batches = tuple(file.get_batch(number) for number in range(file.num_record_batches))
        return cls(batches, file.schema, patients=KeyIndex.open(folder / _PATIENTS))

    def read(self, patients: Sequence[str]) -> pa.RecordBatchReader:
        """The rows of `patients`, some at a time: many patients have more than memory should hold.

        A patient whose hash is the same as that of another is returned too, which is very rare.
        """
        numbers = self.patients.rows(patients)
        some = (numbers[first : first + _AT_ONCE] for first in range(0, len(numbers), _AT_ONCE))
        batches = (batch for part in some for batch in self._rows(part).to_batches())
        return pa.RecordBatchReader.from_batches(self.schema, batches)

    def _rows(self, numbers: NDArray[np.int64]) -> pa.Table:
        parts = np.searchsorted(numbers, np.arange(len(self.batches) + 1) * _BATCH)
        taken = [
            batch.take(pa.array(numbers[low:high] - index * _BATCH))
            for index, (batch, low, high) in enumerate(zip(self.batches, parts[:-1], parts[1:], strict=True))
            if high > low
        ]
        return pa.Table.from_batches(taken, schema=self.schema)
