"""Disclosure control of a trial report: small groups together, and the counts that must not be printed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.disclosure.count_differences import told_range
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells, hide_cells
from dnapredict.fairness.disclosure.linked_tables import EVERYONE, LinkedTables, group_constraints
from dnapredict.fairness.disclosure.merged_groups import MergedGroups, merge_small_groups
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.rounded_figures import rounded_error
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint
from dnapredict.fairness.measure.counts import SummedCounts
from dnapredict.fairness.measure.intervals import Interval, RateDifference
from dnapredict.fairness.measure.membership import Group, Grouping, Membership
from dnapredict.trial.trial_rows import TrialRows

ARM_COUNTS: Final = ("treated", "treated_missed", "control", "control_missed")
_REST: Final = "_not_missed"


@dataclass(frozen=True)
class ArmCounts(SummedCounts):
    """Appointments and missed appointments of a group in each arm."""

    treated: int
    treated_missed: int
    control: int
    control_missed: int

    @property
    def parts(self) -> tuple[int, ...]:
        """What a reader of the counts and of the shares missed could tell apart."""
        missed = (self.treated_missed, self.control_missed)
        return (*missed, self.treated - self.treated_missed, self.control - self.control_missed)

    def by_name(self) -> dict[str, float]:
        """The counts by name."""
        return {name: float(getattr(self, name)) for name in ARM_COUNTS}


@dataclass(frozen=True)
class CountedArms:
    """The counts of every group of one grouping."""

    grouping: Grouping
    groups: tuple[Group, ...]
    counts: tuple[ArmCounts, ...]


def count_arms(rows: TrialRows, members: Membership) -> CountedArms:
    """Count the arms of each group."""
    columns = (
        np.bincount(members.index[arm & part], minlength=len(members.groups))
        for arm in (rows.treated, ~rows.treated)
        for part in (np.ones(len(rows), dtype=bool), rows.missed)
    )
    counts = tuple(ArmCounts(*(int(number) for number in row)) for row in zip(*columns, strict=True))
    return CountedArms(members.grouping, members.groups, counts)


def small_groups(counted: Iterable[CountedArms], rule: Disclosure) -> MergedGroups:
    """The groups to be printed together, since one of their counts is small."""
    return merge_small_groups(counted, rule, sizes=lambda own: own.parts)


def merged_membership(members: Membership, merged: MergedGroups) -> Membership:
    """The same rows by the groups as they are printed."""
    name = members.grouping.name
    printed = [merged.row_of(name, group.code) or group for group in members.groups]
    groups = tuple(dict.fromkeys(printed))
    place = np.array([groups.index(group) for group in printed], dtype=np.int32)
    return replace(members, groups=groups, index=place[members.index])


def hidden_trial_counts(
    counted: Sequence[CountedArms],
    everyone: Mapping[str, tuple[float, str]],
    *,
    rule: Disclosure,
    before: PublishedBefore | None,
) -> HiddenCells:
    """The counts to hide in the tables of `counted`, whose small groups are already together.

    Parameters
    ----------
    everyone
        Further counts of everyone by name, each with the name of the arm's count that it is part of.
    before
        What the home has published.
    """
    linked = LinkedTables()
    total = sum_of(counted[0])
    linked.exact |= {CountCell(name, *EVERYONE): number for name, number in total.by_name().items()}
    _add_rests(linked, EVERYONE[0], EVERYONE[1:], rule)
    for one in counted:
        name = one.grouping.name
        linked.add_groups(name, one.groups, [own.by_name() for own in one.counts], merged=MergedGroups())
        linked.sums += group_constraints(name, one.groups, ARM_COUNTS, present=())
        _add_rests(linked, name, [group.code for group in one.groups], rule)
    for name, (number, whole) in everyone.items():
        linked.exact[CountCell(name, *EVERYONE)] = number
        _add_rest(linked, CountCell(name, *EVERYONE), whole, rule)
    return hide_cells(linked, rule, MergedGroups(), before=before)


def sum_of(counted: CountedArms) -> ArmCounts:
    """The counts of everyone."""
    first, *others = counted.counts
    for own in others:
        first += own
    return first


def _add_rests(linked: LinkedTables, grouping: str, codes: Sequence[str], rule: Disclosure) -> None:
    for code in codes:
        for arm in ("treated", "control"):
            _add_rest(linked, CountCell(f"{arm}_missed", grouping, code), arm, rule)


def _add_rest(linked: LinkedTables, part: CountCell, whole: str, rule: Disclosure) -> None:
    """What is left of a whole beside its part, which follows from both."""
    rest = CountCell(f"{part.counted}{_REST}", part.grouping, part.code)
    total = part._replace(counted=whole)
    linked.exact[rest] = linked.exact[total] - linked.exact[part]
    linked.unprinted[rest] = told_range(linked.exact[rest], rule)
    linked.sums.append(SumConstraint((rest, part), total))


def printed_difference(estimate: RateDifference, *, z: float) -> Interval:
    """An estimate as it is printed: no more digits than two of its standard error, from which no count follows.

    >>> printed_difference(RateDifference(-0.031234, 0.004567), z=2)
    Interval(value=-0.0312, low=-0.0404, high=-0.022)
    """
    error = rounded_error(estimate.error)
    decimals = _decimals(estimate.error)
    value = round(estimate.value, decimals)
    return Interval(value, round(value - z * error, decimals), round(value + z * error, decimals))


def printed_range(estimate: Interval | None, *, z: float) -> Interval | None:
    """An interval that is not symmetric, rounded in the same way."""
    if estimate is None:
        return None
    decimals = _decimals((estimate.high - estimate.low) / (2 * z))
    return Interval(*(round(end, decimals) for end in (estimate.value, estimate.low, estimate.high)))


def _decimals(error: float) -> int:
    return 1 - math.floor(math.log10(error)) if error > 0 else 4
