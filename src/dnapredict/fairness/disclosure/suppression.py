"""Hide as many counts as it takes that nobody can work a small one out from what is printed.

Printed counts hang together: groups add up to everyone, deciles to fifths, months to the year. Each
printed number says where its count lies within the rounding, and each sum carries that on to the
others. The bounds that follow are worked out as an attacker would; where they leave a small count fewer
than three possible values, another count that it is summed with is hidden as well.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count

_FEWEST_POSSIBLE: Final = 3  # a small count must stay one of at least this many values
_PASSES: Final = 20  # of carrying bounds along; they settle in two or three


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


def hidden_cells(
    exact: Mapping[CountCell, float],
    lines: Sequence[SumConstraint],
    rule: Disclosure,
    *,
    spared: Collection[CountCell] = frozenset(),
) -> frozenset[CountCell]:
    """The cells to hide: small ones, and others without which a small one could be worked out.

    Every cell of `lines` must be in `exact`. Larger cells are hidden one after the other, the smallest
    that is summed with an exposed one first, since that costs readers least; those that are `spared` only
    where no other is left.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> total, *parts = (CountCell("missed", "sex", code) for code in ("all", "1", "2", "9"))
    >>> exact = dict(zip((total, *parts), (217, 108, 108, 1), strict=True))
    >>> sorted(cell.code for cell in hidden_cells(exact, [SumConstraint(tuple(parts), total)], rule))
    ['1', '9']
    """
    cells = list(exact)
    small = {place for place, cell in enumerate(cells) if publish_count(exact[cell], rule) is None}
    if not small:
        return frozenset()
    places = {cell: place for place, cell in enumerate(cells)}
    sums = [_Sum(tuple(places[part] for part in line.parts), places[line.total], line.open) for line in lines]
    counts, hidden = [exact[cell] for cell in cells], set(small)
    kept = {places[cell] for cell in spared if cell in places}
    while extra := _more_to_hide(counts, sums, small=small, hidden=hidden, kept=kept, rule=rule):
        hidden |= extra
    return frozenset(cells[place] for place in hidden)


class _Sum(NamedTuple):
    """A line, by places of cells."""

    parts: tuple[int, ...]
    total: int
    open: bool


def _more_to_hide(
    counts: Sequence[float],
    sums: Sequence[_Sum],
    *,
    small: set[int],
    hidden: set[int],
    kept: set[int],
    rule: Disclosure,
) -> set[int]:
    """A further cell for each small one that the bounds leave too few values; empty when all are safe."""
    low, high = _bounds(counts, sums, hidden=hidden, rule=rule)
    # Written without a difference of bounds: a cell without an upper bound (infinity) is safe.
    exposed = [p for p in small if high[p] < math.ceil(low[p]) + _FEWEST_POSSIBLE - 1]
    shown = {place for place, count in enumerate(counts) if count and place not in hidden}
    found = (_neighbour(place, counts, sums, shown=shown, kept=kept) for place in exposed)
    return {place for place in found if place is not None}


def _neighbour(
    place: int, counts: Sequence[float], sums: Sequence[_Sum], *, shown: set[int], kept: set[int]
) -> int | None:
    """The smallest printed part of a sum with `place` in it; a total only where no part is left.

    Where all cells of these sums are hidden already, the bounds came from further away: then the sums
    of those hidden cells are searched, and so on. None where no printed cell is connected.
    """
    reached, frontier = {place}, {place}
    while frontier:
        mine = [line for line in sums if not frontier.isdisjoint((*line.parts, line.total))]
        parts = {part for line in mine for part in line.parts} & shown - {place}
        totals = {line.total for line in mine} & shown - {place}
        candidates = parts - kept or parts or totals
        if candidates:
            return min(candidates, key=lambda other: counts[other])
        frontier = {cell for line in mine for cell in (*line.parts, line.total)} - reached
        reached |= frontier
    return None


def _bounds(
    counts: Sequence[float], sums: Sequence[_Sum], *, hidden: set[int], rule: Disclosure
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest value that each cell can have, for one who knows the rule and what is printed."""
    half = (rule.round_to - 1) / 2
    low, high = np.empty(len(counts)), np.empty(len(counts))
    for place, count in enumerate(counts):
        printed = publish_count(count, rule) or 0
        known = 0.0 if count == 0 else half
        low[place], high[place] = (1.0, np.inf) if place in hidden else (printed - known, printed + known)
    for _ in range(_PASSES):
        before = low.copy(), high.copy()
        for line in sums:
            _carry(line, low, high)
        if np.array_equal(before[0], low) and np.array_equal(before[1], high):
            break
    return low, high


def _carry(line: _Sum, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    """Narrow the cells of a sum by one another."""
    parts = np.array(line.parts)
    total = line.total
    low[total] = max(low[total], low[parts].sum())
    if not line.open:
        high[total] = min(high[total], high[parts].sum())
    others_low = low[parts].sum() - low[parts]
    high[parts] = np.minimum(high[parts], high[total] - others_low)
    if line.open:
        return
    endless = np.isinf(high[parts])
    finite = np.where(endless, 0.0, high[parts])
    others_high = np.where(endless.sum() - endless > 0, np.inf, finite.sum() - finite)
    low[parts] = np.maximum(low[parts], low[total] - others_high)
