"""Windows and sums: what is made of many rows, within those that share a key."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from dnapredict.data.engine.handful.certainty import UNSURE, NotCertain
from dnapredict.data.engine.handful.value_columns import Column

Parts = list[list[int]]
Reduction = Callable[[list[Any]], Any]


def _sum(values: list[Any]) -> Any:
    return sum(values) if values else None


# Of the values that are there.
REDUCTIONS: Final[dict[str, Reduction]] = {
    "Count": len,
    "CountStar": len,
    "Sum": _sum,
    "Min": lambda values: min(values, default=None),
    "Max": lambda values: max(values, default=None),
}


def grouped(beside: Sequence[Any], *keys: Column) -> Parts:
    """Numbers of the rows that share the same keys; all rows without keys."""
    if not keys:
        return [list(range(len(beside)))]
    found: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(zip(*keys, strict=True)):
        found.setdefault(key, []).append(row)
    return list(found.values())


def ordered(parts: Parts, *keys: Column) -> Parts:
    """Each part by rising keys, null last."""

    def key(row: int) -> tuple[tuple[bool, Any], ...]:
        return tuple((column[row] is None, column[row]) for column in keys)

    return [part if len(part) == 1 else sorted(part, key=key) for part in parts]


def reduced(reduction: Reduction) -> Callable[..., Column]:
    """One value for each part, of the values that are there and, where asked, in rows that count."""

    def run(parts: Parts, column: Column, where: Column | None = None) -> Column:
        return [reduction(_counted(part, column, where)) for part in parts]

    return run


def _counted(part: list[int], column: Column, where: Column | None) -> list[Any]:
    rows = part if where is None else [row for row in part if where[row]]
    values = [column[row] for row in rows]
    if any(value is UNSURE for value in values):
        raise NotCertain
    return [value for value in values if value is not None]


def running(kind: str) -> Callable[[Parts, Column], Column]:
    """For each row, of the values from the first row of its part to itself."""
    add = _ADDED[kind]

    def run(parts: Parts, column: Column) -> Column:
        found: Column = [None] * len(column)
        for part in parts:
            so_far = 0 if kind == "Count" else None
            for row in part:
                value = column[row]
                if value is not None:
                    so_far = add(so_far, value)
                found[row] = so_far
        return found

    return run


_ADDED: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "Count": lambda so_far, value: so_far + 1 if value is not UNSURE else _doubt(),
    "Sum": lambda so_far, value: value if so_far is None else so_far + value,
    "Min": lambda so_far, value: value if so_far is None or value < so_far else so_far,
    "Max": lambda so_far, value: value if so_far is None or value > so_far else so_far,
}


def _doubt() -> Any:
    raise NotCertain


def shifted(rows: int) -> Callable[[Parts, Column], Column]:
    """The value so many rows before; after where negative."""

    def run(parts: Parts, column: Column) -> Column:
        found: Column = [None] * len(column)
        for part in parts:
            for place, row in enumerate(part):
                if 0 <= place - rows < len(part):
                    found[row] = column[part[place - rows]]
        return found

    return run


def numbered(parts: Parts, beside: Sequence[Any]) -> Column:
    """The place of each row in its part, from 0."""
    found: Column = [None] * len(beside)
    for part in parts:
        for place, row in enumerate(part):
            found[row] = place
    return found


def summed_before(furthest: int, nearest: int) -> Callable[[Parts, Column, Column], Column]:
    """The sum over rows of the part whose order is `nearest` to `furthest` less than the row's own."""

    def run(parts: Parts, column: Column, order: Column) -> Column:
        found: Column = [None] * len(column)
        for part in parts:
            places = [order[row] for row in part]
            for row in part:
                low = bisect_left(places, order[row] - furthest)
                high = bisect_right(places, order[row] - nearest)
                found[row] = _sum([column[each] for each in part[low:high] if column[each] is not None])
        return found

    return run
