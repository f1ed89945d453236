"""Phrases of the report: shares, counts and lists in words, and the sentences of a gate about its groups."""

from collections.abc import Iterator, Sequence

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.verdicts import Gate, Verdict

HIDDEN = "hidden (small number)"
NOT_ESTIMABLE = "not enough data to say"


def in_100(figure: Interval | None) -> str:
    """A share in words.

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
    """A published count in words.

    >>> count_of(10025), count_of(None)
    ('10,025', 'hidden (small number)')
    """
    return HIDDEN if number is None else f"{number:,}"


def list_and(names: Sequence[str]) -> str:
    """The names joined by commas and "and".

    >>> list_and(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def list_or(names: Sequence[str]) -> str:
    """The names joined by commas and "or".

    >>> list_or(["a", "b", "c"])
    'a, b or c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else "none"


def group_sentences(gate: Gate, smallest_group: int) -> tuple[str, ...]:
    """Sentences on the groups that do not pass: FAIL first, then REVIEW, then not enough data.

    Groups with the same sentence are listed together.
    """
    return (*_alike(gate, Verdict.FAIL), *_alike(gate, Verdict.REVIEW), *_thin(gate, smallest_group))


def _alike(gate: Gate, verdict: Verdict) -> Iterator[str]:
    names_by_sentence: dict[tuple[str, bool], list[str]] = {}
    for check in gate.checks:
        if check.verdict is verdict and check.grouping != "all":  # the gate's own sentence is about everyone
            rest = check.sentence.removeprefix(f"{check.group.name}: ")
            names_by_sentence.setdefault((rest, rest != check.sentence), []).append(check.group.name)
    for (rest, begins_with_name), names in names_by_sentence.items():
        yield f"{'; '.join(names)}: {rest}" if begins_with_name else rest


def _thin(gate: Gate, smallest_group: int) -> Iterator[str]:
    names = [check.group.name for check in gate.checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    if names:
        fewer = f"fewer than {smallest_group} missed appointments"
        yield f"Not enough data to say ({fewer}): {'; '.join(names)}."
