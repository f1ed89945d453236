"""The comparisons that the policy fixed beforehand: each group against everyone else."""

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
from dnapredict.fairness.measure.counts import Counted, GroupCounts
from dnapredict.fairness.measure.group_metrics import (
    RATES,
    allocation_index,
    fall_in_reach,
    observed_over_expected,
    own_top_reach,
    rate,
)
from dnapredict.fairness.measure.intervals import Interval, Rate, gap, z_of
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.verdicts import Cause

# A cause is named when its figure is this far off and chance does not explain it.
_UNDER_SCORED = 1.10
_WEAKER = 0.025


@dataclass(frozen=True)
class Evidence:
    """All that the gates may look at: counts by grouping, the policy and a few facts of the extract.

    `hidden` says what must not be printed of them; verdicts use all.
    """

    counted: Mapping[str, Counted]
    strict: Mapping[str, Counted]
    policy: Policy
    rows: int
    hidden: HiddenCells = field(default_factory=HiddenCells)
    rows_expected: int | None = None
    has_live: bool = False
    has_trust_side: bool = False

    @property
    def everyone(self) -> GroupCounts:
        """Counts of all appointments."""
        return next(iter(self.counted.values())).total

    @property
    def share(self) -> float:
        """Share of appointments that are to be called."""
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
        """Whether group and rest have the missed appointments that a verdict needs."""
        return min(self.counts.missed, self.rest.missed) >= policy.smallest_group

    def rates(self, name: str) -> tuple[Rate, Rate]:
        """A rate of everyone else and of the group, in that order."""
        return rate(self.rest, name), rate(self.counts, name)

    def own_top(self, share: float) -> tuple[Rate, Rate]:
        """Reach of everyone else and of the group, each at its own top share."""
        return own_top_reach(self.rest, share), own_top_reach(self.counts, share)

    def allocation(self) -> Interval | None:
        """Allocation index with its 95% interval."""
        return allocation_index(self.counts, self.rest).interval(z_of(0.95))


def comparisons(counted: Mapping[str, Counted], policy: Policy) -> Iterator[GroupComparison]:
    """Every group that the policy asks about, in its order; groupings that the extract lacks are left out."""
    for name in policy.compared:
        if name not in counted:
            continue
        for place, group in enumerate(counted[name].groups):
            if counted[name].grouping.asked_about(group):
                yield GroupComparison(name, group, counted[name].counts[place], counted[name].rest(place))


def cause_of(comparison: GroupComparison, *, share: float, z: float) -> Cause:
    """Why a group is reached less: three figures together tell.

    *Under-scored*: more of them miss than predicted, compared with everyone else. *Weaker information*:
    even a list of their own would reach fewer. Otherwise *lower need*: fewer of them are at high risk.
    Observed over expected is taken relative to everyone else, so that the scores of any vendor can be
    judged, whether or not they are calibrated.
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


def omnibus(evidence: Evidence, of: Callable[[GroupCounts], Rate]) -> dict[str, float]:
    """P-value of the test that all groups of a grouping are alike, for each that holds two to compare.

    Asked before any group is said to differ: among many groups that are all alike some always look bad.
    Groups with too few missed appointments for a verdict are left out.
    """
    found = {}
    for name, counted in evidence.counted.items():
        enough = [counts for counts in counted.counts if counts.missed >= evidence.policy.smallest_group]
        spread = between_group_sd([of(counts) for counts in enough])
        if spread is not None:
            found[name] = spread[1]
    return found


def parts_of(name: str) -> tuple[str, ...]:
    """The counts that a rate of `figures.RATES` is made of."""
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
    blocked = evidence.hidden.hides(*at, parts_of(name))
    shown = None if blocked else publish_rate(rate(counts, name), evidence.policy.disclosure)
    return ranged(shown, evidence)


def published_risk(comparison: GroupComparison, evidence: Evidence) -> Interval | None:
    """Missed over expected as it may be printed."""
    if evidence.hidden.hides(comparison.grouping, comparison.group.code, ("missed",)):
        return None
    shown = publish_ratio(observed_over_expected(comparison.counts), evidence.policy.disclosure)
    found = shown.interval(evidence.z) if shown else None
    return found.rounded() if found else None


def published_allocation(comparison: GroupComparison, evidence: Evidence) -> Interval | None:
    """The allocation index as it may be printed."""
    if evidence.hidden.hides(comparison.grouping, comparison.group.code, ("missed", "selected")):
        return None
    index = allocation_index(comparison.counts, comparison.rest)
    everyone = comparison.counts + comparison.rest
    shown = publish_allocation(index, comparison.counts, everyone, evidence.policy.disclosure)
    found = shown.interval(evidence.z) if shown else None
    return found.rounded() if found else None


def ranged(shown: Rate | None, evidence: Evidence) -> Interval | None:
    """A rate that may be printed with its range."""
    found = shown.interval(evidence.z) if shown else None
    return found.rounded() if found else None


def published_fall(counts: GroupCounts, *, at: tuple[str, str], evidence: Evidence) -> Interval | None:
    """How much lower the reach is than by the live list, as it may be printed.

    Both lists called or left the same people, so that its range is narrower than that of a gap.
    """
    if evidence.hidden.hides(*at, (*parts_of("reach"), *parts_of("live_reach"))):
        return None
    rule = evidence.policy.disclosure
    live, new = (publish_rate(rate(counts, name), rule) for name in ("live_reach", "reach"))
    if live is None or new is None or live.value is None or new.value is None:
        return None
    half = evidence.z * rounded_error(fall_in_reach(counts).error)
    value = live.value - new.value
    return Interval(value, value - half, value + half).rounded()
