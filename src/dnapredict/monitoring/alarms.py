"""Alarms on the weekly figures of a model in use: its level, its slope and its reach.

All charts share one budget: at most one false alarm in 20 years on average (`e_detector`). A chart is in control while
the ratio of observed to expected is within a margin of the ratio that the audit found, or of 1 without an audit.
"""

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.groupings import EVERYONE
from dnapredict.monitoring.e_detector import ControlBand, Detection, WatchedShare, WeeklyRatio, WeeklyShare, detect
from dnapredict.monitoring.weekly_counts import RISK_BANDS, GroupWeeks, WeeklyCounts

Floats = NDArray[np.float64]

# The shares of the budget; what is left belongs to the inputs.
_LEVEL_OF_EVERYONE: Final = 0.15
LEVEL_OF_GROUPS: Final = 0.45
_REACH_OF_EVERYONE: Final = 0.05
_REACH_OF_GROUPS: Final = 0.1
_SLOPE: Final = 0.1
INPUTS: Final = 0.15
"""The share of the budget of false alarms for all charts of inputs together."""

# Relative distances from the reference that are in control. Seasons move a level by a few in 100 every year.
_LEVEL_MARGIN: Final = 0.02
_SLOPE_MARGIN: Final = 0.05
_REACH_MARGIN: Final = 0.1
# A group is named beside everyone's drift only if its ratio differs from everyone's by this much, beyond chance.
_OWN_DRIFT: Final = 0.07
_STANDARD_ERRORS: Final = 2.0
# A chart starts again in the week after an alarm: a change that begins by then is still the same one.
_GOES_ON: Final = datetime.timedelta(weeks=2)

_ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "level": "Check whether recording or reminders changed since then; if not, train a new version and audit it.",
        "slope": "High risks no longer differ from low ones as predicted: train a new version and audit it.",
        "reach": "Compare this group's records and risks with the last audit, and audit the model again.",
    }
)


@dataclass(frozen=True)
class AuditedLevels:
    """What the last audit found of the level.

    Attributes
    ----------
    until
        The last day of the audited appointments. Weeks up to it are compared with 1: the audit of a period in which
        the level drifts would make the drift its own reference.
    ratios
        Observed over expected of each group, by grouping and code.
    """

    until: datetime.date = datetime.date.max
    ratios: Mapping[tuple[str, str], float] = field(default_factory=dict)


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
class _Ratio:
    """An observed and an expected count by week, shape (weeks,), with a share of the budget of false alarms."""

    what: str
    group: GroupWeeks
    observed: Floats
    expected: Floats
    weight: float
    # Of the slope: "low" or "high".
    risk: str = ""


@dataclass(frozen=True)
class _Chart:
    """A ratio that is watched, in the weeks (by position) with an expected count, and what is in control."""

    ratio: _Ratio
    weeks: NDArray[np.int64]
    series: WeeklyRatio
    band: ControlBand
    beside: WatchedShare | None = None


def outcome_alarms(counts: WeeklyCounts, audited: AuditedLevels = AuditedLevels()) -> tuple[Alarm, ...]:
    """The alarms of level, slope and reach, by the week that raised them.

    Parameters
    ----------
    audited
        What the last audit found, which is in control in later weeks.
    """
    found = [
        _alarm(chart, detection, counts)
        for chart in charts(counts, audited)
        for detection in detect(chart.series, chart.band, weight=chart.ratio.weight, beside=chart.beside)
    ]
    kept = [alarm for alarm in _joined(found) if not _is_everyones(alarm, found, counts)]
    return tuple(sorted(kept, key=lambda alarm: (alarm.raised, alarm.what, alarm.grouping, alarm.group)))


def _joined(alarms: list[Alarm]) -> Iterator[Alarm]:
    """One alarm for each change: a chart that starts again finds a change that goes on once more."""
    earlier: dict[tuple[str, str, str, bool], tuple[Alarm, datetime.date]] = {}
    for alarm in alarms:
        key = (alarm.what, alarm.grouping, alarm.group, alarm.ratio > 1)
        first, last_raised = earlier.get(key, (None, datetime.date.min))
        goes_on = first is not None and (first.lasts or alarm.since - last_raised <= _GOES_ON)
        if first is not None and goes_on:
            earlier[key] = (replace(first, lasts=alarm.lasts), alarm.raised)
            continue
        if first is not None:
            yield first
        earlier[key] = (alarm, alarm.raised)
    yield from (alarm for alarm, _ in earlier.values())


def charts(counts: WeeklyCounts, audited: AuditedLevels = AuditedLevels()) -> tuple[_Chart, ...]:
    """Every chart that is watched."""
    ratios = (*_levels(counts), *_reaches(counts), *_slopes(counts))
    later = counts.weeks > np.datetime64(audited.until)
    everyone = _reference(ratios[0], audited, later)
    return tuple(
        _chart(ratio, _reference(ratio, audited, later), counts.everyone, everyone)
        for ratio in ratios
        if ratio.expected.any()
    )


def _levels(counts: WeeklyCounts) -> Iterator[_Ratio]:
    for group, weight in _shares(counts, everyone=_LEVEL_OF_EVERYONE, groups=LEVEL_OF_GROUPS):
        yield _Ratio("level", group, *_level(group), weight)


