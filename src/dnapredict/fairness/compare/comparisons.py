"""The comparisons that the policy fixed in advance: each group against everyone else."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dnapredict.config.fairness_policy import Policy
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.adjusted_effects import AdjustedEffect, AdjustedEffects
from dnapredict.fairness.compare.causes import CauseEvidence, cause_evidence
from dnapredict.fairness.compare.e_values import EvidenceIncrement, increment
from dnapredict.fairness.compare.harm_search import FoundHarm
from dnapredict.fairness.compare.heterogeneity import between_group_sd
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells
from dnapredict.fairness.disclosure.rounded_figures import (
    publish_allocation,
    publish_group_rate,
    publish_rate,
    publish_ratio,
    rounded_error,
)
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.coverage import Coverage
from dnapredict.fairness.measure.group_metrics import (
    allocation_index,
    fall_in_reach,
    observed_over_expected,
    own_top_reach,
    rate,
)
from dnapredict.fairness.measure.intervals import Interval, Rate, printed_interval, z_of
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.measure.pair_counts import CountCube
from dnapredict.fairness.measure.uncalled_outcomes import UncalledOutcomes

# Missed appointments expected among the uncalled appointments on the list. With 20, a group in 1 of 20 audits failed.
_FEWEST_REACHED = 30


@dataclass(frozen=True)
class Evidence:
    """The input of the gates: counts by grouping, the policy and a few facts of the extract.

    `hidden` are the counts that must not be printed; verdicts use all counts.
    """

    counted: Mapping[str, CountedGrouping]
    strict: Mapping[str, CountedGrouping]
    policy: Policy
    rows: int
    hidden: HiddenCells = field(default_factory=HiddenCells)
    rows_expected: int | None = None
    coverage: Coverage | None = None
    has_live: bool = False
    has_trust_side: bool = False
    outcomes: UncalledOutcomes = field(default_factory=UncalledOutcomes)
    effects: AdjustedEffects | None = None
    harms: tuple[FoundHarm, ...] | None = None
    arms: Mapping[str, CountCube] = field(default_factory=dict)
    window: tuple[datetime.date, datetime.date] | None = None
    accumulated: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    @cached_property
    def increments(self) -> tuple[EvidenceIncrement, ...]:
        """What this audit adds to the evidence on each group that is compared."""
        if self.window is None or self.policy.primary != "reach":
            return ()
        limit, found = self.policy.limits.reach.max_harm_gap, []
        for one in self.compared:
            both = increment(*one.rates("reach"), limit=limit)
            if both is not None:
                found.append(EvidenceIncrement(one.grouping, one.group.code, *both, *self.window))
        return tuple(found)

    @cached_property
    def compared(self) -> "tuple[GroupComparison, ...]":
        """Every comparison of the policy, in its order: made once, since each keeps what it has computed."""
        return tuple(comparisons(self.counted, self.policy))

    def effect(self, comparison: "GroupComparison") -> AdjustedEffect | None:
        """What is particular to a group, others taken into account; None where pairs were not counted."""
        return self.effects.get((comparison.grouping, comparison.group.code)) if self.effects else None

    @property
    def everyone(self) -> GroupCounts:
        """Counts of all appointments."""
        return next(iter(self.counted.values())).total

    @property
    def share(self) -> float:
        """Share of appointments that are selected for a call."""
        return rate(self.everyone, "selection_rate").value or 0.0

    @property
    def z(self) -> float:
        """Normal quantile of the policy's confidence."""
        return z_of(self.policy.confidence)


@dataclass(frozen=True)
class GroupComparison:
    """A group and everyone else."""

    grouping: str
    group: Group
    counts: GroupCounts
    rest: GroupCounts

    def enough(self, policy: Policy) -> bool:
        """Whether group and rest each have the missed appointments that a verdict needs.

        Where outcomes are weighted, the effective number of missed appointments counts.
        """
        sides = (self.counts, self.rest)
        return min(side.effective("missed") for side in sides) >= policy.smallest_group and self._calls_are_known

    @property
    def _calls_are_known(self) -> bool:
        """Whether enough appointments on the list are left where outcomes after a call are not counted.

        A group's reach rests on them alone: with a few, each with a large weight, it is 0 by chance.
        """
        sides = (self.counts, self.rest)
        if not any(side.are_weighted for side in sides):
            return True
        precision = rate(self.counts + self.rest, "precision").value or 0.0
        return min(side.counted("selected") for side in sides) * precision >= _FEWEST_REACHED

    def rates(self, name: str) -> tuple[Rate, Rate]:
        """A rate of everyone else and of the group, in that order."""
        return rate(self.rest, name), rate(self.counts, name)

    @property
    def weight(self) -> float:
        """Share of all appointments that are the group's, to two decimals; at least a hundredth."""
        everyone = self.counts.appointments + self.rest.appointments
        return max(0.01, round(self.counts.appointments / everyone, 2))

    @cached_property
    def why(self) -> CauseEvidence | None:
        """What the counts show of why the group is reached less."""
        return cause_evidence(self.counts, self.rest)

    def own_top(self, share: float) -> tuple[Rate, Rate]:
        """Reach of everyone else and of the group, each on a separate list of the same share.

        Everyone else's is that of people who miss as often as the group does: where more miss, the same number of calls
        reaches fewer of them, however much is known.
        """
        base = rate(self.counts, "base_rate").value or 0.0
        return own_top_reach(self.rest, share, base_rate=base), own_top_reach(self.counts, share)

    def allocation(self) -> Interval | None:
        """Allocation index with its 95% interval."""
        return allocation_index(self.counts, self.rest).interval(z_of(0.95))


