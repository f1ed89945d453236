"""Secondary suppression: hide further counts, so that no small one can be derived from what is printed.

Each printed number bounds its count within the rounding, and each sum bounds its parts. These bounds are computed as
an attacker would (see `derived_ranges`); where they leave a small count fewer than three possible values, another
count is hidden as well: of those that bound it, the one whose loss costs a reader least.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.derived_ranges import DerivedRanges, LinkedCounts, Range, Unknown, protect

_KEPT: Final = 1_000.0  # how much dearer a cell is that is hidden only where no other is left
_TOTAL: Final = 10_000.0


class CountCell(NamedTuple):
    """A count that may be printed: what is counted, of which group of which grouping."""

    counted: str
    grouping: str
    code: str


@dataclass(frozen=True)
class SumConstraint:
    """Cells that add up to another; `open` where a part of the sum is printed nowhere."""

    parts: tuple[CountCell, ...]
    total: CountCell
    open: bool = False


class AtMost(NamedTuple):
    """The sum of some cells that is never above the sum of others: nobody is reached who was not called."""

    smaller: tuple[CountCell, ...]
    larger: tuple[CountCell, ...]


def printed_range(count: float, rule: Disclosure) -> Range:
    """Lowest and highest count that is printed as `count` is, for a reader who knows the rule.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> [printed_range(count, rule) for count in (0, 3, 8, 57)]
    [(0.0, 0.0), (1.0, inf), (8.0, 12.0), (53.0, 57.0)]
    """
    printed = publish_count(count, rule)
    if printed is None:
        return HIDDEN_RANGE
    if count == 0:
        return 0.0, 0.0  # 0 is printed as 0 and is exact
    lowest, highest = math.ceil(printed - rule.round_to / 2), math.ceil(printed + rule.round_to / 2) - 1
    # Of a rounded number the reader also knows that it is not one of those that are hidden.
    return float(max(lowest, rule.suppress_below, 1)), float(highest)


HIDDEN_RANGE: Final = (1.0, math.inf)


def cells_to_hide(
    exact: Mapping[CountCell, float],
    constraints: Sequence[SumConstraint],
    rule: Disclosure,
    *,
    keep: Collection[CountCell] = frozenset(),
    unprinted: Mapping[CountCell, Range] | None = None,
    at_most: Sequence[AtMost] = (),
    cost: Callable[[CountCell], float] | None = None,
) -> frozenset[CountCell]:
    """The cells to hide: small ones, and others from which a small one could be derived.

    Parameters
    ----------
    exact
        Every count of `constraints` and `at_most`.
    keep
        Cells that are hidden only where no other is left.
    unprinted
        Cells that are printed nowhere, such as the groups that a printed row holds together, with their range by
        what a reader knows of them. They are never among the result; the small ones are protected all the same.
    cost
        What a reader loses with a cell, by default the same for every count; the smaller of two equal ones is
        hidden, and a total only where no part is left.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> total, *parts = (CountCell("missed", "sex", code) for code in ("all", "1", "2", "9"))
    >>> exact = dict(zip((total, *parts), (217, 108, 108, 1), strict=True))
    >>> sorted(cell.code for cell in cells_to_hide(exact, [SumConstraint(tuple(parts), total)], rule))
    ['1', '9']
    """
    outside = unprinted or {}
    secrets = [cell for cell, count in exact.items() if publish_count(count, rule) is None]
    small = frozenset(secrets) - outside.keys()
    if not secrets:
        return small
    linked = linked_counts(exact, constraints, rule, unprinted=outside, at_most=at_most)
    prices = _Prices(exact, frozenset(line.total for line in constraints), frozenset(keep), cost)

    def price(name: Unknown) -> float | None:
        hideable = isinstance(name, CountCell) and exact[name] and name not in small and name not in outside
        return prices.of(name) if hideable and isinstance(name, CountCell) else None

    derived = DerivedRanges(linked, truth=exact)
    further = protect(derived, secrets, cost=price, hide=lambda _: HIDDEN_RANGE)
    return small | {cell for cell in further if isinstance(cell, CountCell)}


def linked_counts(
    exact: Mapping[CountCell, float],
    constraints: Sequence[SumConstraint],
    rule: Disclosure,
    *,
    unprinted: Mapping[CountCell, Range],
    at_most: Sequence[AtMost] = (),
) -> LinkedCounts:
    """What is printed of `exact` where only small counts are hidden, and how the counts are linked."""
    linked = LinkedCounts({cell: unprinted.get(cell) or printed_range(count, rule) for cell, count in exact.items()})
    for line in constraints:
        linked.add_sum(line.parts, line.total, open_ended=line.open)
    for limit in at_most:
        row = dict.fromkeys(limit.smaller, 1.0)
        linked.at_most.append(row | {cell: row.get(cell, 0.0) - 1.0 for cell in limit.larger})
    return linked


@dataclass(frozen=True)
class _Prices:
    """What hiding each cell costs."""

    exact: Mapping[CountCell, float]
    totals: frozenset[CountCell]
    keep: frozenset[CountCell]
    cost: Callable[[CountCell], float] | None

    def of(self, cell: CountCell) -> float:
        """The cost of a cell; among equal ones less for the smaller count."""
        price = self.cost(cell) if self.cost else 1.0
        price *= 1.0 + math.log10(1.0 + self.exact[cell])
        # A hidden total takes away the figure that a reader wants most.
        price *= _TOTAL if cell in self.totals and self.cost is None else 1.0
        return price * (_KEPT if cell in self.keep else 1.0)
