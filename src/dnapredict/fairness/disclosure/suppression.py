"""Secondary suppression: hide further counts, so that no small one can be derived from what is printed.

Printed counts are linked: groups add up to everyone, deciles to fifths, months to the year. Each printed number
bounds its count within the rounding, and each sum bounds its parts. These bounds are computed as an attacker would;
where they leave a small count fewer than three possible values, another count of the same sum is hidden as well.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import FEWEST_POSSIBLE, publish_count

_PASSES: Final = 20  # of tightening bounds; they converge in two or three


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


def cells_to_hide(
    exact: Mapping[CountCell, float],
    constraints: Sequence[SumConstraint],
    rule: Disclosure,
    *,
    keep: Collection[CountCell] = frozenset(),
) -> frozenset[CountCell]:
    """The cells to hide: small ones, and others from which a small one could be derived.

    Every cell of `constraints` must be in `exact`. Larger cells are hidden one at a time, the smallest in a sum with
    an exposed cell first; those in `keep` only where no other is left.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> total, *parts = (CountCell("missed", "sex", code) for code in ("all", "1", "2", "9"))
    >>> exact = dict(zip((total, *parts), (217, 108, 108, 1), strict=True))
    >>> sorted(cell.code for cell in cells_to_hide(exact, [SumConstraint(tuple(parts), total)], rule))
    ['1', '9']
    """
    cells = list(exact)
    small = {index for index, cell in enumerate(cells) if publish_count(exact[cell], rule) is None}
    if not small:
        return frozenset()
    index_of = {cell: index for index, cell in enumerate(cells)}
    sums = [_Sum(tuple(index_of[part] for part in line.parts), index_of[line.total], line.open) for line in constraints]
    counts, hidden = [exact[cell] for cell in cells], set(small)
    kept = {index_of[cell] for cell in keep if cell in index_of}
    while extra := _more_to_hide(counts, sums, small=small, hidden=hidden, kept=kept, rule=rule):
        hidden |= extra
    return frozenset(cells[index] for index in hidden)


class _Sum(NamedTuple):
    """A `SumConstraint` with indices of cells."""

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
    """A further cell to hide for each small one with too few possible values; empty when all are safe."""
    low, high = _bounds(counts, sums, hidden=hidden, rule=rule)
    # Written without a difference of bounds: a cell without an upper bound (infinity) is safe.
    exposed = [p for p in small if high[p] < math.ceil(low[p]) + FEWEST_POSSIBLE - 1]
    shown = {index for index, count in enumerate(counts) if count and index not in hidden}
    further = (_cell_to_hide(index, counts, sums, shown=shown, kept=kept) for index in exposed)
    return {index for index in further if index is not None}


def _cell_to_hide(
    index: int, counts: Sequence[float], sums: Sequence[_Sum], *, shown: set[int], kept: set[int]
) -> int | None:
    """The smallest printed part of a sum that contains `index`; a total only where no part is left.

    Where all cells of these sums are hidden already, the bounds came from other sums: then the sums of those hidden
    cells are searched, and so on. None where no printed cell is connected.
    """
    reached, frontier = {index}, {index}
    while frontier:
        mine = [line for line in sums if not frontier.isdisjoint((*line.parts, line.total))]
        parts = {part for line in mine for part in line.parts} & shown - {index}
        totals = {line.total for line in mine} & shown - {index}
        # Never the total while a part is left: a hidden total takes away the figure that a reader wants most.
        candidates = parts - kept or parts or totals
        if candidates:
            return min(candidates, key=lambda other: counts[other])
        frontier = {cell for line in mine for cell in (*line.parts, line.total)} - reached
        reached |= frontier
    return None


def _bounds(
    counts: Sequence[float], sums: Sequence[_Sum], *, hidden: set[int], rule: Disclosure
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest possible value of each cell, for somebody who knows the rule and what is printed."""
    # Rounded to 5, a printed 10 is 8 to 12: the reader knows the count to 2 on either side.
    half = (rule.round_to - 1) / 2
    low, high = np.empty(len(counts)), np.empty(len(counts))
    for index, count in enumerate(counts):
        printed = publish_count(count, rule) or 0
        # 0 is printed as 0 and is exact.
        known = 0.0 if count == 0 else half
        low[index], high[index] = (1.0, np.inf) if index in hidden else (printed - known, printed + known)
    for _ in range(_PASSES):
        before = low.copy(), high.copy()
        for line in sums:
            _tighten(line, low, high)
        if np.array_equal(before[0], low) and np.array_equal(before[1], high):
            break
    return low, high


def _tighten(line: _Sum, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    """Tighten the bounds of the cells of a sum by one another."""
    parts = np.array(line.parts)
    total = line.total
    low[total] = max(low[total], low[parts].sum())
    # An open sum has a part that is printed nowhere, so that the printed parts bound the total from below only.
    if not line.open:
        high[total] = min(high[total], high[parts].sum())
    others_low = low[parts].sum() - low[parts]
    high[parts] = np.minimum(high[parts], high[total] - others_low)
    if line.open:
        return
    # inf - inf is NaN, so that parts without an upper bound are counted and not subtracted.
    endless = np.isinf(high[parts])
    finite = np.where(endless, 0.0, high[parts])
    others_high = np.where(endless.sum() - endless > 0, np.inf, finite.sum() - finite)
    low[parts] = np.maximum(low[parts], low[total] - others_high)