def comparisons(counted: Mapping[str, CountedGrouping], policy: Policy) -> Iterator[GroupComparison]:
    """Every group that the policy compares, in its order; groupings that the extract lacks are left out.

    Of groups that are parts of one another, such as a decile and Core20, the one whose grouping is named first is
    judged, and another only where that one is too small: the same people are not judged twice.
    """
    judged: dict[tuple[str, str], Group] = {}
    for name in policy.compared:
        for comparison in _of_grouping(counted, name, policy):
            if not _is_nested(comparison, judged):
                yield comparison
                if comparison.enough(policy):
                    judged[name, comparison.group.code] = comparison.group


def _of_grouping(counted: Mapping[str, CountedGrouping], name: str, policy: Policy) -> Iterator[GroupComparison]:
    """The judged groups of one grouping that have appointments."""
    if name not in counted:
        return
    one = counted[name]
    for index, (group, counts) in enumerate(zip(one.groups, one.counts, strict=True)):
        if one.grouping.is_judged(group, unknown=policy.judge_unknown) and counts.appointments:
            yield GroupComparison(name, group, counts, one.rest(index))


def _is_nested(comparison: GroupComparison, judged: Mapping[tuple[str, str], Group]) -> bool:
    """Whether a group that is part of this one, or that this one is part of, is judged already."""
    own = (comparison.grouping, comparison.group.code)
    return any(where in judged for where in comparison.group.within) or any(
        own in group.within for group in judged.values()
    )


def equal_rates_p_values(
    compared: Sequence[GroupComparison], evidence: Evidence, of: Callable[[GroupCounts], Rate]
) -> dict[str, float]:
    """P-value of the test that all groups of a compared grouping have the same rate, if it has two groups or more.

    Tested before any group is reported to differ: among many equal groups some always look bad. Groups with too few
    missed appointments for a verdict are left out.
    """
    smallest, p_values = evidence.policy.smallest_group, {}
    for name in dict.fromkeys(one.grouping for one in compared):
        counted = evidence.counted[name]
        large = [counts for counts in counted.counts if counts.counted("missed") >= smallest]
        spread = between_group_sd([of(counts) for counts in large])
        if spread is not None:
            p_values[name] = spread[1]
    return p_values


def published_pair(
    comparison: GroupComparison, pair: tuple[Rate, Rate], *, made_of: Sequence[str], evidence: Evidence
) -> tuple[Rate, Rate] | None:
    """Everyone else's rate and the group's from rounded counts, or None where a part must be hidden."""
    where = (comparison.grouping, comparison.group.code)
    if evidence.hidden.hides(*where, made_of) or evidence.hidden.hides_others(*where, made_of):
        return None
    first, second = (publish_rate(one, evidence.policy.disclosure) for one in pair)
    return (first, second) if first and second else None


def published_rate(counts: GroupCounts, name: str, *, at: tuple[str, str], evidence: Evidence) -> Interval | None:
    """A rate of the group `at` grouping and code as it may be printed, or None where it must be hidden."""
    blocked = evidence.hidden.hides(*at, counts_in_rate(name))
    shown = None if blocked else publish_group_rate(counts, name, evidence.policy.disclosure)
    return printed_interval(shown, evidence.z)


def published_risk(comparison: GroupComparison, evidence: Evidence) -> Interval | None:
    """Missed over expected as it may be printed."""
    if evidence.hidden.hides(comparison.grouping, comparison.group.code, ("missed",)):
        return None
    ratio = observed_over_expected(comparison.counts)
    return printed_interval(publish_ratio(ratio, evidence.policy.disclosure), evidence.z)


def published_allocation(comparison: GroupComparison, evidence: Evidence) -> Interval | None:
    """The allocation index as it may be printed."""
    if evidence.hidden.hides(comparison.grouping, comparison.group.code, ("missed", "selected")):
        return None
    index = allocation_index(comparison.counts, comparison.rest)
    everyone = comparison.counts + comparison.rest
    shown = publish_allocation(index, comparison.counts, everyone, evidence.policy.disclosure)
    return printed_interval(shown, evidence.z)


def published_weight(grouping: str, code: str, evidence: Evidence) -> float:
    """The share of all appointments that are a group's, from rounded counts; at least 0.01, and 0 where it is hidden.

    The exact share would disclose a small count: with 100 appointments it is the count itself.
    """
    rule, hidden, counted = evidence.policy.disclosure, evidence.hidden, evidence.counted[grouping]
    own = next(one for group, one in zip(counted.groups, counted.counts, strict=True) if group.code == code)
    if hidden.hides(grouping, code, ("appointments",)) or hidden.hides("all", "all", ("appointments",)):
        return 0.0
    number, everyone = (publish_count(one.appointments, rule) for one in (own, evidence.everyone))
    return max(0.01, round(number / everyone, 2)) if number and everyone else 0.0


def published_fall(counts: GroupCounts, *, at: tuple[str, str], evidence: Evidence) -> Interval | None:
    """How much lower the reach is than that of the live list, as it may be printed.

    Both lists are compared on the same people, so that the interval is narrower than that of a gap.
    """
    if evidence.hidden.hides(*at, (*counts_in_rate("reach"), *counts_in_rate("live_reach"))):
        return None
    rule = evidence.policy.disclosure
    live, new = (publish_rate(rate(counts, name), rule) for name in ("live_reach", "reach"))
    if live is None or new is None or live.value is None or new.value is None:
        return None
    half = evidence.z * rounded_error(fall_in_reach(counts).error)
    value = live.value - new.value
    return Interval(value, value - half, value + half).rounded()
