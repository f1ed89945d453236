"""What each rule of sharing the calls between areas would have reached, and what it costs.

The same week's calls can go to the highest risks wherever people live, or follow need from one fifth of
deprivation to the next. The price of a rule is how many fewer of those who missed it would have
reached than risk alone, at this trust's number of calls.
"""

from dataclasses import dataclass

from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.comparisons import Evidence, published_fall, published_rate
from dnapredict.fairness.disclosure.hidden_counts import hidden_in, publish_rate
from dnapredict.fairness.measure.audited_appointments import Audited
from dnapredict.fairness.measure.counts import Counted, GroupCounts, count
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.groupings import QUINTILE
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.measure.membership import Group, membership

BY_RISK = "global"
_TITLES = {
    BY_RISK: "By risk alone",
    "proportionate": "Each fifth its share of need",
    "floor": "A floor for each fifth, then by risk",
}


@dataclass(frozen=True)
class Fifth:
    """What a rule does in a fifth of deprivation, as it may be printed: calls, those reached, reach."""

    group: Group
    selected: int | None
    reached: int | None
    reach: Interval | None


@dataclass(frozen=True)
class Sharing:
    """One rule: whom it reaches, and how many fewer than risk alone.

    `reached` are missed appointments; `fewer` of them is the price, a number of 5s that may be below 0;
    `price` is the same as a share of all who missed, with its range. None is hidden or not estimable.
    `fifths` are those of deprivation, 1 the most deprived (Core20), and those without a decile.
    """

    rule: str
    title: str
    in_use: bool
    reached: int | None
    fewer: int | None
    reach: Interval | None
    price: Interval | None
    fifths: tuple[Fifth, ...]

    def of_fifth(self, code: str) -> Interval | None:
        """Reach in a fifth of deprivation, "1" to "5" or "none"."""
        return next((fifth.reach for fifth in self.fifths if fifth.group.code == code), None)


def sharings_of(audited: Audited, evidence: Evidence, *, in_use: str) -> tuple[Sharing, ...]:
    """Every rule whose list is known, risk alone first; nothing where the extract holds no deciles."""
    if BY_RISK not in audited.rules or len(audited.rules) == 1:
        return ()
    return tuple(_sharing(audited, evidence, rule, in_use=rule == in_use) for rule in audited.rules)


def _sharing(audited: Audited, evidence: Evidence, rule: str, *, in_use: bool) -> Sharing:
    appointments = audited.under(rule, against=BY_RISK)
    members = membership(appointments, QUINTILE)
    if members is None:
        raise AssertionError("a list is shared by deciles, so there are deciles")
    counted = count(appointments, members)
    everyone, at = counted.total, ("all", "all")
    return Sharing(
        rule=rule,
        title=_TITLES.get(rule, rule),
        in_use=in_use,
        reached=publish_count(everyone.total("reached"), evidence.policy.disclosure),
        fewer=_fewer(everyone, evidence),
        reach=published_rate(everyone, "reach", at=at, evidence=evidence),
        price=published_fall(everyone, at=at, evidence=evidence),
        fifths=_fifths(counted, evidence),
    )


def _fewer(everyone: GroupCounts, evidence: Evidence) -> int | None:
    """From rounded counts, so that a difference of two lists gives no small number back."""
    counts = (everyone.total(name) for name in ("live_reached", "reached"))
    live, new = (publish_count(number, evidence.policy.disclosure) for number in counts)
    return None if live is None or new is None else live - new


def _fifths(counted: Counted, evidence: Evidence) -> tuple[Fifth, ...]:
    """What a fifth shows depends on the other fifths under this rule, and on what the report hides of it."""
    name, rule = QUINTILE.name, evidence.policy.disclosure
    own = hidden_in({name: counted}, rule)
    found = []
    for group, counts in zip(counted.groups, counted.counts, strict=True):
        blocked = {
            part
            for part in ("missed", "selected", "reached")
            if own.hides(name, group.code, [part]) or evidence.hidden.hides(name, group.code, [part])
        }
        calls, reached = (
            None if part in blocked else publish_count(counts.total(part), rule) for part in ("selected", "reached")
        )
        shown = None if blocked & {"missed", "reached"} else publish_rate(rate(counts, "reach"), rule)
        reach = shown.interval(evidence.z) if shown else None
        found.append(Fifth(group, calls, reached, reach.rounded() if reach else None))
    return tuple(found)
