"""Shares, counts and lists as people say them."""

from collections.abc import Sequence

from dnapredict.audit.intervals import Interval

__all__ = ["count_of", "either", "in_100", "named", "range_of", "ratio_of"]

HIDDEN = "hidden (small number)"
NOT_ESTIMABLE = "not enough data to say"


def in_100(figure: Interval | None) -> str:
    """A share as people say it.

    >>> in_100(Interval(0.384, 0.35, 0.42)), in_100(Interval(0.0012, 0, 0.01)), in_100(None)
    ('38 in 100', 'fewer than 1 in 100', 'not enough data to say')
    """
    if figure is None:
        return NOT_ESTIMABLE
    if 0 < figure.value < 0.005:
        return "fewer than 1 in 100"
    return f"{100 * figure.value:.0f} in 100"


def range_of(figure: Interval | None) -> str:
    """The likely range of a share, in 100.

    >>> range_of(Interval(0.384, 0.351, 0.418))
    '35 to 42'
    """
    return "" if figure is None else f"{round(100 * figure.low)} to {round(100 * figure.high)}"


def ratio_of(figure: Interval | None) -> str:
    """A ratio with its likely range.

    >>> ratio_of(Interval(1.04, 0.98, 1.101))
    '1.04 (0.98 to 1.10)'
    """
    return NOT_ESTIMABLE if figure is None else f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def count_of(number: int | None) -> str:
    """A published count, or that it is hidden.

    >>> count_of(10025), count_of(None)
    ('10,025', 'hidden (small number)')
    """
    return HIDDEN if number is None else f"{number:,}"


def named(names: Sequence[str]) -> str:
    """A list as a sentence has it.

    >>> named(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def either(names: Sequence[str]) -> str:
    """A list of which each one counts.

    >>> either(["a", "b", "c"])
    'a, b or c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else "none"
