"""How often the alarms of `dnapredict monitor` are false, and how soon they find what is planted.

Simulates the weekly counts of made-up trusts: a season, weeks that differ for everyone, bank-holiday weeks with fewer
appointments, several missed appointments of one patient in a week, and inputs whose mix wanders. The same streams are
judged by three common rules: PSI above 0.2, counts outside three standard errors, and outside three standard
deviations of a reference year. `python -m benchmarks.monitor_alarms [--years 200] [--rules monitor]
[--part core20] [--rows 10000000]`.
"""

import argparse
import datetime
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness.measure.groupings import EVERYONE, grouping_named
from dnapredict.monitoring.alarms import LEVEL_OF_GROUPS, AuditedLevels, outcome_alarms
from dnapredict.monitoring.e_detector import WEEKS_TO_FALSE_ALARM
from dnapredict.monitoring.input_drift import BLANK, OTHER, InputReference, InputWeeks, input_alarms
from dnapredict.monitoring.monitor_result import MonitorContext, watch
from dnapredict.monitoring.weekly_counts import GroupWeeks, WeeklyCounts
from dnapredict.pipeline.routine.stored_outcomes import stored_outcomes
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

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
ROWS_AT_ONCE = 100_000
MISSED_A_WEEK = (200, 400, 800, 1_500)
_REFERENCE = {"25 in 100": 0.25, "next": 0.24, "third": 0.24, "last": 0.24, BLANK: 0.03}


@dataclass(frozen=True)
class MadeUpTrust:
    """A trust with so many appointments a year and inputs, and what is planted in it from week `CHANGE` on.

    `shift` is the factor on the missed appointments of the group `shifted`; `fault` is "", "code" or "column".
    """

    appointments: int = 1_000_000
    shift: float = 1.0
    shifted: tuple[str, str] = ("core20", "core20")
    fault: str = ""
    inputs: int = 0

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
        return tuple(self._input(rng, f"input {number}", first=number == 0) for number in range(self.inputs))

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


def false_alarms(years: int, trust: MadeUpTrust, rules: dict[str, Rule]) -> dict[str, int]:
    """Stable years with an alarm, by rule."""
    found = dict.fromkeys(rules, 0)
    for seed in range(years):
        streams, before = trust.year(seed), trust.year(10_000 + seed)
        for name, rule in rules.items():
            found[name] += any(True for _ in rule(streams, before))
    return found


def found_in_time(
    years: int, trust: MadeUpTrust, wanted: tuple[str, str], *, weeks: int, rules: dict[str, Rule]
) -> dict[str, int]:
    """Years in which a rule names the group or input, or everyone, in so many weeks from the change on."""
    found = dict.fromkeys(rules, 0)
    in_time = range(CHANGE, CHANGE + weeks)
    for seed in range(years):
        streams, before = trust.year(20_000 + seed), replace(trust, shift=1.0, fault="").year(10_000 + seed)
        for name, rule in rules.items():
            found[name] += any(
                week in in_time and ((grouping, group)[: len(wanted)] == wanted or grouping == "all")
                for grouping, group, week in rule(streams, before)
            )
    return found


def most_that_can_be_found(missed: float, *, share_of_budget: float) -> float:
    """The largest probability of any rule to find a shift of 15% in one group within four weeks.

    The rule may raise as many false alarms as its share of the budget allows. By Neyman and Pearson nothing finds more
    than the likelihood ratio of the four weeks, here with the clustering and the moment of the change known, no season
    and no weekly shocks. A level of 2% above the predicted is in control.
    """
    dispersion = 1 + FURTHER_MISSED + FURTHER_MISSED / (1 + FURTHER_MISSED)
    in_control = 4 * missed * 1.02 / dispersion
    limit = stats.poisson.isf(4 * share_of_budget / WEEKS_TO_FALSE_ALARM, in_control)
    return float(stats.poisson.sf(limit - 1, 4 * missed * 1.15 / dispersion))


def print_table(title: str, found: dict[str, int], years: int) -> None:
    """Print the years counted by each rule."""
    print(f"{title}, of {years}: " + "; ".join(f"{name} {number}" for name, number in found.items()), flush=True)


def made_up_store(home: Path, rows: int) -> None:
    """Write an outcome store of one year with so many scored appointments, all with an outcome."""
    rng = np.random.default_rng(1)
    parts = [min(ROWS_AT_ONCE, rows - first) for first in range(0, rows, ROWS_AT_ONCE)]
    store = OutcomeStore(home)
    store.write_in_order(_stored_rows(rng, n, first=at * ROWS_AT_ONCE, of=rows) for at, n in enumerate(parts))


