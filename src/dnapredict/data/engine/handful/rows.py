"""Some rows of a table: chosen, in another order, or several times over."""

from collections.abc import Sequence
from functools import cache

from dnapredict.data.engine.handful.expressions import Relation
from dnapredict.data.engine.handful.steps import Recorder
from dnapredict.data.engine.handful.value_columns import Column


def chosen(recorder: Recorder, table: Relation, rows: int) -> Relation:
    """The rows of `table` whose numbers will stand at the place `rows`."""
    return Relation(rows, cache(lambda name: recorder.step(gathered, table.column(name), rows)))


def gathered(column: Column, rows: Sequence[int | None]) -> Column:
    """The values of a column in `rows`; null for a row that is none."""
    return [None if row is None else column[row] for row in rows]
