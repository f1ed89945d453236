"""The groups that get a chart of observed against predicted risk, and the fifths of their own risk in it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.membership import Group

_FIFTHS: Final = 5
_CHARTED: Final = ("core20", "ethnicity_5")
EVERYONE: Final = Group("all", "Everyone")
ChartedGroup = tuple[str, Group, GroupCounts]


def charted_groups(counted: Mapping[str, CountedGrouping], *, smallest: int) -> list[ChartedGroup]:
    """Grouping, group and counts of each group with at least `smallest` missed; everyone if no group has."""
    found = [
        (name, group, counts)
        for name in _CHARTED
        if name in counted
        for group, counts in zip(counted[name].groups, counted[name].counts, strict=True)
        if group.known and counts.counted("missed") >= smallest
    ]
    return found or [(EVERYONE.code, EVERYONE, next(iter(counted.values())).total)]


def risk_fifths(counts: GroupCounts) -> list[NDArray[np.bool_]]:
    """The bins of the histogram that are in each fifth of the group's own risk that has an appointment."""
    rows = counts.histogram.sum(axis=0)
    if rows.sum() <= 0:
        return []
    place = np.minimum((np.cumsum(rows) - rows / 2) / rows.sum() * _FIFTHS, _FIFTHS - 1).astype(int)
    return [inside for number in range(_FIFTHS) if rows[inside := place == number].sum()]


def counts_of_fifths(counts: GroupCounts) -> Sequence[Mapping[str, float]]:
    """Appointments and missed appointments in each fifth of the group's own risk."""
    return [
        {
            "appointments": float(counts.histogram[:, inside].sum()),
            "missed": float(counts.histogram[1, inside].sum()),
        }
        for inside in risk_fifths(counts)
    ]
