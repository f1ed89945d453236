"""The comparisons that the policy fixed in advance: each group against everyone else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dnapredict.config.fairness_policy import Policy
from dnapredict.fairness.compare.heterogeneity import between_group_sd
from dnapredict.fairness.disclosure.hidden_counts import (
    HiddenCells,
    publish_allocation,
    publish_rate,
    publish_ratio,
    rounded_error,
)
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.coverage import Coverage
from dnapredict.fairness.measure.group_metrics import (
    RATES,
    allocation_index,
    fall_in_reach,
    observed_over_expected,
    own_top_reach,
    rate,
)
from dnapredict.fairness.measure.intervals import Interval, Rate, gap, printed_interval, z_of
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.verdicts import Cause

# A cause is named when its metric is this far off and chance does not explain it.
_UNDER_SCORED = 1.10
_WEAKER = 0.025


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
        """Whether group and rest each have the missed appointments that a verdict needs."""
        return min(self.counts.missed, self.rest.missed) >= policy.smallest_group

    def rates(self, name: str) -> tuple[Rate, Rate]:
        """A rate of everyone else and of the group, in that order."""
        return rate(self.rest, name), rate(self.counts, name)

    def own_top(self, share: float) -> tuple[Rate, Rate]:
        """Reach of everyone else and of the group, each on a separate list of the same share."""
        return own_top_reach(self.rest, share), own_top_reach(self.counts, share)

    def allocation(self) -> Interval | None:
        """Allocation index with its 95% interval."""
        return allocation_index(self.counts, self.rest).interval(z_of(0.95))


def comparisons(counted: Mapping[str, CountedGrouping], policy: Policy) -> Iterator[GroupComparison]:
    """Every group that the policy compares, in its order; groupings that the extract lacks are left out."""
    for name in policy.compared:
        if name not in counted:
            continue
        for index, group in enumerate(counted[name].groups):
            if counted[name].grouping.is_judged(group):
                yield GroupComparison(name, group, counted[name].counts[index], counted[name].rest(index))


def cause_of(comparison: GroupComparison, *, share: float, z: float) -> Cause:
    """Why a group is reached less.

    *Under-scored*: its observed-to-expected ratio is higher than everyone else's. *Weaker information*: even a
    separate list of the group would have a lower reach. Otherwise *lower need*: fewer of the group are at high risk.
    The observed-to-expected ratio is relative to everyone else, so that uncalibrated scores of a vendor can be judged
    too.
    """
    own, others = observed_over_expected(comparison.counts), observed_over_expected(comparison.rest)
    first, second = own.interval(z), others.interval(z)
    if first and second:
        relative = first.value / second.value
        if relative > _UNDER_SCORED and first.low / second.value > 1.0:
            return Cause.UNDER_SCORED
    weaker = gap(*comparison.own_top(share), z=z)
    if weaker and weaker.value > _WEAKER and weaker.low > 0:
        return Cause.WEAKER_INFORMATION
    return Cause.LOWER_NEED


def equal_rates_p_values(evidence: Evidence, of: Callable[[GroupCounts], Rate]) -> dict[str, float]:
    """P-value of the test that all groups of a grouping have the same rate, for groupings of two groups or more.

    Tested before any group is said to differ: among many equal groups some always look bad. Groups with too few
    missed appointments for a verdict are left out.
    """
    p_values = {}
    for name, counted in evidence.counted.items():
        large = [counts for counts in counted.counts if counts.missed >= evidence.policy.smallest_group]
        spread = between_group_sd([of(counts) for counts in large])
        if spread is not None:
            p_values[name] = spread[1]
    return p_values


def counts_in_rate(name: str) -> tuple[str, ...]:
    """The counts that a rate of `group_metrics.RATES` is computed from."""
    return tuple(part for side in RATES[name] for part in side)


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
    shown = None if blocked else publish_rate(rate(counts, name), evidence.policy.disclosure)
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
