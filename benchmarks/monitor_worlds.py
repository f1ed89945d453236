"""Stable and shifted weeks of kinds that `monitor_alarms` does not have: false alarms, and what the alarms name.

    python -m benchmarks.monitor_worlds [YEARS]

Stable: a strike (a week without data, and one with half of it), growth by 30 in 100, a season of 5 in 100, weeks that
differ by 4 in 100, a trust with a tenth of the appointments, and missed appointments that are recorded up to three
weeks late, watched every four weeks, with the last weeks read or left out until they are settled. Shifted: a slow
drift, one site, two groups at once in two directions.
"""

import datetime
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from benchmarks import monitor_alarms
from benchmarks.monitor_alarms import CHANGE, FIRST_MONDAY, WEEKS, MadeUpTrust
from numpy.typing import NDArray

from dnapredict.monitoring.alarms import Alarm, outcome_alarms
from dnapredict.monitoring.weekly_counts import GroupWeeks, WeeklyCounts, in_settled_weeks

YEARS = 60
_COUNTS = ("appointments", "rows", "missed", "expected", "squared", "missed_on_list", "expected_on_list", "log_loss")
_OBSERVED = ("missed", "missed_on_list")
# Of the missed appointments of the last weeks, what is recorded when the monitor runs.
_RECORDED = np.array([0.9, 0.7, 0.4])

Floats = NDArray[np.float64]


def scaled(counts: WeeklyCounts, factor: Floats, names: tuple[str, ...], *, group: str = "") -> WeeklyCounts:
    """The counts with some figures multiplied by week, of everyone or of one group."""

    def of(each: GroupWeeks) -> GroupWeeks:
        if group and each.group.code != group:
            return each
        return replace(each, **{name: getattr(each, name) * factor for name in names})

    bands = counts.band_missed if group or "missed" not in names else counts.band_missed * factor
    expected = counts.band_expected * factor if "expected" in names else counts.band_expected
    return replace(counts, groups=tuple(map(of, counts.groups)), band_missed=bands, band_expected=expected)


def first(counts: WeeklyCounts, weeks: NDArray[np.bool_]) -> WeeklyCounts:
    """Some of the weeks."""
    groups = tuple(replace(each, **{name: getattr(each, name)[weeks] for name in _COUNTS}) for each in counts.groups)
    return WeeklyCounts(counts.weeks[weeks], groups, counts.band_missed[:, weeks], counts.band_expected[:, weeks])


@dataclass(frozen=True)
class StableWorld:
    """A year in which nothing changes that an alarm should name."""

    name: str
    appointments: int = 1_000_000
    season: float = 0.025
    weekly_shock: float = 0.02
    growth: float = 0.0
    strike: bool = False
    late: bool = False
    settled_only: bool = True

    def alarms(self, seed: int) -> bool:
        """Whether any run of the monitor raises an alarm."""
        monitor_alarms.SEASON, monitor_alarms.WEEKLY_SHOCK = self.season, self.weekly_shock
        trust = MadeUpTrust(appointments=self.appointments)
        if self.growth:
            trust = _Growing(appointments=self.appointments, growth=self.growth)
        counts, _ = trust.year(seed)
        if self.strike:
            half = np.where(np.arange(WEEKS) == 21, 0.5, 1.0)
            counts = scaled(counts, half, _COUNTS)
            counts = first(counts, np.arange(WEEKS) != 20)
        if not self.late:
            return bool(outcome_alarms(counts))
        return any(
            bool(outcome_alarms(_as_of(counts, week, settled_only=self.settled_only))) for week in range(12, WEEKS, 4)
        )


@dataclass(frozen=True)
class _Growing(MadeUpTrust):
    growth: float = 0.0

    def _volume(self) -> Floats:
        return super()._volume() * np.linspace(1, 1 + self.growth, WEEKS)


def _as_of(counts: WeeklyCounts, weeks: int, *, settled_only: bool) -> WeeklyCounts:
    """What the store knows after so many weeks: of the last ones not all missed appointments."""
    factor = np.ones(WEEKS)
    factor[weeks - len(_RECORDED) : weeks] = _RECORDED
    known = first(scaled(counts, factor, _OBSERVED), np.arange(WEEKS) < weeks)
    if not settled_only:
        return known
    return first(known, _settled(counts.everyone, known.everyone, weeks))


