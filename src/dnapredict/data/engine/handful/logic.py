"""What is made of values of which some may be null: choices, and the logic of three values."""

from collections.abc import Callable
from typing import Any

from dnapredict.data.engine.handful.certainty import UNSURE, NotCertain


def is_known(value: Any) -> bool:
    """Whether a value is there."""
    if value is UNSURE:
        raise NotCertain
    return value is not None


def is_unknown(value: Any) -> bool:
    """Whether a value is missing."""
    return not is_known(value)


def all_of(left: bool | None, right: bool | None) -> bool | None:
    """Both; null where that depends on what is not known."""
    if left is None:
        return None if right is None or right else False
    if left:
        return right
    return False


def any_of(left: bool | None, right: bool | None) -> bool | None:
    """Either; null where that depends on what is not known."""
    if left is None:
        return True if right is not None and right else None
    return True if left else right


def chosen(condition: bool | None, then: Any, otherwise: Any) -> Any:
    """One of two; what is not known to be true is not."""
    return otherwise if condition is None or not condition else then


def first_known(*values: Any) -> Any:
    """The first that is there."""
    for value in values:
        if value is not None:
            return value
    return None


def greatest(*values: Any) -> Any:
    """The greatest of those that are there."""
    return max((value for value in values if value is not None), default=None)


def least(*values: Any) -> Any:
    """The least of those that are there."""
    return min((value for value in values if value is not None), default=None)


def null_if(value: Any, null: Any) -> Any:
    """The value, or null where it is `null`."""
    return None if value is not None and null is not None and value == null else value


def between(value: Any, lowest: Any, highest: Any) -> bool | None:
    """Whether a value lies between two, both included."""
    if value is None:
        return None
    above = None if lowest is None else value >= lowest
    return all_of(above, None if highest is None else value <= highest)


def listed(*values: Any) -> list[Any]:
    """Values as a list."""
    return list(values)


def member_of(options: frozenset[Any]) -> Callable[[Any], bool | None]:
    """Whether a value is one of `options`, none of which is null."""
    return lambda value: None if value is None else value in options


def first_case(cases: int) -> Callable[..., Any]:
    """Of so many conditions, then so many results and what stands otherwise: the first that holds."""

    def choose(*values: Any) -> Any:
        for place in range(cases):
            condition = values[place]
            if condition is not None and condition:
                return values[cases + place]
        return values[-1]

    return choose
