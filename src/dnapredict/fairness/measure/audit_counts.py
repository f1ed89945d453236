"""All counts from which an audit is judged; those of several trusts add up to the counts of their pooled rows.

A grouping that one trust's extract lacks is completed when counts are added: its appointments are in the group of
unknown values, as they would be in the pooled table.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.engine import running_step
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.call_effects import count_arms
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import (
    EVERYONE,
    GROUPINGS,
    PLACE_GROUPINGS,
    QUINTILE,
    everyone_membership,
    grouping_named,
)
from dnapredict.fairness.measure.membership import (
    WITHHELD,
    Group,
    Grouping,
    Membership,
    cross_memberships,
    crossed_grouping,
    membership,
    month_grouping,
    months,
)
from dnapredict.fairness.measure.pair_counting import count_pairs
from dnapredict.fairness.measure.pair_counts import CountCube, PairCounts, added_cubes
from dnapredict.fairness.measure.row_counting import count_groups, count_memberships
from dnapredict.fairness.measure.uncalled_outcomes import UncalledOutcomes, uncalled_outcomes

BY_RISK: Final = "global"
"""The allocation rule against which the cost of every other is counted."""

_SIMPLE: Final = (EVERYONE, *GROUPINGS, *PLACE_GROUPINGS)
_MONTH: Final = "month"
_CROSSED: Final = (("ethnicity_5", QUINTILE.name), ("core20", _MONTH), ("ethnicity_5", _MONTH))


@dataclass(frozen=True)
class AuditCounts:
    """The counts of an audit.

    Attributes
    ----------
    rows
        Appointments.
    months
        Calendar months with an appointment, as 2025-04.
    compared
        The groupings that the policy compares.
    counted
        Every grouping by name, `all` first. Groupings by month are here even if there is only one month.
    strict
        `all` and the compared groupings without missed appointments that have a reason on the trust's side (or outcome
        code 7); empty where there are none.
    allocated
        Fifths of deprivation with the calls of each allocation rule, and those by risk alone as the live ones. Empty
        where the extract has no deciles.
    has_live, has_trust_side
        Whether the live model's list, and reasons or outcome codes, are known.
    outcomes
        Whose outcomes the counts rest on, where some patients were called.
    pairs
        Every pair of groups, from which effects are adjusted for each other; None where they were not counted.
    arms
        Both arms of a trial of calls, by compared grouping (`call_effects.ARM_COUNTS`); empty where there was none.
    """

    rows: int
    months: tuple[str, ...]
    compared: tuple[str, ...]
    counted: Mapping[str, CountedGrouping]
    strict: Mapping[str, CountedGrouping]
    allocated: Mapping[str, CountedGrouping]
    has_live: bool = False
    has_trust_side: bool = False
    outcomes: UncalledOutcomes = field(default_factory=UncalledOutcomes)
    pairs: PairCounts | None = None
    arms: Mapping[str, CountCube] = field(default_factory=dict)

    @property
    def everyone(self) -> GroupCounts:
        """Counts of all appointments."""
        return self.counted[EVERYONE.name].total

    def __add__(self, other: "AuditCounts") -> "AuditCounts":
        """The counts of both; a patient in both counts as two.

        The cost of an allocation rule is known only where both know it.
        """
        return AuditCounts(
            rows=self.rows + other.rows,
            months=tuple(sorted({*self.months, *other.months})),
            compared=self.compared,
            counted=self._counted_with(other),
            strict=self._strict_with(other),
            allocated={
                rule: counted + other.allocated[rule]
                for rule, counted in self.allocated.items()
                if rule in other.allocated
            },
            has_live=self.has_live or other.has_live,
            has_trust_side=self.has_trust_side or other.has_trust_side,
            outcomes=self.outcomes + other.outcomes,
            pairs=self.pairs + other.pairs if self.pairs and other.pairs else None,
            arms=added_cubes(self.arms, other.arms),
        )

    def _counted_with(self, other: "AuditCounts") -> "_Counted":
        names = {*self.counted, *other.counted}
        return _added(self.counted, other.counted, [*_simple(names), *_crossed(names, self, other)])

    def _strict_with(self, other: "AuditCounts") -> "_Counted":
        if not (self.strict or other.strict):
            return {}
        # Where no missed appointment has a reason on the trust's side, the strict counts are the usual ones.
        first, second = (side.strict or side.counted for side in (self, other))
        names = {EVERYONE.name, *({*first, *second} & set(self.compared))}
        return _added(first, second, _simple(names))

    def judged_groupings(self) -> dict[str, CountedGrouping]:
        """`counted` without groupings by month where there is only one month."""
        by_month = len(self.months) > 1
        return {name: one for name, one in self.counted.items() if by_month or not name.endswith(f"_by_{_MONTH}")}

    def judged_strictly(self) -> dict[str, CountedGrouping]:
        """The compared groupings by the strict label; empty where that changes nothing or leaves none missed."""
        if not self.strict or not 0 < self.strict[EVERYONE.name].total.missed < self.everyone.missed:
            return {}
        return {name: self.strict[name] for name in self.compared if name in self.strict}


def count(audited: AuditData, policy: Policy) -> AuditCounts:
    """Count labelled appointments for an audit under `policy`.

    Raises
    ------
    DataError
        If the groups of a grouping do not add up to all rows.
    """
    running_step.begin("Counting by group")
    arms = count_arms(audited, _compared(audited, policy))
    audited, outcomes = uncalled_outcomes(audited)
    return AuditCounts(
        rows=len(audited),
        months=tuple(group.code for group in months(audited).groups),
        compared=policy.compared,
        counted=_by_name(count_memberships(audited, memberships(audited))),
        strict=_strictly_counted(audited, policy),
        allocated=_counted_by_rule(audited),
        has_live=audited.has(["live_selected"]),
        has_trust_side=audited.has(["trust_side_reason"]) or audited.has(["outcome_code"]),
        outcomes=outcomes,
        pairs=count_pairs(audited),
        arms=arms,
    )


def memberships(audited: AuditData) -> Iterator[Membership]:
    """Everyone first, then each grouping that the extract has, then those that only charts show."""
    yield everyone_membership(len(audited))
    for grouping in (*GROUPINGS, *PLACE_GROUPINGS):
        members = membership(audited, grouping)
        if members is not None:
            yield members
    for first, second in _CROSSED:
        one = membership(audited, grouping_named(first))
        other = months(audited) if second == _MONTH else membership(audited, grouping_named(second))
        if one is not None and other is not None:
            yield cross_memberships(one, other)


def _strictly_counted(audited: AuditData, policy: Policy) -> dict[str, CountedGrouping]:
    kept = audited.strictly_labelled()
    if kept is None:
        return {}
    every = (everyone_membership(len(audited)), *_compared(audited, policy))
    return _by_name(count_memberships(audited, every, rows=kept))


def _compared(audited: AuditData, policy: Policy) -> Iterator[Membership]:
    """The compared groupings that the extract has."""
    found = (membership(audited, grouping_named(name)) for name in policy.compared)
    return (members for members in found if members is not None)


def _counted_by_rule(audited: AuditData) -> dict[str, CountedGrouping]:
    if BY_RISK not in audited.rules or len(audited.rules) == 1:
        return {}
    members = membership(audited, QUINTILE)
    if members is None:
        raise AssertionError("rules allocate by decile, so that there are deciles")
    return {rule: count_groups(audited.under(rule, against=BY_RISK), members) for rule in audited.rules}


def _by_name(counted: Iterable[CountedGrouping]) -> dict[str, CountedGrouping]:
    return {one.grouping.name: one for one in counted}


_Counted = Mapping[str, CountedGrouping]


def _added(first: _Counted, second: _Counted, groupings: Iterable[tuple[Grouping, Grouping]]) -> _Counted:
    """Sums of `groupings`, each a pair: as the first side groups its appointments, and as the second does."""
    return {one.name: _with(first, one) + _with(second, other) for one, other in groupings}


def _simple(names: Container[str]) -> Iterator[tuple[Grouping, Grouping]]:
    """The groupings among `names`, in their usual order."""
    return ((grouping, grouping) for grouping in _SIMPLE if grouping.name in names)


def _crossed(names: Container[str], first: "AuditCounts", second: "AuditCounts") -> Iterator[tuple[Grouping, Grouping]]:
    """The crossed groupings of those among `names`."""
    for margin, of in _CROSSED:
        if margin in names and (of == _MONTH or of in names):
            one, *others = (
                crossed_grouping(
                    grouping_named(margin), month_grouping(side.months) if of == _MONTH else grouping_named(of)
                )
                for side in (first, second)
            )
            yield one, others[0]


def grouping_of(name: str, codes: Sequence[str]) -> tuple[Grouping, tuple[Group, ...]]:
    """A grouping of `AuditCounts` by name, and its groups of these codes.

    Raises
    ------
    ValueError
        If there is no such grouping, or a crossed one has no group of a code.
    """
    margin, crossed, of = name.partition("_by_")
    if crossed and (margin, of) in _CROSSED:
        of_months = sorted({code.partition("|")[2] for code in codes if "|" in code})
        second = month_grouping(of_months) if of == _MONTH else grouping_named(of)
        grouping: Grouping | None = crossed_grouping(grouping_named(margin), second)
    else:
        grouping = next((one for one in _SIMPLE if one.name == name), None)
    if grouping is None:
        raise ValueError(f"'{name}' is not a grouping of an audit")
    known = {group.code: group for group in (*grouping.groups, WITHHELD)}
    if crossed and not known.keys() >= set(codes):
        raise ValueError(f"'{name}' does not have these groups")
    return grouping, tuple(known.get(code) or Group(code, code) for code in codes)


def _with(counted: _Counted, grouping: Grouping) -> CountedGrouping:
    """The grouping as it was counted or, where the extract lacks it, with everybody in the group of unknown values."""
    if grouping.name in counted:
        return counted[grouping.name]
    everyone, unknown = counted[EVERYONE.name].total, grouping.assign(None)
    counts = tuple(everyone if group.code == unknown else GroupCounts.nobody() for group in grouping.groups)
    return CountedGrouping(grouping, grouping.groups, counts)
