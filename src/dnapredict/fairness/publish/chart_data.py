"""Published figures of the charts that are in no table: curves, months and crossed groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.comparisons import Evidence, published_rate
from dnapredict.fairness.compare.control_charts import ControlChart, control_charts
from dnapredict.fairness.compare.heterogeneity import between_group_sd
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.disclosure.further_figures import IN_FIFTHS, fifth_code, fifths_of
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.intervals import Interval, Rate, printed_interval
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.measure.risk_fifths import EVERYONE, charted_groups, risk_fifths

SHARES = (0.01, 0.02, 0.05, 0.08, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50)
# The counts that can be derived from the points of a curve.
_IN_CALIBRATION = ("appointments", "missed")
_IN_CAPACITY = ("missed", "reached")


@dataclass(frozen=True)
class CurvePoint:
    """One point of a curve: x, the figure with its interval, and the number of appointments."""

    x: float
    y: Interval | None
    n: int | None


@dataclass(frozen=True)
class GroupCurve:
    """The points of one group."""

    group: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class CrossedCell:
    """One cell of ethnic group by deprivation; `shrunk` is reach, shrunk towards the mean (empirical Bayes)."""

    ethnic_group: str
    deprivation: str
    missed: int | None
    reach: Interval | None
    shrunk: float | None


@dataclass(frozen=True)
class ChartData:
    """Figures that are drawn and are not in a table."""

    calibration: tuple[GroupCurve, ...]
    capacity: tuple[GroupCurve, ...]
    months: tuple[ControlChart, ...]
    cells: tuple[CrossedCell, ...]


def published_chart_data(evidence: Evidence) -> ChartData:
    """The published figures of the charts; empty where the extract lacks the groups."""
    counted = evidence.counted
    compared = charted_groups(counted, smallest=evidence.policy.smallest_group)
    first = [one for one in compared if one[1].code in ("core20", "rest")]
    everyone = (EVERYONE.code, EVERYONE, evidence.everyone)
    hides = evidence.hidden.hides
    return ChartData(
        # The points of a curve add up to the group's counts, which would disclose one that is hidden.
        calibration=tuple(
            _calibration(name, group, counts, evidence)
            for name, group, counts in compared
            if not hides(name, group.code, _IN_CALIBRATION)
        ),
        capacity=tuple(
            _capacity(group, counts, evidence)
            for name, group, counts in first or [everyone]
            if not hides(name, group.code, _IN_CAPACITY)
        ),
        months=control_charts(evidence),
        cells=_cells(counted.get("ethnicity_5_by_imd_quintile"), evidence),
    )


def _calibration(grouping: str, group: Group, counts: GroupCounts, evidence: Evidence) -> GroupCurve:
    """Observed against predicted in fifths of the group's own risk.

    A fifth that must be hidden has no point: the mean risk of a few people could identify them and, where scores
    know the outcome, reveal how many of them missed.
    """
    rows, effect = counts.histogram.sum(axis=0), rate(counts, "base_rate").design_effect
    points = []
    for number, inside in enumerate(risk_fifths(counts)):
        share = Rate(float(counts.histogram[1][inside].sum()), float(rows[inside].sum()), effect)
        blocked = evidence.hidden.hides(fifths_of(grouping), fifth_code(group.code, number), IN_FIFTHS)
        shown = None if blocked else publish_rate(share, evidence.policy.disclosure)
        if shown is not None:
            mean = round(float(counts.expected[:, inside].sum() / rows[inside].sum()), 3)
            points.append(CurvePoint(mean, printed_interval(shown, evidence.z), int(shown.denominator)))
    return GroupCurve(group.name, tuple(points))


def _capacity(group: Group, counts: GroupCounts, evidence: Evidence) -> GroupCurve:
    """Reach of the group if the list held a given share of everyone, by one threshold for all."""
    effect = rate(counts, "reach").design_effect
    points = []
    for share in SHARES:
        reached = Rate(_reached_at(counts, evidence.everyone, share), float(counts.missed), effect)
        figure = printed_interval(publish_rate(reached, evidence.policy.disclosure), evidence.z)
        points.append(CurvePoint(share, figure, publish_count(counts.missed, evidence.policy.disclosure)))
    return GroupCurve(group.name, tuple(points))


def _reached_at(counts: GroupCounts, everyone: GroupCounts, share: float) -> float:
    """Missed appointments of the group above the score that selects `share` of everyone."""
    appointments: NDArray[np.float64] = everyone.histogram.sum(axis=0)[::-1]
    before = np.cumsum(appointments) - appointments
    calls = share * everyone.appointments
    called = np.clip(calls - before, 0, appointments)
    within = np.divide(called, appointments, out=np.zeros_like(appointments), where=appointments > 0)
    return float(within[::-1] @ counts.histogram[1])


def _cells(counted: CountedGrouping | None, evidence: Evidence) -> tuple[CrossedCell, ...]:
    if counted is None:
        return ()
    name = counted.grouping.name
    known = [(g, c) for g, c in zip(counted.groups, counted.counts, strict=True) if g.known]
    estimates = [(g, c, _shown(g, c, name, evidence)) for g, c in known]
    spread = between_group_sd([reach for *_, reach in estimates if reach])
    everyone = published_rate(counted.total, "reach", at=("all", "all"), evidence=evidence)
    prior = (everyone.value if everyone else 0.0, spread[0] if spread else 0.0)
    missed = [
        None
        if evidence.hidden.hides(name, group.code, ("missed",))
        else publish_count(counts.missed, evidence.policy.disclosure)
        for group, counts, _ in estimates
    ]
    return tuple(
        _cell(group, printed_interval(reach, evidence.z), number, prior)
        for (group, _, reach), number in zip(estimates, missed, strict=True)
    )


def _shown(group: Group, counts: GroupCounts, name: str, evidence: Evidence) -> Rate | None:
    blocked = evidence.hidden.hides(name, group.code, counts_in_rate("reach"))
    return None if blocked else publish_rate(rate(counts, "reach"), evidence.policy.disclosure)


def _cell(group: Group, reach: Interval | None, missed: int | None, prior: tuple[float, float]) -> CrossedCell:
    ethnic, deprivation = group.name.split("; ")
    shrunk = _shrunk(reach, missed, prior) if reach and missed else None
    return CrossedCell(ethnic, deprivation, missed, reach, shrunk)


def _shrunk(reach: Interval, missed: int, prior: tuple[float, float]) -> float:
    """Empirical Bayes: the estimate, shrunk towards the mean by its sampling variance."""
    mean, spread = prior
    error = mean * (1 - mean) / missed
    weight = spread**2 / (spread**2 + error) if spread > 0 else 0.0
    return round(mean + weight * (reach.value - mean), 3)
