"""The steps that an expression is turned into: each makes a column of columns that were made before.

Operations are given as functions of plain values and become functions of whole columns here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from dnapredict.data.engine.handful.certainty import UNSURE, NotCertain
from dnapredict.data.engine.handful.value_columns import Column

# What Python will not work out, such as a day before the year 1, the embedded engine may.
_REFUSED: Final = (NotCertain, ArithmeticError, ValueError)


class Works(Enum):
    """What a step's answer in a row rests on."""

    CONSTANT = 1
    """On nothing."""
    STRICTLY = 2
    """On the same row of its sources, and it is null where one of them is."""
    BY_ROW = 3
    """On the same row of its sources."""
    ON_ALL = 4
    """On all rows."""


class Step(NamedTuple):
    """`function` of the columns at the places `sources` goes to `place`."""

    function: Callable[..., Any]
    sources: tuple[int, ...]
    place: int
    works: Works


@dataclass
class Recorder:
    """Steps in the order in which they are run, and the places that they fill."""

    steps: list[Step] = field(default_factory=list)
    given: dict[tuple[str, str], int] = field(default_factory=dict)
    places: int = 0

    def place(self) -> int:
        """A place for one more column."""
        self.places += 1
        return self.places - 1

    def step(self, function: Callable[..., Any], *sources: int, works: Works = Works.ON_ALL) -> int:
        """Put down that `function` of the columns at `sources` is worked out; the place where it goes."""
        place = self.place()
        self.steps.append(Step(function, sources, place, works))
        return place

    def constant(self, value: Any, rows: int) -> int:
        """Put down one value, as often as the column at `rows` has rows."""
        return self.step(repeated(value), rows, works=Works.CONSTANT)

    def column_of(self, role: str, name: str) -> int:
        """The place of a column of one of the tables that are filled in."""
        if (role, name) not in self.given:
            self.given[role, name] = self.place()
        return self.given[role, name]


def repeated(value: Any) -> Callable[[Sequence[Any]], Column]:
    """One value, as often as another column has rows."""
    return lambda beside: [value] * len(beside)


def strict(function: Callable[..., Any], arguments: int) -> Callable[..., Column]:
    """`function`, row by row; null where an argument is."""

    def of_one(a: Column) -> Column:
        return [None if x is None else function(x) for x in a]

    def of_two(a: Column, b: Column) -> Column:
        pairs = zip(a, b, strict=True)
        return [None if x is None or y is None else function(x, y) for x, y in pairs]

    def of_more(*columns: Column) -> Column:
        return [
            None if any(value is None for value in values) else function(*values)
            for values in zip(*columns, strict=True)
        ]

    def careful(*columns: Column) -> Column:
        return [
            None if any(value is None for value in values) else _or_unsure(function, values)
            for values in zip(*columns, strict=True)
        ]

    quick: dict[int, Callable[..., Column]] = {1: of_one, 2: of_two}
    return _with_doubts(quick.get(arguments, of_more), careful)


def lenient(function: Callable[..., Any]) -> Callable[..., Column]:
    """`function`, row by row, nulls and all."""

    def quick(*columns: Column) -> Column:
        return [function(*values) for values in zip(*columns, strict=True)]

    def careful(*columns: Column) -> Column:
        return [_or_unsure(function, values) for values in zip(*columns, strict=True)]

    return _with_doubts(quick, careful)


def _with_doubts(quick: Callable[..., Column], careful: Callable[..., Column]) -> Callable[..., Column]:
    """All rows at once; where one is not certain, each by itself."""

    def run(*columns: Column) -> Column:
        try:
            return quick(*columns)
        except (*_REFUSED, TypeError, AttributeError):
            return careful(*columns)

    return run


def _or_unsure(function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    try:
        return function(*values)
    except _REFUSED:
        return UNSURE
    except (TypeError, AttributeError):
        if any(value is UNSURE for value in values):
            return UNSURE
        raise
