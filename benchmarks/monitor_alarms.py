"""How often the alarms of `dnapredict monitor` are false, and how soon they find what is planted.

Simulates the weekly counts of made-up trusts: a season, weeks that differ for everyone, bank-holiday weeks with fewer
appointments, several missed appointments of one patient in a week, and inputs whose mix wanders. The same streams are
judged by three common rules: PSI above 0.2, counts outside three standard errors, and outside three standard
deviations of a reference year. `python -m benchmarks.monitor_alarms [--years 200] [--rows 10000000]`.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.fairness import AuditData
from dnapredict.fairness.measure.groupings import EVERYONE, grouping_named
from dnapredict.monitoring.alarms import outcome_alarms
from dnapredict.monitoring.input_drift import BLANK, OTHER, InputReference, InputWeeks, input_alarms
from dnapredict.monitoring.weekly_counts import GroupWeeks, WeeklyCounts, weekly_counts

WEEKS = 52
CHANGE = 26
FIRST_MONDAY = np.datetime64("2025-01-06")
# The shares of the groups that are watched.
GROUPS = {
    "core20": {"core20": 0.36, "rest": 0.64},
    "ethnicity_5": {"white": 0.76, "mixed": 0.03, "asian": 0.06, "black": 0.05, "other": 0.02, "Z": 0.08},
    "age": {
        "0-15": 0.12,
        "16-24": 0.09,
        "25-34": 0.13,
        "35-49": 0.18,
        "50-64": 0.19,
        "65-79": 0.19,
        "80 and over": 0.1,
    },
    "site": {"S1": 0.5, "S2": 0.25, "S3": 0.15, "S4": 0.1},
}
# Risks from the lowest up, the share of the expected missed appointments that have each, and who is on the list.
RISKS = np.array([0.03, 0.07, 0.14, 0.25])
MISSED_BY_RISK = np.array([1 / 3, 1 / 3, 1 / 12, 1 / 4])
LISTED = np.array([False, False, False, True])
# Weeks with bank holidays: a share of the usual appointments, and what happens to the level.
HOLIDAYS = {0: 0.4, 15: 0.8, 16: 0.8, 18: 0.8, 21: 0.8, 34: 0.8, 51: 0.4}
HOLIDAY_LEVEL = 1.04
SEASON = 0.025
WEEKLY_SHOCK = 0.02
# Further missed appointments of the same patient in the same week: a variance 1.37 times that of a Poisson count.
FURTHER_MISSED = 0.2
INPUTS = 20
_REFERENCE = {"25 in 100": 0.25, "next": 0.24, "third": 0.24, "last": 0.24, BLANK: 0.03}


@dataclass(frozen=True)
class MadeUpTrust:
    """A trust with so many appointments a year, and what is planted in it from week `CHANGE` on.

    `shift` is the factor on the missed appointments of the group `shifted`; `fault` is "", "code" or "column".
    """

    appointments: int = 1_000_000
    shift: float = 1.0
    shifted: tuple[str, str] = ("core20", "core20")
    fault: str = ""

    def year(self, seed: int) -> tuple[WeeklyCounts, tuple[InputWeeks, ...]]:
        """The weekly counts of outcomes and of inputs of one year."""
        rng = np.random.default_rng(seed)
        return self._outcomes(rng), self._inputs(rng)

    def _volume(self) -> NDArray[np.float64]:
        volume = np.full(WEEKS, self.appointments / WEEKS)
        volume[list(HOLIDAYS)] *= list(HOLIDAYS.values())
        return volume

    def _outcomes(self, rng: np.random.Generator) -> WeeklyCounts:
        names = [(grouping, code) for grouping, codes in GROUPS.items() for code in codes]
        shares = [np.array(list(codes.values())) for codes in GROUPS.values()]
        share = np.einsum("a,b,c,d->abcd", *shares)[..., None, None] * self._by_risk()[:, None]
        expected = self._volume() * share * RISKS[:, None]
        axis, at = self._axis_of(self.shifted)
        factor = np.ones_like(expected)
        np.moveaxis(factor, axis, 0)[at, ..., CHANGE:] = self.shift
        missed = _clustered(rng, expected * factor * _common(rng))
        groups = [_group("all", "all", expected, missed)]
        for grouping, code in names:
            axis, at = self._axis_of((grouping, code))
            groups.append(_group(grouping, code, *(np.take(each, [at], axis) for each in (expected, missed))))
        bands = [each.sum(axis=(0, 1, 2, 3)) for each in (missed, expected)]
        low, high = ([band[0], band[1], band[2] + band[3]] for band in bands)
        return WeeklyCounts(FIRST_MONDAY + 7 * np.arange(WEEKS), tuple(groups), np.array(low), np.array(high))

    @staticmethod
    def _by_risk() -> NDArray[np.float64]:
        rows = MISSED_BY_RISK / RISKS
        return np.asarray(rows / rows.sum())

    @staticmethod
    def _axis_of(group: tuple[str, str]) -> tuple[int, int]:
        grouping, code = group
        return list(GROUPS).index(grouping), list(GROUPS[grouping]).index(code)

    def _inputs(self, rng: np.random.Generator) -> tuple[InputWeeks, ...]:
        return tuple(self._input(rng, f"input {number}", first=number == 0) for number in range(INPUTS))

    def _input(self, rng: np.random.Generator, name: str, *, first: bool) -> InputWeeks:
        """Weekly counts of one input, whose shares wander by a few in 100 of themselves."""
        share = np.array(list(_REFERENCE.values()))[:, None] * np.exp(
            0.05 * rng.standard_normal((len(_REFERENCE), WEEKS))
        )
        rows = rng.poisson(self._volume() * share / share.sum(axis=0)).astype(float)
        rows = np.vstack([rows, np.zeros(WEEKS)])
        if first and self.fault == "code":
            rows[-1, CHANGE:], rows[1, CHANGE:] = rows[1, CHANGE:], 0.0
        if first and self.fault == "column":
            total = rows[:, CHANGE:].sum(axis=0)
            rows[:, CHANGE:] = 0.0
            rows[4, CHANGE:] = total
        return InputWeeks(name, InputReference((), _REFERENCE), (*_REFERENCE, OTHER), rows)


def _common(rng: np.random.Generator) -> NDArray[np.float64]:
    """The factor on every level by week: season, weeks that differ, bank holidays."""
    week = np.arange(WEEKS)
    season = 1 + SEASON * np.sin(2 * np.pi * (week / WEEKS + rng.random()))
    factor = season * np.exp(WEEKLY_SHOCK * rng.standard_normal(WEEKS))
    factor[list(HOLIDAYS)] *= HOLIDAY_LEVEL
    return np.asarray(factor)


def _clustered(rng: np.random.Generator, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    patients = rng.poisson(mean / (1 + FURTHER_MISSED))
    return np.asarray(patients + rng.poisson(FURTHER_MISSED * patients), dtype=float)


def _group(grouping: str, code: str, expected: NDArray[np.float64], missed: NDArray[np.float64]) -> GroupWeeks:
    by_risk_expected, by_risk_missed = (each.sum(axis=(0, 1, 2, 3)) for each in (expected, missed))
    rows = (by_risk_expected / RISKS[:, None]).sum(axis=0)
    expected_all = by_risk_expected.sum(axis=0)
    found = EVERYONE if grouping == "all" else grouping_named(grouping)
    known = {group.code: group for group in found.groups}
    return GroupWeeks(
        grouping=found,
        group=known.get(code) or replace(EVERYONE.groups[0], code=code, name=code),
        appointments=rows,
        rows=rows,
        missed=by_risk_missed.sum(axis=0),
        expected=expected_all,
        squared=expected_all,
        missed_on_list=by_risk_missed[LISTED].sum(axis=0),
        expected_on_list=by_risk_expected[LISTED].sum(axis=0),
        log_loss=np.zeros(WEEKS),
    )


Streams = tuple[WeeklyCounts, tuple[InputWeeks, ...]]


def by_monitor(streams: Streams, _: Streams) -> Iterator[tuple[str, str, int]]:
    """Grouping, group and week of each alarm of `dnapredict monitor`."""
    counts, inputs = streams
    for alarm in (*outcome_alarms(counts), *input_alarms(inputs, counts.weeks)):
        week = int((np.datetime64(alarm.raised) - FIRST_MONDAY).astype(int)) // 7
        yield alarm.grouping, alarm.group, week


def by_psi(streams: Streams, _: Streams) -> Iterator[tuple[str, str, int]]:
    """Inputs whose population stability index is above 0.2. Outcomes are not watched."""
    for each in streams[1]:
        yield from ((each.column, "", int(week)) for week in np.flatnonzero(each.psi > 0.2))


def by_three_errors(streams: Streams, _: Streams) -> Iterator[tuple[str, str, int]]:
    """Levels more than three standard errors of a Poisson count from 1."""
    for group in streams[0].groups:
        far = np.abs(group.missed - group.expected) > 3 * np.sqrt(group.expected)
        yield from ((group.grouping.name, group.group.code, int(week)) for week in np.flatnonzero(far))


def by_three_deviations(streams: Streams, before: Streams) -> Iterator[tuple[str, str, int]]:
    """Levels more than three standard deviations from the mean of the weeks of a reference year."""
    for group, reference in zip(streams[0].groups, before[0].groups, strict=True):
        usual, level = reference.missed / reference.expected, group.missed / group.expected
        far = np.abs(level - usual.mean()) > 3 * usual.std(ddof=1)
        yield from ((group.grouping.name, group.group.code, int(week)) for week in np.flatnonzero(far))


Rule = Callable[[Streams, Streams], Iterator[tuple[str, str, int]]]
RULES: dict[str, Rule] = {
    "monitor": by_monitor,
    "PSI > 0.2": by_psi,
    "three standard errors": by_three_errors,
    "three deviations of a year": by_three_deviations,
}


def false_alarms(years: int, trust: MadeUpTrust) -> dict[str, int]:
    """Stable years with an alarm, by rule."""
    found = dict.fromkeys(RULES, 0)
    for seed in range(years):
        streams, before = trust.year(seed), trust.year(10_000 + seed)
        for name, rule in RULES.items():
            found[name] += any(True for _ in rule(streams, before))
    return found


def found_in_time(years: int, trust: MadeUpTrust, wanted: tuple[str, str], *, weeks: int) -> dict[str, int]:
    """Years in which a rule names the group or input, or everyone, in so many weeks from the change on."""
    found = dict.fromkeys(RULES, 0)
    in_time = range(CHANGE, CHANGE + weeks)
    for seed in range(years):
        streams, before = trust.year(20_000 + seed), replace(trust, shift=1.0, fault="").year(10_000 + seed)
        for name, rule in RULES.items():
            found[name] += any(
                week in in_time and ((grouping, group)[: len(wanted)] == wanted or grouping == "all")
                for grouping, group, week in rule(streams, before)
            )
    return found


def print_table(title: str, found: dict[str, int], years: int) -> None:
    """Print the years counted by each rule."""
    print(f"{title}, of {years}: " + "; ".join(f"{name} {number}" for name, number in found.items()), flush=True)


def whole_year(rows: int) -> None:
    """Time and memory of the counts and the alarms of so many scored appointments."""
    rng = np.random.default_rng(1)
    risk = rng.beta(1.2, 14, rows).astype(np.float64)
    table = pa.table(
        {
            "patient": rng.integers(0, rows // 3, rows),
            "dna": rng.random(rows) < risk,
            "probability": risk,
            "selected": risk > 0.2,
            "starts_at": FIRST_MONDAY.astype("datetime64[us]")
            + rng.integers(0, 364 * 24, rows) * np.timedelta64(1, "h"),
            "imd_decile": rng.integers(1, 11, rows),
            "ethnic_category_code": pa.DictionaryArray.from_arrays(
                rng.integers(0, 6, rows).astype(np.int8), ["A", "J", "N", "D", "R", "Z"]
            ).cast(pa.string()),
            "age_years": rng.integers(0, 95, rows).astype(np.float64),
            "site_code": pa.DictionaryArray.from_arrays(
                rng.integers(0, 4, rows).astype(np.int8), ["1", "2", "3", "4"]
            ).cast(pa.string()),
        }
    )
    appointments = AuditData.of(table)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    began, worked = time.perf_counter(), time.process_time()
    outcome_alarms(weekly_counts(appointments))
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{rows:,} rows: {seconds:.0f} s ({processor:.0f} s of processor), {most:.1f} GB, "
        f"of which the table {made:.1f} GB"
    )


def main() -> None:
    """Print every figure of docs/results.md on the alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--rows", type=int, default=0)
    asked = parser.parse_args()
    if asked.rows:
        whole_year(asked.rows)
        return
    print_table("Stable years with an alarm", false_alarms(asked.years, MadeUpTrust()), asked.years)
    years = asked.years // 2
    for appointments in (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000):
        for code in ("core20", "asian"):
            group = ("core20" if code == "core20" else "ethnicity_5", code)
            trust = MadeUpTrust(appointments, shift=1.15, shifted=group)
            missed = GROUPS[group[0]][code] * appointments / WEEKS / (MISSED_BY_RISK / RISKS).sum()
            found = found_in_time(years, trust, group, weeks=4)
            print_table(f"{code} shifted by 15%, {missed:.0f} missed a week, found in 4 weeks", found, years)
    for fault, weeks in (("code", 4), ("column", 1)):
        found = found_in_time(years, MadeUpTrust(fault=fault), ("input 0",), weeks=weeks)
        print_table(f"{fault} that changes, found in {weeks} weeks", found, years)


if __name__ == "__main__":
    main()
