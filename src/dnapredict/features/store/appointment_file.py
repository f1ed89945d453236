"""Past appointments in a memory-mapped file, looked up by patient without reading the rest.

`appointments.arrow` holds the rows sorted by patient, in batches of one size; `patients.arrow` where each
patient's rows are. Several processes that read the same files share the memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.features.store.count_files import KeyIndex, write_index

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
