"""Past appointments in a file that is mapped into memory, found by patient without reading the rest.

`appointments.arrow` holds the rows sorted by patient, in batches of one size. `patients.arrow` holds, sorted
by a hash of the identifier, where each patient's rows begin and how many there are. Several
processes that read the same files share the memory.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["KeptAppointments", "write_appointments"]

_ROWS: Final = "appointments.arrow"
_PATIENTS: Final = "patients.arrow"
_BATCH: Final = 1_000_000


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
    _write_index(patients, np.array([*starts, written], dtype=np.int64), folder)


def _of_one_size(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Batches of `_BATCH` rows, the last one shorter, so that a row's number says where it is."""
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
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _write_index(patients: Sequence[str | None], bounds: NDArray[np.int64], folder: Path) -> None:
    known = np.array([patient is not None for patient in patients], dtype=bool)
    hashes = np.array([_hash(patient) for patient in patients if patient is not None], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    index = pa.table(
        {
            "hash": hashes[order],
            "start": bounds[:-1][known][order],
            "count": np.diff(bounds)[known][order],
        }
    )
    with pa.OSFile(str(folder / _PATIENTS), "wb") as sink, pa.ipc.new_file(sink, index.schema) as writer:
        writer.write_table(index.combine_chunks(), max_chunksize=max(index.num_rows, 1))


def _hash(patient: str) -> int:
    return int.from_bytes(hashlib.blake2b(patient.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class KeptAppointments:
    """What `write_appointments` wrote, open for reading."""

    batches: tuple[pa.RecordBatch, ...]
    schema: pa.Schema
    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path) -> "KeptAppointments":
        """Map the files of `folder` into memory; nothing is read yet."""
        file = pa.ipc.open_file(pa.memory_map(str(folder / _ROWS)))
        batches = tuple(file.get_batch(number) for number in range(file.num_record_batches))
        index = pa.ipc.open_file(pa.memory_map(str(folder / _PATIENTS))).read_all()
        return cls(
            batches,
            file.schema,
            hashes=_plain(index["hash"]).view(np.uint64),
            starts=_plain(index["start"]),
            counts=_plain(index["count"]),
        )

    def of(self, patients: Sequence[str]) -> pa.Table:
        """The rows of `patients`; in the rarest of cases also those of one whose hash is the same."""
        asked = np.unique(np.array([_hash(patient) for patient in patients], dtype=np.uint64))
        first = np.searchsorted(self.hashes, asked, side="left")
        last = np.searchsorted(self.hashes, asked, side="right")
        places = _ranges(first, last - first)
        return self._rows(np.sort(_ranges(self.starts[places], self.counts[places])))

    def _rows(self, numbers: NDArray[np.int64]) -> pa.Table:
        parts = np.searchsorted(numbers, np.arange(len(self.batches) + 1) * _BATCH)
        taken = [
            batch.take(pa.array(numbers[low:high] - place * _BATCH))
            for place, (batch, low, high) in enumerate(zip(self.batches, parts[:-1], parts[1:], strict=True))
            if high > low
        ]
        return pa.Table.from_batches(taken, schema=self.schema)


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
