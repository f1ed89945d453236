"""Phrases of the report: shares, counts and lists in words, and the sentences of a gate about its groups."""

from collections.abc import Iterator, Sequence

from dnapredict.fairness.compare.allocation_cost import AllocationCost
from dnapredict.fairness.measure.audit_counts import BY_RISK
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.publish.group_tables import GroupTable
from dnapredict.fairness.report.group_phrases import capital, people
from dnapredict.fairness.verdicts import Gate, Verdict

HIDDEN = "hidden (small number)"
NOT_ESTIMABLE = "not enough data to say"
_COULD_BE_CHANCE = 0.05


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


def whole_numbers(reach: Interval, gap: Interval) -> tuple[int, int]:
    """Called of 100 in a group who missed, and of 100 others; wherever a gap is printed, it is between these two.

    >>> whole_numbers(Interval(0.094, 0, 1), Interval(0.274, 0, 1))
    (9, 37)
    """
    return round(100 * reach.value), round(100 * (reach.value + gap.value))


def fewer_or_more(gap: Interval, reach: Interval) -> str:
    """A gap in reach in 100, with its likely range and without a minus.

    >>> reach = Interval(0.30, 0.25, 0.35)
    >>> fewer_or_more(Interval(0.121, 0.09, 0.152), reach), fewer_or_more(Interval(-0.04, -0.07, 0.012), reach)
    ('12 fewer (9 to 15 fewer)', '4 more (7 more to 1 fewer)')
    """
    own, others = whole_numbers(reach, gap)
    value = others - own
    low, high = min(round(100 * gap.low), value), max(round(100 * gap.high), value)
    if low >= 0:
        return f"{_side(value)} ({low} to {high} fewer)"
    if high <= 0:
        return f"{_side(value)} ({-high} to {-low} more)"
    return f"{_side(value)} ({-low} more to {high} fewer)"


def _side(number: int) -> str:
    return "the same" if number == 0 else f"{abs(number)} {'fewer' if number > 0 else 'more'}"


def against_risk(cost: AllocationCost) -> str:
    """How many fewer or more missed appointments a rule would reach than risk alone."""
    if cost.rule == BY_RISK:
        return "the rule that the others are compared with"
    if cost.fewer is None or cost.price is None:
        return HIDDEN
    if cost.fewer == 0:
        return "about as many are reached"
    return f"{abs(cost.fewer):,} {'fewer' if cost.fewer > 0 else 'more'} missed appointments are reached"


def spread_sentence(table: GroupTable) -> str:
    """Whether the groups of a table differ in reach beyond chance, in words; "" where it cannot be said."""
    if table.spread_of_reach is None or table.equal_reach_p is None:
        return ""
    if table.equal_reach_p > _COULD_BE_CHANCE:
        return "How reach differs between these groups could be chance."
    spread = round(100 * table.spread_of_reach)
    points = f"typically by {spread} in 100" if spread else "by less than 1 in 100"
    sentence = f"Reach differs between these groups by more than chance would make it, {points}."
    slope = table.slope_of_reach
    if slope is None or slope.low <= 0 <= slope.high:
        return sentence
    way, ends = ("up", (slope.low, slope.high)) if slope.value > 0 else ("down", (-slope.high, -slope.low))
    low, high = (round(100 * end) for end in ends)
    return f"{sentence} From one end of the scale to the other it goes {way} by {low} to {high} in 100."


def gate_sentence(gate: Gate) -> str:
    """The sentence of a gate, with the names of groups as a reader would say them."""
    sentence = gate.sentence
    for check in sorted(gate.checks, key=lambda check: -len(check.group.name)):
        if check.verdict is Verdict.FAIL and check.grouping != "all":
            sentence = sentence.replace(check.group.name, people(check.grouping, check.group))
    return sentence


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
            name = people(check.grouping, check.group)
            names_by_sentence.setdefault((rest, rest != check.sentence), []).append(name)
    for (rest, begins_with_name), names in names_by_sentence.items():
        yield f"{capital('; '.join(dict.fromkeys(names)))}: {rest}" if begins_with_name else rest


def _thin(gate: Gate, smallest_group: int) -> Iterator[str]:
    thin = [check for check in gate.checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    names = dict.fromkeys(people(check.grouping, check.group) for check in thin)
    if names:
        fewer = f"fewer than {smallest_group} missed appointments"
        yield f"Not enough data to say ({fewer}): {'; '.join(names)}."