def _stored_rows(rng: np.random.Generator, n: int, *, first: int, of: int) -> pa.Table:
    risk = rng.beta(1.2, 14, n)
    starts = FIRST_MONDAY.astype("datetime64[us]") + rng.integers(0, 364 * 24, n) * np.timedelta64(1, "h")
    known = {
        "appointment": [f"{number:016x}{rng.bytes(24).hex()}" for number in range(first, first + n)],
        "patient": [sha256(number.tobytes()).hexdigest() for number in rng.integers(0, of // 3, n)],
        "model_version": ["1"] * n,
        "probability": risk,
        "selected": risk > 0.2,
        "missed": rng.random(n) < risk,
        "starts_at": starts,
        "imd_decile": rng.integers(1, 11, n),
        "age_years": rng.integers(0, 95, n).astype(np.float64),
        "ethnic_category_code": rng.choice(["A", "J", "N", "D", "R", "Z"], n),
        "site_code": rng.choice(["S1", "S2", "S3", "S4"], n),
        "treatment_function_code": rng.choice(["110", "130", "300", "320", "502"], n),
        "gender_code": rng.choice(["1", "2"], n),
        "has_mobile": rng.random(n) < 0.9,
    }
    columns = [pa.array(known[f.name]) if f.name in known else pa.nulls(n, f.type) for f in OUTCOME_SCHEMA]
    return pa.table([column.cast(f.type) for column, f in zip(columns, OUTCOME_SCHEMA, strict=True)], OUTCOME_SCHEMA)


def whole_year(home: Path) -> None:
    """Time and memory of reading the outcome store of a home and watching it, as `dnapredict monitor` does."""
    began, worked = time.perf_counter(), time.process_time()
    watched = stored_outcomes(home, "1", timezone="Europe/London", audited=AuditedLevels())
    read = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    now = datetime.datetime.now(datetime.UTC)
    result = watch(watched, MonitorContext("version 1", "the store", "", now, synthetic=True, rule=rule))
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{watched.scored.num_rows:,} rows: {seconds:.0f} s ({processor:.0f} s of processor), {most:.1f} GB "
        f"({read:.1f} GB after reading); {len(result.alarms)} alarms"
    )


def main() -> None:
    """Print every figure of docs/results.md on the alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--rules", default="", help="names of rules, with commas; by default all")
    parser.add_argument("--part", default="", help="stable, core20, asian or inputs; by default all")
    asked = parser.parse_args()
    if asked.rows:
        with tempfile.TemporaryDirectory() as home:
            made_up_store(Path(home), asked.rows)
            # In a process of its own, since memory is that of the process at most.
            program = "import sys; from pathlib import Path; from benchmarks.monitor_alarms import whole_year; "
            subprocess.run([sys.executable, "-c", f"{program}whole_year(Path(sys.argv[1]))", home], check=True)
        return
    rules = {name: RULES[name] for name in asked.rules.split(",")} if asked.rules else RULES
    years = asked.years // 2
    if asked.part in ("", "stable"):
        found = false_alarms(asked.years, MadeUpTrust(inputs=INPUTS), rules)
        print_table("Stable years with an alarm", found, asked.years)
    for code in ("core20", "asian"):
        if asked.part in ("", code):
            shifted(code, years, rules)
    for fault, weeks in (("code", 4), ("column", 1)):
        if asked.part in ("", "inputs"):
            trust = MadeUpTrust(fault=fault, inputs=INPUTS)
            found = found_in_time(years, trust, ("input 0",), weeks=weeks, rules=rules)
            print_table(f"{fault} that changes, found in {weeks} weeks", found, years)


def shifted(code: str, years: int, rules: dict[str, Rule]) -> None:
    """Print how often a shift of 15% in a group is found, by its missed appointments a week, and the most possible."""
    group = ("core20" if code == "core20" else "ethnicity_5", code)
    for missed in MISSED_A_WEEK:
        appointments = missed * WEEKS * (MISSED_BY_RISK / RISKS).sum() / GROUPS[group[0]][code]
        trust = MadeUpTrust(round(appointments), shift=1.15, shifted=group)
        found = found_in_time(years, trust, group, weeks=4, rules=rules)
        print_table(f"{code} shifted by 15%, {missed} missed a week, found in 4 weeks", found, years)
        own, whole = (most_that_can_be_found(missed, share_of_budget=share) for share in (LEVEL_OF_GROUPS / 19, 1.0))
        print(f"the most possible: {own:.0%} with the group's share of the budget, {whole:.0%} with all of it")


if __name__ == "__main__":
    main()
