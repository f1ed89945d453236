"""Split rows by ranges of the appointment's keyed hash, so that each range is joined alone in bounded memory.

Keyed hashes are uniform: ranges of equal width have about equally many rows. Ranges in ascending order give rows in the
order of the outcome store.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Bytes = NDArray[np.bytes_]

# A range of so many rows is joined in about 0.5 GB, and DuckDB's cost for each statement is small beside it.
_ROWS_OF_A_RANGE: Final = 250_000
# Each range has three open files while rows are split.
_MOST_RANGES: Final = 128
# Hexadecimal digits of a bound, and characters of a hash that tell whether an appointment may have been scored.
_DIGITS: Final = 4
_PREFIX: Final = 8


@dataclass(frozen=True)
class HashRanges:
    """Ranges of hashes in ascending order; `bounds` are the first hashes of all ranges but the first."""

    bounds: tuple[str, ...] = ()

    @classmethod
    def for_rows(cls, rows: int) -> "HashRanges":
        """As many ranges as keep each small where there are so many rows."""
        ranges = min(_MOST_RANGES, max(1, math.ceil(rows / _ROWS_OF_A_RANGE)))
        return cls(tuple(f"{at * 16**_DIGITS // ranges:0{_DIGITS}x}" for at in range(1, ranges)))

    def __len__(self) -> int:
        return len(self.bounds) + 1

    def index_of(self, hashes: pa.ChunkedArray) -> NDArray[np.int64]:
        """The range of each hash, shape (n,)."""
        bounds = np.array([bound.encode() for bound in self.bounds], dtype=f"S{_DIGITS}")
        return np.searchsorted(bounds, _first_bytes(hashes, _DIGITS), side="right")

    def split(self, rows: pa.Table) -> list[pa.Table]:
        """The rows of each range, by their column `appointment`; within a range in the given order."""
        index = self.index_of(rows["appointment"])
        order = np.argsort(index, kind="stable")
        # Strings of several chunks together may exceed what `take` can hold; a batch is one chunk.
        grouped = rows.combine_chunks().take(pa.array(order))
        starts = np.searchsorted(index[order], np.arange(len(self) + 1))
        return [grouped.slice(start, end - start) for start, end in itertools.pairwise(starts.tolist())]

    def limits(self, index: int) -> tuple[str, str | None]:
        """The first hash of a range, and the first after it; None for the last range."""
        return ("", *self.bounds)[index], (*self.bounds, None)[index]


class SplitRows:
    """Rows with a column `appointment`, in a file for each range."""

    def __init__(self, schema: pa.Schema, ranges: HashRanges, folder: Path) -> None:
        """`folder` is an empty folder of its own; the files are private to whoever may read it."""
        self._schema, self._ranges, self._folder = schema, ranges, folder
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def add(self, rows: pa.Table) -> None:
        """Add rows with the columns of the schema, before any is read."""
        for index, part in enumerate(self._ranges.split(rows)):
            if part.num_rows:
                self._writer(index).write_table(part)

    def _writer(self, index: int) -> pa.ipc.RecordBatchStreamWriter:
        if index not in self._writers:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writers[index] = pa.ipc.new_stream(str(self._path(index)), self._schema, options=options)
        return self._writers[index]

    def close(self) -> None:
        """End the files, after which they can be read."""
        for writer in self._writers.values():
            writer.close()

    def read(self, index: int) -> pa.Table:
        """The rows of a range."""
        if index not in self._writers:
            return self._schema.empty_table()
        with pa.OSFile(str(self._path(index))) as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()

    def _path(self, index: int) -> Path:
        return self._folder / f"{index}.arrows"


@dataclass
class ScoredPrefixes:
    """The first characters of the hashes of all scored appointments, 8 bytes each.

    A hash whose prefix is not among them was not scored. The others are decided by the join itself.
    """

    _parts: list[NDArray[np.uint64]] = field(default_factory=list)

    def add(self, hashes: pa.ChunkedArray) -> None:
        """Add the hashes of scored appointments."""
        self._parts.append(np.unique(_as_numbers(hashes)))

    def sorted(self) -> NDArray[np.uint64]:
        """All prefixes as numbers, ascending, each once."""
        every = np.unique(np.concatenate([np.empty(0, np.uint64), *self._parts]))
        self._parts = [every]
        return every


def may_be_scored(hashes: pa.ChunkedArray, prefixes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes have one of the prefixes (`ScoredPrefixes.sorted`), shape (n,)."""
    if not len(prefixes):
        return np.zeros(len(hashes), dtype=bool)
    own = _as_numbers(hashes)
    at = np.minimum(np.searchsorted(prefixes, own), len(prefixes) - 1)
    return np.asarray(prefixes[at] == own)


def _as_numbers(hashes: pa.ChunkedArray) -> NDArray[np.uint64]:
    return _first_bytes(hashes, _PREFIX).view(">u8").astype(np.uint64)


def _first_bytes(hashes: pa.ChunkedArray, count: int) -> Bytes:
    first: Iterable[bytes] = pc.binary_slice(hashes.cast(pa.binary()), 0, count).to_pylist()
    return np.array(list(first), dtype=f"S{count}")
