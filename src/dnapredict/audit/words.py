"""The words of the report: plain, about people, never blaming a patient."""

from collections.abc import Sequence

from dnapredict.audit.intervals import Interval
from dnapredict.audit.tables import GroupTable, Row
from dnapredict.audit.verdicts import Check, Gate, Verdict

__all__ = [
    "BANNED",
    "actions_owed",
    "count_of",
    "headline",
    "in_100",
    "named",
    "range_of",
    "ratio_of",
    "verdict_words",
]

# Words that put the blame on patients; a test searches every report for them.
BANNED = (
    "non-compliant",
    "non-compliance",
    "non compliant",
    "offender",
    "repeat offender",
    "failed to attend",
    "fails to attend",
    "failure to attend",
    "no-show",
    "no show",
    "wasted appointment",
    "unreliable",
    "hard to reach",
    "defaulter",
    "culprit",
    "poor attender",
)
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
    return "" if figure is None else f"{100 * figure.low:.0f} to {100 * figure.high:.0f}"


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


_VERDICT = {
    Verdict.PASS: "Every group that we can judge is reached about as well as everyone else.",
    Verdict.REVIEW: "Nothing is clearly unfair, but some answers are not sure. "
    "A named person must look before the list is used.",
    Verdict.FAIL: "The list is not fair enough to use as it is.",
    Verdict.NOT_ENOUGH_DATA: "There is not enough data to say whether the list is fair. This is not a pass.",
}


def verdict_words(verdict: Verdict) -> str:
    """What the verdict means, in one sentence."""
    return _VERDICT[verdict]


def headline(core20: GroupTable | None, everyone: Row) -> str:
    """The finding with counts: Core20 against other areas, or everyone where no IMD is known."""
    rows = {row.group.code: row.rates["reach"] for row in core20.rows} if core20 else {}
    first, second = rows.get("core20"), rows.get("rest")
    if first and second:
        return (
            "Of every 100 people in the most deprived areas who missed their appointment, this list "
            f"would have called {100 * first.value:.0f}. Of every 100 in other areas, it would have "
            f"called {100 * second.value:.0f}."
        )
    reach = everyone.rates["reach"]
    if reach:
        called = f"{100 * reach.value:.0f}"
        return f"Of every 100 people who missed their appointment, this list would have called {called}."
    return "Too few people missed their appointment to say how many this list would have called."


def actions_owed(gates: Sequence[Gate]) -> tuple[str, ...]:
    """What somebody has to do next, from gates and groups that did not pass."""
    found = []
    for gate in gates:
        if gate.verdict is Verdict.PASS or not gate.judged:
            continue
        found.append(f"{gate.title}: {_owed(gate)}")
    return tuple(found)


def _owed(gate: Gate) -> str:
    worst = Verdict.FAIL if gate.verdict is Verdict.FAIL else Verdict.REVIEW
    names = [_name(check) for check in gate.checks if check.verdict is worst]
    if gate.verdict is Verdict.NOT_ENOUGH_DATA or not names:
        return gate.sentence
    what = "a named person looks and writes down what they find"
    if worst is Verdict.FAIL:
        what = "put right before the list is used"
    return f"{what}: {named(names)}."


def _name(check: Check) -> str:
    return f"{check.group.name} ({check.cause})" if check.cause else check.group.name