def _reaches(counts: WeeklyCounts) -> Iterator[_Ratio]:
    for group, weight in _shares(counts, everyone=_REACH_OF_EVERYONE, groups=_REACH_OF_GROUPS):
        yield _Ratio("reach", group, *_reach(group), weight)


def _slopes(counts: WeeklyCounts) -> Iterator[_Ratio]:
    """The share of the missed appointments in the lowest and in the highest band of risk; the level is left out."""
    missed, expected = counts.band_missed.sum(axis=0), counts.band_expected.sum(axis=0)
    for band, risk in ((0, "low"), (RISK_BANDS - 1, "high")):
        share = counts.band_expected[band] / np.maximum(expected, np.finfo(float).tiny)
        yield _Ratio("slope", counts.everyone, counts.band_missed[band], missed * share, _SLOPE / 2, risk)


def _shares(counts: WeeklyCounts, *, everyone: float, groups: float) -> Iterator[tuple[GroupWeeks, float]]:
    others = counts.groups[1:]
    yield counts.everyone, everyone
    yield from ((group, groups / len(others)) for group in others)


def _level(group: GroupWeeks) -> tuple[Floats, Floats]:
    return group.missed, group.expected


def _reach(group: GroupWeeks) -> tuple[Floats, Floats]:
    """Missed appointments on the list, and how many of the missed ones the risks say are on it."""
    share = group.expected_on_list / np.maximum(group.expected, np.finfo(float).tiny)
    return group.missed_on_list, group.missed * share


_MARGINS: Final = {"level": _LEVEL_MARGIN, "reach": _REACH_MARGIN, "slope": _SLOPE_MARGIN}


def _reference(ratio: _Ratio, audited: AuditedLevels, later: NDArray[np.bool_]) -> Floats:
    """The ratio that is in control in each week, shape (weeks,)."""
    found = audited.ratios.get((ratio.group.grouping.name, ratio.group.group.code), 1.0)
    return np.where(later & (ratio.what == "level"), found, 1.0)


def _chart(ratio: _Ratio, reference: Floats, everyone: GroupWeeks, reference_of_everyone: Floats) -> _Chart:
    """The chart of a ratio, given the ratio that is in control in each week, of its group and of everyone."""
    weeks = np.flatnonzero(ratio.expected > 0)
    factor = ratio.group.squared[weeks] / np.maximum(ratio.group.expected[weeks], np.finfo(float).tiny)
    band = _band(reference[weeks], _MARGINS[ratio.what])
    series = WeeklyRatio(ratio.observed[weeks], ratio.expected[weeks], factor)
    beside = None
    if ratio.what == "level" and ratio.group is not everyone:
        beside = _share_of_everyone(
            series, everyone, weeks, reference=reference[weeks], of_everyone=reference_of_everyone[weeks]
        )
    return _Chart(ratio, weeks, series, band, beside)


def _band(reference: Floats, margin: float) -> ControlBand:
    return ControlBand(np.minimum(1.0, reference) * (1 - margin), np.maximum(1.0, reference) * (1 + margin))


def _share_of_everyone(
    group: WeeklyRatio, everyone: GroupWeeks, weeks: NDArray[np.int64], *, reference: Floats, of_everyone: Floats
) -> WatchedShare:
    """The group's missed appointments as a share of all.

    The others' ratio that is in control is what the audit found of everyone, less what it found of the group.
    """
    least = np.finfo(float).tiny
    total, expected = np.maximum(everyone.missed[weeks], least), everyone.expected[weeks]
    others = expected - group.expected
    of_others = (of_everyone * expected - reference * group.expected) / np.maximum(others, least)
    # Rounded audits may leave nothing for the others, and in some weeks there are none.
    known = np.where((others > 0) & (of_others > 0), of_others, of_everyone)
    share = np.minimum(1.0, group.expected / expected)
    series = WeeklyShare(group.observed, total * share, group.variance_factor, total=total)
    return WatchedShare(series, _band(reference / known, _LEVEL_MARGIN))


def _alarm(chart: _Chart, detection: Detection, counts: WeeklyCounts) -> Alarm:
    raised, since = (counts.weeks[chart.weeks[at]].item() for at in (detection.week, detection.since))
    ratio = chart.ratio
    return Alarm(
        what=ratio.what,
        grouping=ratio.group.grouping.name,
        group=ratio.group.group.code,
        raised=raised,
        since=since,
        lasts=detection.lasts,
        ratio=detection.ratio,
        message=f"{_moved(ratio, detection.ratio)} Since the week of {day_words(since)}. {_ACTIONS[ratio.what]}",
    )


def _moved(ratio: _Ratio, now: float) -> str:
    name = "Everyone" if ratio.group.grouping is EVERYONE else ratio.group.group.full_name
    difference = abs(round((now - 1) * 100))
    direction = "more" if now > 1 else "fewer"
    if ratio.what == "level":
        return f"{name}: {difference} in 100 {direction} missed appointments than predicted."
    if ratio.what == "reach":
        return f"{name}: the list reaches {difference} in 100 {direction} of the missed appointments than predicted."
    return f"{difference} in 100 {direction} of the missed appointments have a {ratio.risk} risk than predicted."


def day_words(day: datetime.date) -> str:
    """The day in words.

    >>> day_words(datetime.date(2026, 3, 2))
    '2 March 2026'
    """
    return f"{day.day} {day:%B %Y}"


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
