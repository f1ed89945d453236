"""Protect a trust's counts by the small-number rule before they leave it, and say what that costs.

In each grouping, groups with a small count are put together (`WITHHELD`), with further ones until nothing small is
left: not among everyone, and not within a larger group whose own counts are in the file, such as a fifth of
deprivation. Risks are told in bands that are not small in any group of the grouping. What cannot be protected so is
left out: pairs of groups, months, crossed groups, reasons on the trust's side, the list of the live model, other rules
of allocation and the arms of a trial.
"""

import dataclasses
import functools
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import BINS, SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import EVERYONE
from dnapredict.fairness.measure.membership import WITHHELD, Group

KEPT: Final = ("appointments", "missed", "selected", "reached", "unrecorded")
_LEFT_OUT: Final = (
    "Pairs of groups, months, reasons on the trust's side, the list of the model in use and other rules of allocation "
    "are left out: harm where two groups meet cannot be searched for, and records are not checked for such reasons."
)
_NOTHING: Final[Mapping[str, Collection[str]]] = {}
Bins = NDArray[np.float64]


def protected_counts(
    counts: AuditCounts, rule: Disclosure, *, further: Mapping[str, Collection[str]] = _NOTHING
) -> tuple[AuditCounts, tuple[str, ...]]:
    """The counts as they may leave the trust, and sentences on what the pooled audit cannot know from them.

    `further` are codes by grouping, which are put together although they are not small.
    """
    plain = {name: _without_left_out(one) for name, one in counts.counted.items() if one.grouping.shown}
    apart = _apart(plain, rule, further)
    merged: dict[str, CountedGrouping] = {}
    costs = []
    for name, one in plain.items():
        merged[name], bands = _in_bands(_put_together(one, apart[name]), rule)
        if name != EVERYONE.name:
            costs.append(_cost(one, len(apart[name]), bands))
    protected = dataclasses.replace(
        counts,
        counted=merged,
        strict={},
        allocated={},
        has_live=False,
        has_trust_side=False,
        months=(),
        pairs=None,
        arms={},
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


def _apart(
    counted: Mapping[str, CountedGrouping], rule: Disclosure, further: Mapping[str, Collection[str]]
) -> dict[str, frozenset[str]]:
    """The groups of each grouping that are put together."""
    apart: dict[str, frozenset[str]] = {}
    # Larger groups first: the parts of one that is put together are put together too, or they would give it back.
    for name in sorted(counted, key=lambda one: _parts_last(counted[one])):
        inside = {where for where in _larger(counted[name], counted) if where[1] in apart[where[0]]}
        told = _larger(counted[name], counted) - inside
        apart[name] = _apart_in(counted[name], told, inside, rule, further=further.get(name, ()))
    return apart


def _parts_last(counted: CountedGrouping) -> int:
    return max((len(group.within) for group in counted.groups), default=0)


def _larger(counted: CountedGrouping, all_counted: Mapping[str, CountedGrouping]) -> set[tuple[str, str]]:
    """The larger groups, by grouping and code, that groups of this grouping are part of."""
    return {where for group in counted.groups for where in group.within if where[0] in all_counted}


def _apart_in(
    counted: CountedGrouping,
    published: set[tuple[str, str]],
    withheld: set[tuple[str, str]],
    rule: Disclosure,
    *,
    further: Collection[str],
) -> frozenset[str]:
    """The groups to put together, where the larger groups `published` are in the file and those `withheld` are not."""
    if counted.grouping.name == EVERYONE.name:
        return frozenset()
    pairs = [(group, one) for group, one in zip(counted.groups, counted.counts, strict=True) if one.appointments]
    apart = {
        group.code
        for group, one in pairs
        if _is_small(one, rule) or not withheld.isdisjoint(group.within) or group.code in further
    }
    # Sets of groups whose sum is in the file; of unknown ethnic groups it is the number that is not recorded.
    families = [pairs, *([pair for pair in pairs if where in pair[0].within] for where in published)]
    families.append([pair for pair in pairs if not pair[0].known])
    while (another := next(filter(None, (_next_apart(one, apart, rule) for one in families)), None)) is not None:
        apart.add(another)
    return frozenset(apart)


def _next_apart(family: Sequence[tuple[Group, GroupCounts]], apart: set[str], rule: Disclosure) -> str | None:
    """The smallest further group of a family to put together, while those that are have a small sum."""
    inside = [counts for group, counts in family if group.code in apart]
    others = [pair for pair in family if pair[0].code not in apart]
    if not inside or not others or not _is_small(_sum(inside), rule):
        return None
    return min(others, key=lambda pair: pair[1].missed)[0].code


def _put_together(counted: CountedGrouping, apart: frozenset[str]) -> CountedGrouping:
    if not apart:
        return counted
    pairs = list(zip(counted.groups, counted.counts, strict=True))
    kept = [(group, counts) for group, counts in pairs if group.code not in apart]
    together = _sum(counts for group, counts in pairs if group.code in apart)
    groups = (*(group for group, _ in kept), WITHHELD)
    return CountedGrouping(counted.grouping, groups, (*(counts for _, counts in kept), together))


def _is_small(counts: GroupCounts, rule: Disclosure) -> bool:
    """Whether any count is small, or one that two of them leave.

    These are the numbers of those called or not called, who missed or came, and whose ethnic group is recorded.
    """
    rows, missed, selected, reached, unrecorded = numbers = [counts.counted(name) for name in KEPT]
    of_calls = (
        rows - missed,
        missed - reached,
        selected - reached,
        rows - selected,
        rows - missed - selected + reached,
    )
    others = (*of_calls, rows - unrecorded)
    return any(0 < number < rule.suppress_below for number in (*numbers, *others))


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
        if filled.any() and not _any_small(filled, fewest):
            starts.append(number)
            filled = np.zeros_like(filled)
        filled = filled + cells[..., number]
    # The last band goes into the one before, and again where that had nobody in the cell that is small.
    while len(starts) > 1 and (_any_small(last := cells[..., starts[-1] :].sum(axis=-1), fewest) or not last.any()):
        starts.pop()
    return starts


def _any_small(numbers: Bins, fewest: int) -> bool:
    return bool(((numbers > 0) & (numbers < fewest)).any())


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
