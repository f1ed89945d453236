"""Tables that follow each other, cut anew."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

__all__ = ["of_one_size"]


def of_one_size(tables: Iterable[pa.Table], *, rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows` each, the last one shorter.

    >>> tables = [pa.table({"n": [1, 2, 3]}), pa.table({"n": [4, 5]})]
    >>> [table["n"].to_pylist() for table in of_one_size(tables, rows=2)]
    [[1, 2], [3, 4], [5]]
    """
    waiting: pa.Table | None = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows > rows:
            yield waiting.slice(0, rows).combine_chunks()
            waiting = waiting.slice(rows)
    if waiting is not None:
        yield waiting.combine_chunks()
