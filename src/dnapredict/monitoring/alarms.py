"""Alarms on the weekly figures of a model in use: its level, its slope and its reach.

All charts share one budget: at most one false alarm in 20 years on average (`e_detector`). A chart is in control while
the ratio of observed to expected is within a margin of the ratio that the audit found, or of 1 without an audit.
"""

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.groupings import EVERYONE
from dnapredict.monitoring.e_detector import Band, Detection, WeeklyRatio, detect
from dnapredict.monitoring.weekly_counts import RISK_BANDS, GroupWeeks, WeeklyCounts

Floats = NDArray[np.float64]
References = Mapping[tuple[str, str], float]

# The shares of the budget; what is left belongs to the inputs.
_LEVEL_OF_EVERYONE: Final = 0.15
_LEVEL_OF_GROUPS: Final = 0.3
_REACH_OF_EVERYONE: Final = 0.05
_REACH_OF_GROUPS: Final = 0.2
_SLOPE: Final = 0.1
INPUTS: Final = 0.2
"""The share of the budget of false alarms for all charts of inputs together."""

# Relative distances from the reference that are in control. Seasons move a level by a few in 100 every year.
_LEVEL_MARGIN: Final = 0.02
_SLOPE_MARGIN: Final = 0.05
_REACH_MARGIN: Final = 0.1
# A group is named beside everyone's drift only if its ratio differs from everyone's by this much, beyond chance.
_OWN_DRIFT: Final = 0.07
_STANDARD_ERRORS: Final = 2.0

_ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "level": "Check whether recording or reminders changed since then; if not, train a new version and audit it.",
        "slope": "High risks no longer differ from low ones as predicted: train a new version and audit it.",
        "reach": "Compare this group's records and risks with the last audit, and audit the model again.",
    }
)


@dataclass(frozen=True)
class Alarm:
    """A figure that moved.

    Attributes
    ----------
    what
        `level`, `slope`, `reach`, `factor`, `codes` or `column`.
    grouping, group
        Codes of the group; `all` and `all` for everyone. Of inputs: the column, and its value or "".
    raised, since
        Mondays of the week that raised the alarm, and of the week in which the change is estimated to have begun.
    lasts
        Whether it holds in the last week.
    ratio
        Observed divided by expected since then; NaN where there is none.
    message
        What moved, since when, and what to do.
    """

    what: str
    grouping: str
    group: str
    raised: datetime.date
    since: datetime.date
    lasts: bool
    ratio: float
    message: str


@dataclass(frozen=True)
class _Chart:
    what: str
    source: GroupWeeks
    series: WeeklyRatio
    weeks: NDArray[np.int64]
    band: Band
    weight: float
    # Of the charts of the slope: "low" or "high".
    risk: str = ""


def outcome_alarms(counts: WeeklyCounts, references: References = MappingProxyType({})) -> tuple[Alarm, ...]:
    """The alarms of level, slope and reach, by the week that raised them.

    Parameters
    ----------
    references
        Observed over expected of each group in the audit, by grouping and code.
    """
    found = [
        _alarm(chart, detection, counts)
        for chart in charts(counts, references)
        for detection in detect(chart.series, chart.band, weight=chart.weight)
    ]
    kept = [alarm for alarm in _joined(found) if not _is_everyones(alarm, found, counts)]
    return tuple(sorted(kept, key=lambda alarm: (alarm.raised, alarm.what, alarm.grouping, alarm.group)))


def _joined(alarms: list[Alarm]) -> Iterator[Alarm]:
    """One alarm for each change: a chart that starts again finds a lasting change once more."""
    earlier: dict[tuple[str, str, str, bool], Alarm] = {}
    for alarm in alarms:
        key = (alarm.what, alarm.grouping, alarm.group, alarm.ratio > 1)
        if key in earlier and earlier[key].lasts:
            earlier[key] = replace(earlier[key], lasts=alarm.lasts)
        else:
            if key in earlier:
                yield earlier[key]
            earlier[key] = alarm
    yield from earlier.values()


def charts(counts: WeeklyCounts, references: References = MappingProxyType({})) -> tuple[_Chart, ...]:
    """Every chart that is watched, each with its share of the budget."""
    others = counts.groups[1:]
    return (
        *_chart("level", counts.everyone, _level(counts.everyone), references, _LEVEL_OF_EVERYONE),
        *(
            chart
            for group in others
            for chart in _chart("level", group, _level(group), references, _LEVEL_OF_GROUPS / len(others))
        ),
        *_chart("reach", counts.everyone, _reach(counts.everyone), {}, _REACH_OF_EVERYONE),
        *(
            chart
            for group in others
            for chart in _chart("reach", group, _reach(group), {}, _REACH_OF_GROUPS / len(others))
        ),
        *_slope_charts(counts),
    )


