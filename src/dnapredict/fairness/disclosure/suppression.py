"""Secondary suppression: hide further counts, so that no small one can be derived from what is printed.

Each printed number bounds its count within the rounding, and each sum bounds its parts. These bounds are computed as
an attacker would (see `derived_ranges`); where they leave a small count fewer than three possible values, another
count is hidden as well: of those that bound it, the one whose loss costs a reader least.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.derived_ranges import (
    DerivedRanges,
    LinkedCounts,
    Range,
    Unknown,
    protect,
    unlinked_parts,
)

_KEPT: Final = 1_000.0  # how much dearer a cell is that is hidden only where no other is left
_TOTAL: Final = 10_000.0
_ZERO: Final = 1e6
_OF_A_DIFFERENCE: Final = 3  # the whole, its part and their difference: three counts of one group


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


class Linked(Protocol):
    """Counts of several reports, and the unknowns that no reader may learn."""

    @property
    def counts(self) -> LinkedCounts:
        """The counts of all of them."""

    @property
    def left_out(self) -> int:
        """How many earlier reports could not be followed."""

    @property
    def secrets(self) -> Sequence[Unknown]:
        """What must not follow where it is small."""


class HiddenCounts(NamedTuple):
    """The cells to hide, and the range in which each count is then known to be.

    `left_out` is the number of earlier reports that could not be followed; `exposed` is the number of small counts that
    follow from this report and earlier ones together whatever is hidden.
    """

    cells: frozenset[CountCell]
    linked: LinkedCounts
    left_out: int = 0
    exposed: int = 0


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
HIDDEN_ZERO_RANGE: Final = (0.0, math.inf)


def cells_to_hide(
    exact: Mapping[CountCell, float],
    constraints: Sequence[SumConstraint],
    rule: Disclosure,
    *,
    keep: Collection[CountCell] = frozenset(),
    unprinted: Mapping[CountCell, Range] | None = None,
    at_most: Sequence[AtMost] = (),
    cost: Callable[[CountCell], float] | None = None,
    with_earlier: Sequence[Callable[[LinkedCounts], Linked | None]] = (),
) -> HiddenCounts:
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
    with_earlier
        Functions that add what earlier reports tell, and the unknowns that must not follow from all of them.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> total, *parts = (CountCell("missed", "sex", code) for code in ("all", "1", "2", "9"))
    >>> exact = dict(zip((total, *parts), (217, 108, 108, 1), strict=True))
    >>> sorted(cell.code for cell in cells_to_hide(exact, [SumConstraint(tuple(parts), total)], rule).cells)
    ['1', '9']
    """
    outside = unprinted or {}
    secrets = [cell for cell, count in exact.items() if publish_count(count, rule) is None]
    small = frozenset(secrets) - outside.keys()
    linked = linked_counts(exact, constraints, rule, unprinted=outside, at_most=at_most)
    prices = _Prices(exact, frozenset(line.total for line in constraints), frozenset(keep), cost)

    hiding = _Hiding(exact, outside, small, prices, linked, _differences(constraints, outside))
    hiding.follow_zeros(at_most)
    if secrets:
        derived = DerivedRanges(linked, truth=exact)
        for name in protect(derived, secrets, cost=hiding.price_in_one_report, hide=hiding.range_when_hidden):
            hiding.hide(name)
    left_out = exposed = 0
    for add in with_earlier if rule.suppress_below else ():
        hiding.narrow_differences()
        together = add(linked)
        if together is None:
            continue
        left_out += together.left_out
        for part in unlinked_parts(together.counts):
            unknown = [name for name in [*secrets, *together.secrets] if name in part.ranges]
            if unknown:
                derived = DerivedRanges(part, largest=rule.suppress_below - 1)
                protect(derived, unknown, cost=hiding.price, hide=hiding.hide, print_again=False)
                exposed += len(derived.given_up)
    hiding.narrow_differences()
    return HiddenCounts(small | hiding.further, linked, left_out, exposed)


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
        # A person who is seen at two hospitals is counted at each, so that such groups do not add up to everyone.
        if not line.open and sum(exact[part] for part in line.parts) != exact[line.total]:
            continue
        linked.add_sum(line.parts, line.total, open_ended=line.open)
    for limit in at_most:
        row: dict[Unknown, float] = dict.fromkeys(limit.smaller, 1.0)
        linked.at_most.append(row | {cell: row.get(cell, 0.0) - 1.0 for cell in limit.larger})
    return linked


