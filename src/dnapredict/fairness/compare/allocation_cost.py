"""Reach of each rule that allocates calls between areas, and its cost.

The calls of a week can go to the highest risks wherever people live, or in proportion to need in each fifth of
deprivation. The cost of a rule is how many fewer missed appointments it would have reached than ranking by risk
alone, with the same number of calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.comparisons import Evidence, published_fall, published_rate
from dnapredict.fairness.disclosure.further_figures import ALLOCATED, under_rule
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.audit_counts import BY_RISK
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.groupings import QUINTILE
from dnapredict.fairness.measure.intervals import Interval, printed_interval
from dnapredict.fairness.measure.membership import Group

_TITLES = {
    BY_RISK: "By risk alone",
    "proportionate": "Each fifth its share of need",
    "floor": "A floor for each fifth, then by risk",
}


@dataclass(frozen=True)
class FifthReach:
    """Published calls, missed appointments reached, and reach of a rule in a fifth of deprivation."""

    group: Group
    selected: int | None
    reached: int | None
    reach: Interval | None


@dataclass(frozen=True)
class AllocationCost:
    """One allocation rule: its reach, and how many fewer it reaches than risk alone.

    `reached` are missed appointments; `fewer` is the cost in missed appointments, a multiple of 5 that may be negative;
    `price` is the cost as a share of all missed appointments. None is hidden or not estimable.
    `fifths` are those of deprivation, 1 the most deprived (Core20), and those without a decile.
    """

    rule: str
    title: str
    in_use: bool
    reached: int | None
    fewer: int | None
    reach: Interval | None
    price: Interval | None
    fifths: tuple[FifthReach, ...]

    def reach_in_fifth(self, code: str) -> Interval | None:
        """Reach in a fifth of deprivation, "1" to "5" or "none"."""
        return next((fifth.reach for fifth in self.fifths if fifth.group.code == code), None)


def allocation_costs(
    allocated: Mapping[str, CountedGrouping], evidence: Evidence, *, in_use: str
) -> tuple[AllocationCost, ...]:
    """The cost of every rule of `AuditCounts.allocated`, risk alone first; empty where the extract has no deciles."""
    return tuple(_cost(counted, evidence, rule, in_use=rule == in_use) for rule, counted in allocated.items())


def _cost(counted: CountedGrouping, evidence: Evidence, rule: str, *, in_use: bool) -> AllocationCost:
    everyone, at = counted.total, ("all", "all")
    blocked = evidence.hidden.hides(*at, [under_rule("reached", rule)])
    compared = not blocked and not evidence.hidden.hides(*at, [under_rule("reached", BY_RISK)])
    return AllocationCost(
        rule=rule,
        title=_TITLES.get(rule, rule),
        in_use=in_use,
        reached=None if blocked else publish_count(everyone.total("reached"), evidence.policy.disclosure),
        fewer=_fewer(everyone, evidence) if compared else None,
        reach=None if blocked else published_rate(everyone, "reach", at=at, evidence=evidence),
        price=published_fall(everyone, at=at, evidence=evidence) if compared else None,
        fifths=_fifths(counted, evidence, rule),
    )


def _fewer(everyone: GroupCounts, evidence: Evidence) -> int | None:
    """From rounded counts, so that the difference of two lists reveals no small number."""
    counts = (everyone.total(name) for name in ("live_reached", "reached"))
    live, new = (publish_count(number, evidence.policy.disclosure) for number in counts)
    return None if live is None or new is None else live - new


def _fifths(counted: CountedGrouping, evidence: Evidence, rule: str) -> tuple[FifthReach, ...]:
    """The fifths, without counts that are hidden under this rule or elsewhere in the report."""
    name, disclosure, rows = QUINTILE.name, evidence.policy.disclosure, []
    for group, counts in zip(counted.groups, counted.counts, strict=True):
        hidden = {part: evidence.hidden.hides(name, group.code, [part, under_rule(part, rule)]) for part in ALLOCATED}
        calls, reached = (None if hidden[part] else publish_count(counts.total(part), disclosure) for part in ALLOCATED)
        blocked = hidden["reached"] or evidence.hidden.hides(name, group.code, ["missed"])
        shown = None if blocked else publish_rate(rate(counts, "reach"), disclosure)
        rows.append(FifthReach(group, calls, reached, printed_interval(shown, evidence.z)))
    return tuple(rows)
