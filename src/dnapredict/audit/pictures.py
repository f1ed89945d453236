"""What the charts show beyond the tables: curves and crossed groups, as they may be published."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnapredict.audit.comparisons import Evidence, published_interval
from dnapredict.audit.counts import Counted, GroupCounts
from dnapredict.audit.disclosure import publish_count, second_suppression
from dnapredict.audit.figures import rate
from dnapredict.audit.groups import Group
from dnapredict.audit.intervals import Interval, Rate, between_group_sd
from dnapredict.audit.months import ControlChart, control_charts

__all__ = ["Cell", "Curve", "Pictures", "Point", "drawn_from"]

SHARES = (0.01, 0.02, 0.05, 0.08, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50)
_RISK_BANDS = 5


@dataclass(frozen=True)
class Point:
    """One point of a curve: where it stands, its figure with a range, how many it rests on."""

    x: float
    y: Interval | None
    n: int | None


@dataclass(frozen=True)
class Curve:
    """The points of one group."""

    group: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of ethnic group by deprivation. `shrunk` leans on the mean the more, the less is known."""

    ethnic_group: str
    deprivation: str
    missed: int | None
    reach: Interval | None
    shrunk: float | None


@dataclass(frozen=True)
class Pictures:
    """Everything that is drawn and is not in a table."""

    calibration: tuple[Curve, ...]
    capacity: tuple[Curve, ...]
    months: tuple[ControlChart, ...]
    cells: tuple[Cell, ...]


def drawn_from(evidence: Evidence) -> Pictures:
    """The published numbers of the charts; empty where the extract lacks the groups."""
    counted = evidence.counted
    compared = [
        (group, counts)
        for name in ("core20", "ethnicity_5")
        if name in counted
        for group, counts in zip(counted[name].groups, counted[name].counts, strict=True)
        if group.known and counts.missed >= evidence.policy.smallest_group
    ]
    first = [pair for pair in compared if pair[0].code in ("core20", "rest")]
    everyone = (Group("all", "Everyone"), evidence.everyone)
    return Pictures(
        calibration=tuple(_calibration(*pair, evidence) for pair in compared or [everyone]),
        capacity=tuple(_capacity(*pair, evidence) for pair in first or [everyone]),
        months=control_charts(evidence),
        cells=_cells(counted.get("ethnicity_5_by_imd_quintile"), evidence),
    )


def _calibration(group: Group, counts: GroupCounts, evidence: Evidence) -> Curve:
    """Observed against predicted in fifths of the group's own risk."""
    rows = counts.histogram.sum(axis=0)
    band = np.minimum((np.cumsum(rows) - rows / 2) / rows.sum() * _RISK_BANDS, _RISK_BANDS - 1).astype(int)
    effect = rate(counts, "base_rate").design_effect
    points = []
    for place in range(_RISK_BANDS):
        inside = band == place
        n, missed = rows[inside].sum(), counts.histogram[1][inside].sum()
        if n:
            predicted = round(float(counts.expected[:, inside].sum() / n), 3)
            observed = published_interval(Rate(float(missed), float(n), effect), evidence=evidence)
            points.append(Point(predicted, observed, publish_count(float(n), evidence.policy.disclosure)))
    return Curve(group.name, tuple(points))


def _capacity(group: Group, counts: GroupCounts, evidence: Evidence) -> Curve:
    """Reach of the group if the list held a given share of everyone, by one threshold for all."""
    effect = rate(counts, "reach").design_effect
    points = []
    for share in SHARES:
        reached = Rate(_reached_at(counts, evidence.everyone, share), float(counts.missed), effect)
        figure = published_interval(reached, evidence=evidence)
        points.append(Point(share, figure, publish_count(counts.missed, evidence.policy.disclosure)))
    return Curve(group.name, tuple(points))


def _reached_at(counts: GroupCounts, everyone: GroupCounts, share: float) -> float:
    """Missed appointments of the group above the score that selects `share` of everyone."""
    taken: NDArray[np.float64] = everyone.histogram.sum(axis=0)[::-1]
    before = np.cumsum(taken) - taken
    calls = share * everyone.appointments
    within = np.divide(np.clip(calls - before, 0, taken), taken, out=np.zeros_like(taken), where=taken > 0)
    return float(within[::-1] @ counts.histogram[1])


def _cells(counted: Counted | None, evidence: Evidence) -> tuple[Cell, ...]:
    if counted is None:
        return ()
    pairs = zip(counted.groups, counted.counts, strict=True)
    known = [(group, counts) for group, counts in pairs if group.known]
    hidden = _hidden_cells(known, evidence)
    spread = between_group_sd([rate(counts, "reach") for _, counts in known if counts.missed])
    prior = (rate(counted.total, "reach").value or 0.0, spread[0] if spread else 0.0)
    return tuple(
        _cell(group, None if group.code in hidden else counts, evidence, prior) for group, counts in known
    )


def _cell(group: Group, counts: GroupCounts | None, evidence: Evidence, prior: tuple[float, float]) -> Cell:
    ethnic, deprivation = group.name.split("; ")
    reach = published_interval(rate(counts, "reach"), evidence=evidence) if counts else None
    missed = publish_count(counts.missed, evidence.policy.disclosure) if counts else None
    shrunk = _shrunk(reach, missed, prior) if reach and missed else None
    return Cell(ethnic, deprivation, missed, reach, shrunk)


def _shrunk(reach: Interval, missed: int, prior: tuple[float, float]) -> float:
    """Empirical Bayes: the estimate, pulled to the mean by how little it is known."""
    mean, spread = prior
    error = mean * (1 - mean) / missed
    weight = spread**2 / (spread**2 + error) if spread > 0 else 0.0
    return round(mean + weight * (reach.value - mean), 3)


def _hidden_cells(known: list[tuple[Group, GroupCounts]], evidence: Evidence) -> set[str]:
    """Cells to hide so that the printed totals of rows and columns give no small cell back."""
    hidden: set[str] = set()
    for facet in (0, 1):
        for code in {group.facets[facet] for group, _ in known}:
            line = [(g, c) for g, c in known if g.facets[facet] == code]
            for name in ("missed", "reached"):
                place = second_suppression([c.total(name) for _, c in line], evidence.policy.disclosure)
                if place is not None:
                    hidden.add(line[place][0].code)
    return hidden
