"""Where the rows of a key are, in a file whose rows stand together key by key."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["KeyIndex", "write_index"]


def write_index(keys: Sequence[str | None], bounds: NDArray[np.int64], path: Path) -> None:
    """Write that rows `bounds[i]` to `bounds[i + 1]` are those of `keys[i]`; those of None are not found.

    Kept is a hash of each key, not the key.
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
    """What `write_index` wrote, open for reading; several processes that read it share the memory."""

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
        """Numbers of the rows of `keys`, rising; in the rarest of cases also of one with the same hash."""
        asked = np.unique(np.array([_hash(key) for key in keys], dtype=np.uint64))
        first = np.searchsorted(self.hashes, asked, side="left")
        last = np.searchsorted(self.hashes, asked, side="right")
        places = _ranges(first, last - first)
        return np.sort(_ranges(self.starts[places], self.counts[places]))


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
