"""Counts of all patients on Apache Spark: each task counts some, and one set of counts comes to the driver.

The appointments of a patient are counted together, and the counts of tasks are added up.
"""

import functools
import json
import operator
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import pyarrow as pa

from dnapredict.data.engine.spark_engine import SparkEngine

if TYPE_CHECKING:
    import ibis.expr.types as ir

Counts = TypeVar("Counts")
# Appointments that one task counts; more tasks than these need cost time alone.
_ROWS_OF_A_TASK: Final = 500_000
# Counts travel in parts, so that a driver may receive them whatever its cluster allows.
_BYTES_OF_A_PART: Final = 2**24
_PARTS: Final = pa.schema([("task", pa.string()), ("part", pa.int64()), ("content", pa.binary())])


@dataclass(frozen=True)
class Codec(Generic[Counts]):
    """How counts are written as JSON values and read."""

    to_json: Callable[[Counts], Any]
    from_json: Callable[[Any], Counts]


def counts_of_patients(
    table: "ir.Table", engine: SparkEngine, *, rows: int, count: Callable[[pa.Table], Counts], codec: Codec[Counts]
) -> Counts:
    """The counts of a table of so many `rows`: each task counts some patients, and one adds their counts up.

    Parameters
    ----------
    table
        Has `patient_id` and `appointment_id`; a row without patient counts as one.
    count
        Counts all rows of some patients, on an executor. Counts are added by `+`.
    """
    together = engine.by_key(
        engine.frame(table), "coalesce(patient_id, appointment_id)", tasks=1 + rows // _ROWS_OF_A_TASK
    )
    counted = engine.map_tables(together, partial(_count_task, count=count, codec=codec), _PARTS)
    # Shuffled: `coalesce` would let one task count all patients.
    gathered = engine.by_key(counted, "1", tasks=1)
    total = engine.keep(engine.map_tables(gathered, partial(_add_up, codec=codec, size=engine.bytes_at_once), _PARTS))
    content = dict(engine.fetch_each(total.select("part", "content"), rows=engine.count(total)))
    return codec.from_json(json.loads(b"".join(content[number] for number in sorted(content))))


def _count_task(
    tables: Iterable[pa.Table], *, count: Callable[[pa.Table], Any], codec: Codec[Any]
) -> Iterator[pa.Table]:
    """The counts of the rows of a task, in parts."""
    rows = list(tables)
    if rows:
        yield from _in_parts(codec.to_json(count(pa.concat_tables(rows))), size=_BYTES_OF_A_PART)


def _add_up(tables: Iterable[pa.Table], *, codec: Codec[Any], size: int) -> Iterator[pa.Table]:
    """The sum of the counts of all tasks, in parts of `size` bytes; this runs on one executor."""
    waiting: defaultdict[str, dict[int, bytes]] = defaultdict(dict)
    for table in tables:
        for row in table.to_pylist():
            waiting[row["task"]][row["part"]] = row["content"]
    # In an order that does not depend on which task was ready first.
    counted = sorted(b"".join(parts[number] for number in sorted(parts)) for parts in waiting.values())
    if counted:
        total = functools.reduce(operator.add, (codec.from_json(json.loads(each)) for each in counted))
        yield from _in_parts(codec.to_json(total), size=size)


def _in_parts(value: Any, *, size: int) -> Iterator[pa.Table]:
    """JSON values as text in parts of so many bytes, numbered from 0, with a name for the task that this is."""
    content, task = json.dumps(value).encode(), secrets.token_hex(8)
    for number, start in enumerate(range(0, len(content), size)):
        row = {"task": task, "part": number, "content": content[start : start + size]}
        yield pa.Table.from_pylist([row], schema=_PARTS)