def _differences(
    constraints: Sequence[SumConstraint], unprinted: Mapping[CountCell, Range]
) -> dict[CountCell, tuple[CountCell, CountCell]]:
    """The whole and the part of each unprinted difference of two counts."""
    return {
        line.parts[0]: (line.total, line.parts[1])
        for line in constraints
        if line.parts[0] in unprinted and len({cell.counted for cell in (*line.parts, line.total)}) == _OF_A_DIFFERENCE
    }


@dataclass
class _Hiding:
    """The counts hidden so far in addition to the `small` ones, and their cost.

    Several reports are followed one count at a time. There a difference has the range that follows from its whole and
    its part; to hide it, the cheaper of the two is hidden.
    """

    exact: Mapping[CountCell, float]
    unprinted: Mapping[CountCell, Range]
    small: frozenset[CountCell]
    prices: "_Prices"
    linked: LinkedCounts
    differences: Mapping[CountCell, tuple[CountCell, CountCell]]
    further: set[CountCell] = field(default_factory=set)
    plain_zeros: set[CountCell] = field(default_factory=set)

    def follow_zeros(self, at_most: Sequence[AtMost]) -> None:
        """Find the zeros that follow from a whole of 0: of 0 appointments 0 are missed, hidden or not."""
        pairs = [(one, limit.larger) for limit in at_most for one in limit.smaller]
        pairs += [(part, (whole,)) for whole, part in self.differences.values()]
        self.plain_zeros |= {one for one, larger in pairs if not any(self.exact[each] for each in larger)}

    def price(self, name: Unknown) -> float | None:
        """The cost of hiding a number; None if it is not printed, or follows from a whole of 0."""
        if not isinstance(name, CountCell) or any(
            name in each for each in (self.small, self.further, self.plain_zeros)
        ):
            return None
        if name in self.differences:
            found = [price for one in self.differences[name] if (price := self.price(one)) is not None]
            return min(found, default=None)
        return None if name in self.unprinted else self.prices.of(name)

    def price_in_one_report(self, name: Unknown) -> float | None:
        """As `price`; a hidden number is then known not to be 0: a 0 is hidden only because of other reports."""
        if not isinstance(name, CountCell) or name in self.differences or not self.exact[name]:
            return None
        return self.price(name)

    def range_when_hidden(self, name: Unknown) -> Range:
        """The range in which a reader knows a hidden number to be."""
        return HIDDEN_RANGE if isinstance(name, CountCell) and self.exact[name] else HIDDEN_ZERO_RANGE

    def hide(self, name: Unknown) -> Range:
        """Hide a number, or one of the two of a difference; return the range in which a reader knows it to be."""
        if not isinstance(name, CountCell):
            return HIDDEN_ZERO_RANGE
        if name in self.differences:
            prices = {one: price for one in self.differences[name] if (price := self.price(one)) is not None}
            self.hide(min(prices, key=lambda one: prices[one]))
            return self._range_of_difference(name)
        self.further.add(name)
        self.linked.ranges[name] = self.range_when_hidden(name)
        return self.linked.ranges[name]

    def narrow_differences(self) -> None:
        """Take into account that a reader who knows two numbers can subtract them."""
        for left in self.differences:
            self.linked.ranges[left] = self._range_of_difference(left)

    def _range_of_difference(self, left: CountCell) -> Range:
        whole, part = (self.linked.ranges[one] for one in self.differences[left])
        low, high = self.unprinted[left]
        return max(low, whole[0] - part[1]), min(high, whole[1] - part[0])


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
        price *= 1.0 if self.exact[cell] else _ZERO
        # A hidden total takes away the figure that a reader wants most.
        price *= _TOTAL if cell in self.totals and self.cost is None else 1.0
        return price * (_KEPT if cell in self.keep else 1.0)
