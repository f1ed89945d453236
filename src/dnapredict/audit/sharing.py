"""What each rule of sharing the calls between areas would have reached, and what it costs.

The same week's calls can go to the highest risks wherever people live, or follow need from one fifth of
deprivation to the next. The price of a rule is how many fewer of those who missed it would have
reached than risk alone, at this trust's number of calls.
"""

from dataclasses import dataclass

from dnapredict.audit.appointments import Audited
from dnapredict.audit.comparisons import Evidence, published_fall, published_interval
from dnapredict.audit.counts import GroupCounts, count
from dnapredict.audit.disclosure import publish_count
from dnapredict.audit.figures import rate
from dnapredict.audit.groupings import QUINTILE
from dnapredict.audit.groups import membership
from dnapredict.audit.intervals import Interval
from dnapredict.audit.tables import GroupTable, published_table

__all__ = ["BY_RISK", "Sharing", "sharings_of"]

BY_RISK = "global"
_TITLES = {
    BY_RISK: "By risk alone",
    "proportionate": "Each fifth its share of need",
    "floor": "A floor for each fifth, then by risk",
}


@dataclass(frozen=True)
class Sharing:
    """One rule: whom it reaches, and how many fewer than risk alone.

    `reached` are missed appointments; `fewer` of them is the price, a number of 5s that may be below 0;
    `price` is the same as a share of all who missed, with its range. None is hidden or not estimable.
    `table` has a row for each fifth of deprivation, 1 the most deprived (Core20).
    """

    rule: str
    title: str
    in_use: bool
    reached: int | None
    fewer: int | None
    reach: Interval | None
    price: Interval | None
    table: GroupTable

    def of_fifth(self, code: str) -> Interval | None:
        """Reach in a fifth of deprivation, "1" to "5" or "none"."""
        return next((row.rates["reach"] for row in self.table.rows if row.group.code == code), None)


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
    everyone = counted.total
    return Sharing(
        rule=rule,
        title=_TITLES.get(rule, rule),
        in_use=in_use,
        reached=publish_count(everyone.total("reached"), evidence.policy.disclosure),
        fewer=_fewer(everyone, evidence),
        reach=published_interval(rate(everyone, "reach"), evidence=evidence),
        price=published_fall(everyone, evidence=evidence),
        table=published_table(counted, rule=evidence.policy.disclosure, z=evidence.z, share=evidence.share),
    )


def _fewer(everyone: GroupCounts, evidence: Evidence) -> int | None:
    """From rounded counts, so that a difference of two lists gives no small number back."""
    counts = (everyone.total(name) for name in ("live_reached", "reached"))
    live, new = (publish_count(number, evidence.policy.disclosure) for number in counts)
    return None if live is None or new is None else live - new
