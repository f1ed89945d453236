"""What may be published of each group: people, waits and shares, rounded, small numbers hidden."""

import math
from dataclasses import dataclass

from dnapredict.audit.access.hiding import NUMBERS, OF_OTHERS, below, hidden_names
from dnapredict.audit.access.measures import MEASURES
from dnapredict.audit.access.tallies import Tallied, Tally
from dnapredict.audit.disclosure import publish_count, publish_rate
from dnapredict.audit.groups import Group
from dnapredict.audit.hiding import Hidden
from dnapredict.audit.intervals import Interval, Rate, gap
from dnapredict.audit.spread import slope_index
from dnapredict.config.policy import Disclosure

__all__ = ["AccessRow", "AccessTable", "Share", "tabulated"]

_FEWEST_FOR_A_WAIT = 20  # first appointments, below which a median could be somebody's own wait


@dataclass(frozen=True)
class Share:
    """A measure of one group: how many of how many, rounded, with the likely range."""

    above: int | None
    below: int | None
    rate: Interval | None


@dataclass(frozen=True)
class AccessRow:
    """One group. None is *hidden or not estimable*.

    `share` is the group's share of all patients, `waiting` its share of those whose appointment lies
    ahead; `more_missed` how many more of 100 are missed than by everyone else; waits are days.
    """

    group: Group
    numbers: dict[str, int | None]
    share: Interval | None
    waiting: Interval | None
    measures: dict[str, Share]
    median_wait: Interval | None
    ninth_wait: float | None
    more_missed: Interval | None


@dataclass(frozen=True)
class AccessTable:
    """The rows of a grouping. `slopes` say how a measure changes along an ordered one, first to last."""

    name: str
    title: str
    rows: tuple[AccessRow, ...]
    slopes: dict[str, Interval | None]

    def row(self, code: str) -> AccessRow | None:
        """The row of the group with that code."""
        return next((row for row in self.rows if row.group.code == code), None)


def tabulated(tallied: Tallied, *, hidden: Hidden, rule: Disclosure, z: float) -> AccessTable:
    """The table of one grouping, as it may be printed."""
    total, grouping = tallied.total, tallied.grouping
    rows = tuple(
        _row(group, own, total, hidden=hidden_names(group, grouping.name, hidden), rule=rule, z=z)
        for group, own in zip(tallied.groups, tallied.tallies, strict=True)
    )
    slopes = {
        measure.name: _slope(tallied, measure.name, hidden, rule=rule, z=z)
        for measure in MEASURES
        if grouping.ordered
    }
    return AccessTable(grouping.name, grouping.title, rows, slopes)


def _row(
    group: Group, own: Tally, total: Tally, *, hidden: frozenset[str], rule: Disclosure, z: float
) -> AccessRow:
    rest = total - own
    numbers = {name: getattr(own, name) for name in NUMBERS}
    measures = {
        measure.name: _share(own.rate(measure.name), measure.name, hidden, rule=rule, z=z)
        for measure in MEASURES
    }
    shown = measures["wait_over_6_weeks"].below or 0
    compared = not hidden & {"missed", below("missed"), *(f"others {name}" for name in OF_OTHERS)}
    return AccessRow(
        group=group,
        numbers={
            name: None if name in hidden else publish_count(number, rule) for name, number in numbers.items()
        },
        share=_ranged(Rate(own.patients, total.patients), rule, z, blocked="patients" in hidden),
        waiting=_ranged(Rate(own.upcoming, total.upcoming), rule, z, blocked="upcoming" in hidden),
        measures=measures,
        median_wait=_wait(own, 0.5, z) if shown >= _FEWEST_FOR_A_WAIT else None,
        ninth_wait=own.wait(0.9) if shown >= _FEWEST_FOR_A_WAIT * 5 else None,
        more_missed=_more(own.rate("missed"), rest.rate("missed"), rule, z) if compared else None,
    )


def _share(rate: Rate, name: str, hidden: frozenset[str], *, rule: Disclosure, z: float) -> Share:
    whole = None if below(name) in hidden else publish_count(rate.denominator, rule)
    shown = None if whole is None or name in hidden else publish_rate(rate, rule)
    if shown is None:
        return Share(None, whole, None)
    return Share(int(shown.numerator), int(shown.denominator), _rounded(shown, z))


def _ranged(rate: Rate, rule: Disclosure, z: float, *, blocked: bool) -> Interval | None:
    shown = None if blocked else publish_rate(rate, rule)
    return _rounded(shown, z) if shown else None


def _rounded(rate: Rate, z: float) -> Interval | None:
    found = rate.interval(z)
    return found.rounded() if found else None


def _more(own: Rate, rest: Rate, rule: Disclosure, z: float) -> Interval | None:
    """How much higher the group's rate is than everyone else's, from rounded counts."""
    first, second = publish_rate(own, rule), publish_rate(rest, rule)
    found = gap(first, second, z=z) if first and second else None
    return found.rounded() if found else None


def _wait(own: Tally, quantile: float, z: float) -> Interval | None:
    """A quantile of the wait with its range by order statistics at the effective number."""
    value, rate = own.wait(quantile), own.rate("wait_over_6_weeks")
    if value is None:
        return None
    half = z * math.sqrt(quantile * (1 - quantile) * rate.design_effect / rate.denominator)
    low, high = own.wait(max(0.0, quantile - half)), own.wait(min(1.0, quantile + half))
    return Interval(value, value if low is None else low, value if high is None else high)


def _slope(tallied: Tallied, measure: str, hidden: Hidden, *, rule: Disclosure, z: float) -> Interval | None:
    """How a measure changes along the groups, from what is printed of them."""
    name, counts = tallied.grouping.name, (measure, below(measure), "appointments")
    shown = [
        (rate, float(own.appointments))
        for group, own in zip(tallied.groups, tallied.tallies, strict=True)
        if group.known and not hidden.hides(name, group.code, counts)
        if (rate := publish_rate(own.rate(measure), rule))
    ]
    found = slope_index([rate for rate, _ in shown], [size for _, size in shown], z=z)
    return found.rounded() if found else None
