"""Protect a trust's counts by the small-number rule before they leave it, and say what that costs.

In each grouping, groups with a small count are put together (`WITHHELD`), with further ones until their sum is not
small and no sum of the file gives a small count back. Risks are told in bands that are not small in any group of the
grouping. What cannot be protected so is left out: pairs of groups, months, crossed groups, reasons on the trust's side,
the list of the live model and other rules of allocation.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.disclosure.hidden_counts import find_hidden_counts
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import BINS, SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import EVERYONE
from dnapredict.fairness.measure.membership import WITHHELD

_KEPT: Final = ("appointments", "missed", "selected", "reached", "unrecorded")
_LEFT_OUT: Final = (
    "Pairs of groups, months, reasons on the trust's side, the list of the model in use and other rules of allocation "
    "are left out: harm where two groups meet cannot be searched for, and records are not checked for such reasons."
)
Bins = NDArray[np.float64]


def protected_counts(counts: AuditCounts, rule: Disclosure) -> tuple[AuditCounts, tuple[str, ...]]:
    """The counts as they may leave the trust, and sentences on what the pooled audit cannot know from them."""
    # In the file counts are exact, so that the bounds of an attacker are exact too.
    exact = rule.model_copy(update={"round_to": 1})
    plain = {name: _without_left_out(one) for name, one in counts.counted.items() if one.grouping.shown}
    hidden = find_hidden_counts(plain, exact)
    merged: dict[str, CountedGrouping] = {}
    costs = []
    for name, one in plain.items():
        codes = {group.code for group in one.groups if hidden.hides(name, group.code, _KEPT)}
        together, number = _put_together(one, codes, rule)
        merged[name], bands = _in_bands(together, rule)
        costs.append(_cost(one, number, bands))
    protected = dataclasses.replace(
        counts, counted=merged, strict={}, allocated={}, has_live=False, has_trust_side=False, months=(), pairs=None
    )
    return protected, (*costs, _LEFT_OUT)


def _cost(counted: CountedGrouping, groups: int, bands: int) -> str:
    withheld = f"{groups} groups are put together" if groups else "no group is put together"
    return f"{counted.grouping.title}: {withheld}; risks in {bands} bands."


def _without_left_out(counted: CountedGrouping) -> CountedGrouping:
    keep = np.array([name not in ("trust_side", "live_reached") for name in SUMS], dtype=np.float64)
    counts = (
        dataclasses.replace(
            one,
            totals=one.totals * keep,
            rows=None if one.rows is None else one.rows * keep,
            second=one.second * np.outer(keep, keep),
        )
        for one in counted.counts
    )
    return CountedGrouping(counted.grouping, counted.groups, tuple(counts))


def _put_together(counted: CountedGrouping, codes: set[str], rule: Disclosure) -> tuple[CountedGrouping, int]:
    """Groups of `codes` and those with a small complement as one, with the next smallest until it is not small."""
    if counted.grouping.name == EVERYONE.name:
        return counted, 0
    pairs = list(zip(counted.groups, counted.counts, strict=True))
    apart = {group.code for group, counts in pairs if group.code in codes or _is_small(counts, rule)}
    by_size = sorted(pairs, key=lambda pair: pair[1].missed)
    while apart and len(apart) < len(pairs) and _is_small(_sum(c for g, c in pairs if g.code in apart), rule):
        apart.add(next(group.code for group, counts in by_size if group.code not in apart and counts.appointments))
    kept = [(group, counts) for group, counts in pairs if group.code not in apart]
    if not apart:
        return counted, 0
    together = _sum(counts for group, counts in pairs if group.code in apart)
    groups = (*(group for group, _ in kept), WITHHELD)
    return CountedGrouping(counted.grouping, groups, (*(counts for _, counts in kept), together)), len(apart)


def _is_small(counts: GroupCounts, rule: Disclosure) -> bool:
    """Whether any kept count, or the number of those who came or were missed and not called, is small."""
    numbers = [counts.counted(name) for name in _KEPT]
    appointments, missed, _, reached, _ = numbers
    return any(0 < number < rule.suppress_below for number in (*numbers, appointments - missed, missed - reached))


def _sum(counts: Iterable[GroupCounts]) -> GroupCounts:
    return functools.reduce(operator.add, counts, GroupCounts.nobody())


def _in_bands(counted: CountedGrouping, rule: Disclosure) -> tuple[CountedGrouping, int]:
    """Risks in the same bands in every group, each with no small number of called, missed or other appointments."""
    cells = np.stack([_cells(counts) for counts in counted.counts])
    starts = _band_starts(cells, rule.suppress_below)
    middle = _middles(counted.total, starts)
    counts = tuple(
        dataclasses.replace(
            one,
            histogram=_moved(one.histogram, starts, middle),
            expected=_moved(one.expected, starts, middle),
            called_histogram=_moved(one.called_histogram, starts, middle),
            called_expected=_moved(one.called_expected, starts, middle),
        )
        for one in counted.counts
    )
    return CountedGrouping(counted.grouping, counted.groups, counts), len(starts)


def _cells(counts: GroupCounts) -> Bins:
    """(4, BINS): appointments by called or not, and missed or not."""
    return np.concatenate([counts.histogram - counts.called_histogram, counts.called_histogram])


def _band_starts(cells: Bins, fewest: int) -> list[int]:
    """First bin of each band: as narrow as possible with 0 or at least `fewest` appointments in every cell."""
    starts, filled = [0], np.zeros(cells.shape[:-1])
    for number in range(BINS):
        if filled.any() and not ((filled > 0) & (filled < fewest)).any():
            starts.append(number)
            filled = np.zeros_like(filled)
        filled = filled + cells[..., number]
    small = ((filled > 0) & (filled < fewest)).any()
    return starts[:-1] if len(starts) > 1 and (small or not filled.any()) else starts


def _middles(everyone: GroupCounts, starts: Sequence[int]) -> list[int]:
    """The bin of each band's mean risk, the same for every group."""
    rows = np.add.reduceat(everyone.histogram.sum(axis=0), starts)
    expected = np.add.reduceat(everyone.expected.sum(axis=0), starts)
    mean = np.divide(expected, rows, out=np.zeros(len(starts)), where=rows > 0)
    ends = [*starts[1:], BINS]
    return [int(np.clip(value * BINS, start, end - 1)) for value, start, end in zip(mean, starts, ends, strict=True)]


def _moved(bins: Bins, starts: Sequence[int], middle: Sequence[int]) -> Bins:
    moved = np.zeros_like(bins)
    moved[:, middle] = np.add.reduceat(bins, starts, axis=1)
    return moved
