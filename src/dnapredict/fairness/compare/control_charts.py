"""Control charts (p-charts) of rates by month.

For a single month a gate would have too few missed appointments. A p-chart asks whether a month differs from the
others. Limits are three standard errors around the mean of the period, wider for months with fewer appointments and
for a larger design effect.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.compare.comparisons import Evidence
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.counts import GroupCounts
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.intervals import Interval, Rate, printed_interval
from dnapredict.fairness.measure.membership import Group

SIGMAS: Final = 3.0
RUN: Final = 8  # months on one side of the centre that are called a shift (Shewhart's second rule)
CHARTED: Final = ("reach", "base_rate", "selection_rate")
_BY_MONTH: Final = ("core20_by_month", "ethnicity_5_by_month")
Months = list[tuple[Group, GroupCounts]]


@dataclass(frozen=True)
class MonthlyRate:
    """A rate in a month; `low` and `high` of `rate` are its control limits."""

    name: str
    rate: Interval | None


@dataclass(frozen=True)
class ControlChart:
    """A rate of a group month by month.

    `measure` is one of `CHARTED`. `signal` says whether a month is outside its limits or eight in
    a row are on one side of the centre.
    """

    measure: str
    group: str
    centre: float
    months: tuple[MonthlyRate, ...]
    signal: str


def control_charts(evidence: Evidence) -> tuple[ControlChart, ...]:
    """A chart for each rate and group of Core20 and the five ethnic groups; none without two months."""
    groups = [(name, months) for name in _BY_MONTH for months in _by_group(evidence, name)]
    charts = (_chart(name, months, measure, evidence) for measure in CHARTED for name, months in groups)
    return tuple(chart for chart in charts if chart is not None)


def _by_group(evidence: Evidence, name: str) -> Iterator[Months]:
    counted = evidence.counted.get(name)
    if counted is None:
        return
    months: dict[str, Months] = {}
    for group, counts in zip(counted.groups, counted.counts, strict=True):
        if group.known:
            months.setdefault(group.facets[0], []).append((group, counts))
    yield from months.values()


def _chart(grouping: str, months: Months, measure: str, evidence: Evidence) -> ControlChart | None:
    total = months[0][1]
    for _, counts in months[1:]:
        total = total + counts
    whole = (grouping.partition("_by_")[0], months[0][0].facets[0])
    centre = _shown(whole, total, measure, evidence)
    if centre is None or centre.value is None or total.counted("missed") < evidence.policy.smallest_group:
        return None
    points = tuple(
        _month(group.facets[1], _shown((grouping, group.code), counts, measure, evidence), centre, evidence)
        for group, counts in months
    )
    name = months[0][0].name.partition(";")[0]
    return ControlChart(measure, name, round(centre.value, 3), points, _signal(points, centre.value))


def _shown(at: tuple[str, str], counts: GroupCounts, measure: str, evidence: Evidence) -> Rate | None:
    blocked = evidence.hidden.hides(*at, counts_in_rate(measure))
    return None if blocked else publish_rate(rate(counts, measure), evidence.policy.disclosure)


def _month(name: str, shown: Rate | None, centre: Rate, evidence: Evidence) -> MonthlyRate:
    interval = printed_interval(shown, evidence.z)
    if shown is None or interval is None or centre.value is None:
        return MonthlyRate(name, None)
    error = (centre.value * (1 - centre.value) * centre.design_effect / shown.denominator) ** 0.5
    low, high = max(0.0, centre.value - SIGMAS * error), min(1.0, centre.value + SIGMAS * error)
    return MonthlyRate(name, Interval(interval.value, round(low, 3), round(high, 3)))


def _signal(points: tuple[MonthlyRate, ...], centre: float) -> str:
    seen = [point.rate for point in points if point.rate is not None]
    outside = sum(not one.low <= one.value <= one.high for one in seen)
    if outside:
        are = "is" if outside == 1 else "are"
        return f"{outside} of {len(seen)} months {are} outside the limits: find out what happened then."
    sides = [one.value > centre for one in seen]
    runs = [sides[start : start + RUN] for start in range(len(sides) - RUN + 1)]
    if any(len(set(run)) == 1 for run in runs):
        return f"{RUN} months in a row are on one side: something has changed."
    return "Months differ no more than chance makes them."