def _settled(whole: GroupWeeks, known: GroupWeeks, weeks: int) -> NDArray[np.bool_]:
    """The weeks that the monitor counts, from a thousand rows a week with the same shares."""
    rows = whole.rows[:weeks]
    to_come = (whole.missed[:weeks] - known.missed) / rows
    week, number = np.repeat(np.arange(weeks), 1_000), np.tile(np.arange(1_000), weeks)
    recorded = number >= np.round(1_000 * to_come)[week]
    probability = (whole.expected[:weeks] / rows)[week]
    settled = in_settled_weeks(week, recorded=recorded, probability=probability)
    return np.asarray(settled.reshape(weeks, -1)[:, 0])


STABLE = (
    StableWorld("as in monitor_alarms"),
    StableWorld("a strike", strike=True),
    StableWorld("growth by 30 in 100", growth=0.3),
    StableWorld("a season of 5 in 100", season=0.05),
    StableWorld("weeks that differ by 4 in 100", weekly_shock=0.04),
    StableWorld("100,000 appointments", appointments=100_000),
    StableWorld("missed appointments recorded late, all weeks read", late=True, settled_only=False),
    StableWorld("missed appointments recorded late, settled weeks read", late=True),
)


def _drift(counts: WeeklyCounts) -> WeeklyCounts:
    return scaled(counts, 1 + 0.01 * np.maximum(0, np.arange(WEEKS) - CHANGE + 1), _OBSERVED)


def shifted() -> Iterator[tuple[str, MadeUpTrust, Callable[[WeeklyCounts], WeeklyCounts], tuple[str, ...]]]:
    """Worlds with a change in week `CHANGE`, and the groups that have moved."""
    plain = MadeUpTrust()
    yield "everyone drifts by 1 in 100 each week", plain, _drift, ("all",)
    yield (
        "30 in 100 more at one site of 4",
        replace(plain, shift=1.3, shifted=("site", "S2")),
        lambda each: each,
        ("S2",),
    )
    two = replace(plain, shift=1.3, shifted=("core20", "core20"))
    after = np.where(np.arange(WEEKS) < CHANGE, 1.0, 0.7)
    yield (
        "30 in 100 more of core20, 30 fewer at one site",
        two,
        lambda each: scaled(each, after, _OBSERVED, group="S3"),
        ("core20", "S3"),
    )


def main() -> None:
    """Print both tables."""
    years = int(sys.argv[1]) if len(sys.argv) > 1 else YEARS
    print("| stable year | years with an alarm |\n|---|---|")
    for world in STABLE:
        print(f"| {world.name} | {sum(map(world.alarms, range(years)))} of {years} |", flush=True)
    monitor_alarms.SEASON, monitor_alarms.WEEKLY_SHOCK = 0.025, 0.02
    print("| change | each named | after weeks, middle | begins, weeks off, middle | direction right | others named |")
    print("|---|---|---|---|---|---|")
    for name, trust, change, moved in shifted():
        found = [outcome_alarms(change(trust.year(seed)[0])) for seed in range(20_000, 20_000 + years // 2)]
        print(f"| {name} | {_named(found, moved)} |", flush=True)


def _named(years: list[tuple[Alarm, ...]], moved: tuple[str, ...]) -> str:
    levels = [[alarm for alarm in year if alarm.what == "level"] for year in years]
    named = [all(any(alarm.group == each for alarm in year) for each in moved) for year in levels]
    right = [alarm for year in levels for alarm in year if alarm.group in moved]
    after = [_week(alarm.raised) - CHANGE + 1 for alarm in right]
    off = [_week(alarm.since) - CHANGE for alarm in right]
    direction = [(alarm.ratio < 1) == (alarm.group == "S3") for alarm in right]
    others = [any(alarm.group not in {*moved, "all"} for alarm in year) for year in levels]
    middle = [np.median(values) if values else "-" for values in (after, off)]
    return (
        f"{100 * np.mean(named):.0f} in 100 | {middle[0]} | {middle[1]} | "
        f"{100 * np.mean(direction) if direction else 0:.0f} in 100 | {100 * np.mean(others):.0f} in 100"
    )


def _week(day: datetime.date) -> int:
    return int((np.datetime64(day) - FIRST_MONDAY).astype(int)) // 7


if __name__ == "__main__":
    main()