def _level(group: GroupWeeks) -> tuple[Floats, Floats]:
    return group.missed, group.expected


def _reach(group: GroupWeeks) -> tuple[Floats, Floats]:
    """Missed appointments on the list, and how many of the missed ones the risks say are on it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(group.expected_on_list / group.expected)
    return group.missed_on_list, group.missed * share


_MARGINS: Final = {"level": _LEVEL_MARGIN, "reach": _REACH_MARGIN, "slope": _SLOPE_MARGIN}


def _chart(
    what: str,
    group: GroupWeeks,
    ratio: tuple[Floats, Floats],
    references: References,
    weight: float,
    *,
    risk: str = "",
) -> Iterator[_Chart]:
    observed, expected = ratio
    weeks = np.flatnonzero(expected > 0)
    if not len(weeks):
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.nan_to_num(group.squared / group.expected, nan=1.0, posinf=1.0)
    series = WeeklyRatio(observed[weeks], expected[weeks], factor[weeks])
    reference = references.get((group.grouping.name, group.group.code), 1.0)
    margin = _MARGINS[what]
    band = Band(min(1.0, reference) * (1 - margin), max(1.0, reference) * (1 + margin))
    yield _Chart(what, group, series, weeks, band, weight, risk)


def _slope_charts(counts: WeeklyCounts) -> Iterator[_Chart]:
    """The share of the missed appointments in the highest and in the lowest band of risk: not moved by the level."""
    missed, expected = counts.band_missed.sum(axis=0), counts.band_expected.sum(axis=0)
    for band, risk in ((0, "low"), (RISK_BANDS - 1, "high")):
        share = counts.band_expected[band] / np.maximum(expected, np.finfo(float).tiny)
        ratio = (counts.band_missed[band], missed * share)
        yield from _chart("slope", counts.everyone, ratio, {}, _SLOPE / 2, risk=risk)


def _alarm(chart: _Chart, detection: Detection, counts: WeeklyCounts) -> Alarm:
    raised, since = (counts.weeks[chart.weeks[at]].item() for at in (detection.week, detection.since))
    return Alarm(
        what=chart.what,
        grouping=chart.source.grouping.name,
        group=chart.source.group.code,
        raised=raised,
        since=since,
        lasts=detection.lasts,
        ratio=detection.ratio,
        message=f"{_moved(chart, detection.ratio)} Since the week of {since:%-d %B %Y}. {_ACTIONS[chart.what]}",
    )


def _moved(chart: _Chart, ratio: float) -> str:
    name = "Everyone" if chart.source.grouping is EVERYONE else chart.source.group.full_name
    difference = abs(round((ratio - 1) * 100))
    direction = "more" if ratio > 1 else "fewer"
    if chart.what == "level":
        return f"{name}: {difference} in 100 {direction} missed appointments than predicted."
    if chart.what == "reach":
        return f"{name}: the list reaches {difference} in 100 {direction} of the missed appointments than predicted."
    return f"{difference} in 100 {direction} of the missed appointments have a {chart.risk} risk than predicted."


def _is_everyones(alarm: Alarm, found: list[Alarm], counts: WeeklyCounts) -> bool:
    """Whether the alarm of a group only repeats the drift of everyone: a uniform drift is told once."""
    if alarm.what == "slope" or alarm.grouping == EVERYONE.name:
        return False
    general = [
        each
        for each in found
        if each.what == alarm.what and each.grouping == EVERYONE.name and (each.ratio > 1) == (alarm.ratio > 1)
    ]
    if not general:
        return False
    since = np.searchsorted(counts.weeks, np.datetime64(alarm.since))
    group = next(
        each for each in counts.groups if (each.grouping.name, each.group.code) == (alarm.grouping, alarm.group)
    )
    observed, everyone = (
        each[0][since:].sum() / max(float(each[1][since:].sum()), np.finfo(float).tiny)
        for each in ((_level if alarm.what == "level" else _reach)(one) for one in (group, counts.everyone))
    )
    error = _STANDARD_ERRORS / math.sqrt(max(1.0, float(group.missed[since:].sum())))
    return abs(math.log(max(observed, 1e-9) / max(everyone, 1e-9))) < max(_OWN_DRIFT, error)
