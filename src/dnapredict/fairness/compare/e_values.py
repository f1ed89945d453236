"""Evidence that adds up over audits, however often somebody looks: e-values of a gap in reach.

An e-value is a bet against a hypothesis: on average it is at most 1 where the hypothesis holds, so that it exceeds 20
in at most 1 of 20 cases. E-values of different appointments may be multiplied, and the product may be looked at after
each audit (Ville's inequality; Ramdas, Gruenwald, Vovk and Shafer 2023, Statistical Science 38:576). A p-value may not:
one that is looked at each month falls below 0.05 sooner or later.

Here the bet is a likelihood ratio of how many of the group's missed appointments were reached, at its effective sample
size. Everyone else's reach is not known exactly; its uncertainty counts as fewer appointments of the group.
"""

import calendar
import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.measure.intervals import Rate

# Distances from the limit on which the bet is spread evenly, in points of reach.
_HARMS: Final = (0.03, 0.06, 0.12)
_MARGINS: Final = (0.02, 0.04, 0.06)
_LEAST: Final = 1e-4
_DECIMALS: Final = 10  # increments are rounded down to a tenth, which keeps them valid and tells little of counts
_LONGEST: Final = 3650  # days; a date beyond ten years says nothing

Key = tuple[str, str]
Window = tuple[datetime.date, datetime.date]


@dataclass(frozen=True)
class EvidenceIncrement:
    """Evidence of one audit about the reach of one group; increments of different appointments add up.

    `log_e` is the logarithm of an e-value against "not behind by more than the limit", `log_e_pass` of one against
    "behind by the limit or more". `first` and `last` are the days of the appointments.
    """

    grouping: str
    group: str
    log_e: float
    log_e_pass: float
    first: datetime.date
    last: datetime.date


def increment(rest: Rate, group: Rate, *, limit: float) -> tuple[float, float] | None:
    """Log e-values against "gap <= limit" and against "gap >= limit", from one audit.

    None where a rate cannot be estimated or everyone else's is within the limit of 0.

    >>> increment(Rate(4000, 10_000), Rate(100, 500), limit=0.05)[0] > math.log(20)
    True
    >>> increment(Rate(40_000, 100_000), Rate(2000, 5000), limit=0.05)[1] > math.log(20)
    True
    """
    if rest.value is None or group.value is None or not _LEAST < rest.value - limit < 1 - _LEAST:
        return None
    at_limit = rest.value - limit
    number = _effective(rest, group, at_limit)
    behind = _mixture(group.value, number, at_limit, [-step for step in _HARMS])
    alike = _mixture(group.value, number, at_limit, list(_MARGINS))
    return _rounded_down(behind), _rounded_down(alike)


def _effective(rest: Rate, group: Rate, at_limit: float) -> float:
    """Missed appointments of the group that would be as uncertain as group and rest are together."""
    spread = at_limit * (1 - at_limit)
    own = spread * group.design_effect / group.denominator
    return spread / (own + rest.variance)


def _mixture(share: float, number: float, at_limit: float, steps: list[float]) -> float:
    """Log of the mean likelihood ratio of a share out of `number`, against `at_limit`."""
    logs = []
    for step in steps:
        other = min(max(at_limit + step, _LEAST), 1 - _LEAST)
        gain = share * math.log(other / at_limit) + (1 - share) * math.log((1 - other) / (1 - at_limit))
        logs.append(number * gain)
    highest = max(logs)
    return highest + math.log(sum(math.exp(one - highest) for one in logs) / len(logs))


def _rounded_down(value: float) -> float:
    return math.floor(value * _DECIMALS) / _DECIMALS


def is_certain(log_e: float, *, level: float, comparisons: int = 1) -> bool:
    """Whether accumulated evidence is certain at `level`, one of several comparisons (Bonferroni).

    >>> is_certain(math.log(20), level=0.05), is_certain(math.log(20), level=0.05, comparisons=10)
    (True, False)
    """
    return log_e >= math.log(comparisons / level) - 1e-12


def enough_by(
    rest: Rate,
    group: Rate,
    *,
    limit: float,
    log_e_pass: float,
    level: float,
    window: tuple[datetime.date, datetime.date],
) -> datetime.date | None:
    """The last day of the month by which a group that is not behind would be shown to be so, at its present rate.

    Computed from the average evidence of a missed appointment if the group and everyone else are reached equally. None
    if that is more than ten years away. The exact day would reveal how many of the group missed.

    >>> day = datetime.date
    >>> enough_by(Rate(4000, 10_000), Rate(200, 500), limit=0.05, log_e_pass=0.0, level=0.05,
    ...     window=(day(2025, 1, 1), day(2025, 12, 31)))
    datetime.date(2027, 4, 30)
    """
    if rest.value is None or group.denominator <= 0 or not rest.value - limit > _LEAST:
        return None
    needed = math.log(1 / level) - log_e_pass
    days = (window[1] - window[0]).days + 1
    each_day = group.denominator / group.design_effect / days
    at_limit = rest.value - limit
    low, high = 0.0, float(_LONGEST)
    if _mixture(rest.value, each_day * high, at_limit, list(_MARGINS)) < needed:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if _mixture(rest.value, each_day * middle, at_limit, list(_MARGINS)) < needed
            else (low, middle)
        )
    return _end_of_month(window[1] + datetime.timedelta(days=math.ceil(high)))


def _end_of_month(day: datetime.date) -> datetime.date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def evidence_before(increments: Iterable[EvidenceIncrement], window: Window) -> dict[Key, tuple[float, float]]:
    """The evidence of earlier audits that may be added to an audit of the days of `window`, by grouping and group.

    An appointment is on one day. Increments are taken in the order in which they were recorded; those from days that
    overlap with days counted before, or with `window`, are left out, so that auditing the same months again adds
    nothing.

    >>> day = datetime.date
    >>> march = EvidenceIncrement("core20", "core20", 1.5, -1.0, day(2026, 3, 1), day(2026, 3, 31))
    >>> april = EvidenceIncrement("core20", "core20", 2.0, -2.0, day(2026, 4, 1), day(2026, 4, 30))
    >>> evidence_before([march, april, march], (day(2026, 5, 1), day(2026, 5, 31)))
    {('core20', 'core20'): (3.5, -3.0)}
    >>> evidence_before([march, april], (day(2026, 4, 30), day(2026, 5, 31)))
    {('core20', 'core20'): (1.5, -1.0)}
    """
    counted: dict[Key, list[EvidenceIncrement]] = {}
    for each in increments:
        taken = counted.setdefault((each.grouping, each.group), [])
        days = [window, *((other.first, other.last) for other in taken)]
        if all(each.first > last or each.last < first for first, last in days):
            taken.append(each)
    return {
        at: (sum(e.log_e for e in taken), sum(e.log_e_pass for e in taken)) for at, taken in counted.items() if taken
    }


def accumulated(earlier: Mapping[Key, tuple[float, float]], now: EvidenceIncrement) -> tuple[float, float]:
    """Evidence of earlier audits of other appointments and of this one, added."""
    before = earlier.get((now.grouping, now.group), (0.0, 0.0))
    return before[0] + now.log_e, before[1] + now.log_e_pass
