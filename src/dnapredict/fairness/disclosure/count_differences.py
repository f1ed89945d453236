"""Differences of two printed counts, such as missed and not called, which no table has as a column.

A rate is hidden if its denominator less its numerator is 1 to 7, which tells a reader whether this difference is small.
A reader can also subtract the two printed counts. These differences are protected like the counts of the tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.derived_ranges import LinkedCounts, Range, Unknown
from dnapredict.fairness.disclosure.suppression import CountCell
from dnapredict.fairness.measure.group_metrics import RATES


@dataclass(frozen=True)
class CountDifference:
    """A count that is `whole` without `part`; `has_rate` where a rate is printed of it."""

    whole: str
    part: str
    has_rate: bool = False


MISSED_NOT_REACHED: Final = "missed_not_reached"
# The difference for each rate, ordered so that a difference comes after the ones from which it is computed.
DIFFERENCES: Final[Mapping[str, CountDifference]] = {
    MISSED_NOT_REACHED: CountDifference("missed", "reached", has_rate=True),
    "attended": CountDifference("appointments", "missed", has_rate=True),
    "attended_called": CountDifference("selected", "reached", has_rate=True),
    "attended_not_called": CountDifference("attended", "attended_called"),
    "not_called": CountDifference("appointments", "selected"),
    "missed_without_trust_side": CountDifference("missed", "trust_side"),
    "missed_not_reached_live": CountDifference("missed", "live_reached"),
    "recorded": CountDifference("appointments", "unrecorded"),
}
# Differences that depend on which list is in use.
OF_A_LIST: Final = frozenset(DIFFERENCES) - {"attended", "missed_without_trust_side", "recorded"}
_OF_A_DIFFERENCE: Final = 3


def counts_in_rate(name: str) -> tuple[str, ...]:
    """The counts that a rate of `group_metrics.RATES` is computed from.

    >>> counts_in_rate("missed_support")
    ('missed', 'reached')
    """
    return tuple(dict.fromkeys(part for side in RATES[name] for part in side))


def differences_of(counts: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Name and number of each difference of the counts of one group, where both of its parts are counted."""
    known = dict(counts)
    for name, one in DIFFERENCES.items():
        if one.whole in known and one.part in known:
            known[name] = known[one.whole] - known[one.part]
            yield name, known[name]


def told_range(count: float, rule: Disclosure) -> Range:
    """The range of an unprinted difference that rates reveal: 0, small or neither.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> [told_range(count, rule) for count in (0, 3, 57)]
    [(0.0, 0.0), (1.0, 7.0), (8.0, inf)]
    """
    if count == 0:
        return 0.0, 0.0
    if publish_count(count, rule) is None:
        return 1.0, float(rule.suppress_below - 1)
    return float(max(1, rule.suppress_below)), float("inf")


def rows_of_one_count(linked: LinkedCounts) -> list[Mapping[Unknown, float]]:
    """The sums, with those that define a difference replaced by the sums of the differences themselves.

    Several reports can then be followed one count at a time, which is much faster.
    """
    made = dict.fromkeys(tuple(_counted(row)) for row in linked.equal if _makes_difference(row))
    kept = [row for row in linked.equal if not _makes_difference(row)]
    known = {frozenset(row.items()) for row in kept}
    added: list[Mapping[Unknown, float]] = []
    for left, part, whole in made:
        for row in kept:
            if list(_counted(row)) == [whole] and frozenset(_renamed(row, part).items()) in known:
                of_left = _renamed(row, left)
                added += [of_left] if of_left.keys() <= linked.ranges.keys() else []
    return [*kept, *added]


def _makes_difference(row: Mapping[Unknown, float]) -> bool:
    """Whether a row is a difference, its part and the whole, three counts of one group."""
    return len(_counted(row)) == len(row) == _OF_A_DIFFERENCE


def _counted(row: Mapping[Unknown, float]) -> dict[str, None]:
    return dict.fromkeys(cell.counted for cell in row if isinstance(cell, CountCell))


def _renamed(row: Mapping[Unknown, float], counted: str) -> dict[Unknown, float]:
    """The same row of another count."""
    return {cell._replace(counted=counted): weight for cell, weight in row.items() if isinstance(cell, CountCell)}


def is_of_one_count(row: Mapping[Unknown, float]) -> bool:
    """Whether a row links numbers of one count: only these are followed over several reports, one count at a time."""
    return len({cell.counted for cell in row if isinstance(cell, CountCell)}) == 1
