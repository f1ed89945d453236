"""What each rule of sharing the calls between areas would have reached, and what it costs.

The same week's calls can go to the highest risks wherever people live, or follow need from one fifth of
deprivation to the next. The price of a rule is how many fewer of those who missed it would have
reached than risk alone, at this trust's number of calls.
"""

from dataclasses import dataclass, replace

from dnapredict.audit.appointments import Audited
from dnapredict.audit.comparisons import Evidence, published_fall, published_interval
from dnapredict.audit.counts import GroupCounts, count
from dnapredict.audit.disclosure import publish_count
from dnapredict.audit.figures import rate
from dnapredict.audit.groupings import QUINTILE
from dnapredict.audit.groups import membership
from dnapredict.audit.intervals import Interval
from dnapredict.audit.tables import GroupTable, Row, published_table

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
    rule_of, z, share = evidence.policy.disclosure, evidence.z, evidence.share
    table = published_table(counted, rule=rule_of, z=z, share=share)
    return Sharing(
        rule=rule,
        title=_TITLES.get(rule, rule),
        in_use=in_use,
        reached=publish_count(everyone.total("reached"), evidence.policy.disclosure),
        fewer=_fewer(everyone, evidence),
        reach=published_interval(rate(everyone, "reach"), evidence=evidence),
        price=published_fall(everyone, evidence=evidence),
        table=_without_small_deciles(table, evidence),
    )


def _fewer(everyone: GroupCounts, evidence: Evidence) -> int | None:
    """From rounded counts, so that a difference of two lists gives no small number back."""
    counts = (everyone.total(name) for name in ("live_reached", "reached"))
    live, new = (publish_count(number, evidence.policy.disclosure) for number in counts)
    return None if live is None or new is None else live - new


def _without_small_deciles(table: GroupTable, evidence: Evidence) -> GroupTable:
    """The table without the figures of a fifth of which one decile is small.

    The other decile is printed, and a difference would give the small one back.
    """
    small = _fifths_with_a_small_decile(evidence)
    rows = tuple(_blank(row) if row.group.code in small else row for row in table.rows)
    return replace(table, rows=rows)


def _fifths_with_a_small_decile(evidence: Evidence) -> set[str]:
    counted, rule = evidence.counted["imd_decile"], evidence.policy.disclosure
    pairs = [(g, c) for g, c in zip(counted.groups, counted.counts, strict=True) if g.known]
    return {
        QUINTILE.assign(int(group.code))
        for group, counts in pairs
        for name in ("missed", "selected", "reached")
        if publish_count(counts.total(name), rule) is None
    }


def _blank(row: Row) -> Row:
    return replace(
        row,
        counts=dict.fromkeys(row.counts),
        rates=dict.fromkeys(row.rates),
        own_top_reach=None,
        observed_over_expected=None,
        allocation_index=None,
        ranking_quality=None,
        calibration_slope=None,
        calibration_intercept=None,
    )
