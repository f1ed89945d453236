"""A comparison of the alarms of `dnapredict monitor`, NannyML and Evidently on the same appointments.

Made-up trusts with a reference year and a watched one: a season of 2.5%, weeks that differ by 2%, weeks with bank
holidays, a fifth of the appointments followed by a second one of the patient in the week with the same outcome, five
inputs whose shares wander by 5% of themselves. From the middle of the watched weeks on, nothing changes, or 15% more
are missed in Core20 or by everyone, or a code is replaced by another, or a column is blank.

The packages run in a process of their own (`benchmarks/rival_packages.py`) by the interpreter at `--rivals-python`,
with their default thresholds; without it, the monitor runs alone. With `--scores`, a real stream is watched: a Parquet
file with `starts_at`, `probability` and `missed` of each appointment, of the weeks before `--watched-from` and after.
`python -m benchmarks.rival_monitors [--rivals-python PYTHON] [--years 4] [--appointments 200000] [--planted KIND]`.
"""

import argparse
import datetime
import json
import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.monitor_alarms import FIRST_MONDAY, HOLIDAY_LEVEL, HOLIDAYS, SEASON, WEEKLY_SHOCK
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.monitoring.monitor_result import MonitorContext, Watched, watch
from dnapredict.pipeline.routine.stored_outcomes import references_of

RIVALS = Path(__file__).with_name("rival_packages.py")
WEEKS_A_YEAR = 52
# Weeks that are watched where something is planted; it begins in the middle.
WEEKS_WITH_CHANGE = 26
SECOND_IN_A_WEEK = 0.2
INPUTS = tuple(f"input_{number}" for number in range(5))
# Shares of the values of an input, of which the last is a blank.
VALUES, SHARES = ("a", "b", "c", "d", None), np.array([0.25, 0.24, 0.24, 0.24, 0.03])
PLANTED = ("nothing", "15% more in Core20", "15% more in everyone", "a code changes", "a column goes missing")
OURS = "dnapredict monitor"

# Usage telemetry of the packages is disabled: nothing may leave this machine. One thread, since several threads slow
# each other down on a busy machine.
_NO_MESSAGES = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}

Alarm = tuple[str, str, int]
"""What raised it, what it names, and the week, counted from the first that is watched."""


@dataclass(frozen=True)
class Stream:
    """Appointments of a reference period and of watched weeks, with the week from which on something is planted."""

    name: str
    reference: pa.Table
    watched: pa.Table
    change: int | None

    @property
    def first_monday(self) -> datetime.date:
        """The Monday of the first watched week."""
        first = pc.min(self.watched["starts_at"]).as_py().date()
        return first - datetime.timedelta(days=first.weekday())

    @property
    def weeks(self) -> int:
        """Watched weeks."""
        return (pc.max(self.watched["starts_at"]).as_py().date() - self.first_monday).days // 7 + 1


def made_up_stream(planted: str, seed: int, *, appointments: int) -> Stream:
    """A stream of a trust with so many appointments a year."""
    rng = np.random.default_rng(seed)
    weeks = WEEKS_A_YEAR if planted == "nothing" else WEEKS_WITH_CHANGE
    change = None if planted == "nothing" else weeks // 2
    reference = _rows(rng, WEEKS_A_YEAR, appointments, first=0, planted="nothing", change=WEEKS_A_YEAR)
    watched = _rows(rng, weeks, appointments, first=WEEKS_A_YEAR, planted=planted, change=change or weeks)
    return Stream(planted, reference, watched, change)


def _rows(
    rng: np.random.Generator, weeks: int, appointments: int, *, first: int, planted: str, change: int
) -> pa.Table:
    of_year = np.arange(weeks) % WEEKS_A_YEAR
    holidays = np.array([HOLIDAYS.get(int(week), 1.0) for week in of_year])
    week = np.repeat(np.arange(weeks), rng.poisson(appointments / WEEKS_A_YEAR * holidays / (1 + SECOND_IN_A_WEEK)))
    again = rng.random(len(week)) < SECOND_IN_A_WEEK
    place = np.repeat(np.arange(len(week)), 1 + again)
    season = 1 + SEASON * np.sin(2 * np.pi * of_year / WEEKS_A_YEAR)
    level = season * np.exp(WEEKLY_SHOCK * rng.standard_normal(weeks)) * np.where(holidays < 1, HOLIDAY_LEVEL, 1.0)
    risk = rng.beta(1.2, 11, len(week))
    deprivation = rng.choice(np.arange(1, 11), len(week), p=[0.18, 0.18, *[0.08] * 8])
    shifted = {"15% more in Core20": deprivation <= 2, "15% more in everyone": deprivation > 0}
    factor = level[week] * np.where(shifted.get(planted, deprivation < 0) & (week >= change), 1.15, 1.0)
    days = rng.integers(0, 5 * 24 * 60, len(week)) * np.timedelta64(1, "m")
    monday = FIRST_MONDAY + 7 * (first + week)
    columns = {
        "starts_at": monday.astype("datetime64[us]") + days,
        "patient": np.arange(len(week)),
        "probability": risk,
        "missed": rng.random(len(week)) < risk * factor,
        "selected": risk > np.quantile(risk, 0.9),
        "imd_decile": deprivation,
        "age_years": rng.integers(0, 95, len(week)).astype(float),
        "ethnic_category_code": rng.choice(["A", "J", "N", "D", "R", "Z"], len(week)),
        "site_code": rng.choice(["S1", "S2", "S3", "S4"], len(week)),
    }
    inputs = {
        name: _input(rng, week, weeks, planted=planted if name == INPUTS[0] else "", change=change) for name in INPUTS
    }
    return pa.table({name: pa.array(values).take(pa.array(place)) for name, values in (columns | inputs).items()})


def _input(rng: np.random.Generator, week: NDArray[np.int64], weeks: int, *, planted: str, change: int) -> pa.Array:
    share = SHARES[:, None] * np.exp(0.05 * rng.standard_normal((len(SHARES), weeks)))
    upper = np.cumsum(share / share.sum(axis=0), axis=0)
    code = (rng.random(len(week)) > upper[:-1, week]).sum(axis=0)
    values = np.array(VALUES, dtype=object)[code]
    later = week >= change
    if planted == "a code changes":
        values[later & (values == "b")] = "new"
    if planted == "a column goes missing":
        values[later] = None
    return pa.array(values, pa.string())


def our_alarms(stream: Stream) -> Iterator[Alarm]:
    """The alarms of the monitor."""
    table = stream.watched
    outcomes = AuditData.of(table.rename_columns({"missed": "dna"}))
    inputs = table.select([name for name in _watched_columns(table) if name != "probability"])
    references = references_of(stream.reference.select(inputs.column_names))
    context = MonitorContext(
        "",
        "",
        "",
        datetime.datetime.now(datetime.UTC),
        synthetic=True,
        rule=load(shipped("fairness/policy.toml"), Policy).disclosure,
    )
    watched = Watched(outcomes, table.select(["starts_at", "probability"]), inputs, references)
    for alarm in watch(watched, context).alarms:
        yield (
            OURS,
            f"{alarm.what} {alarm.grouping} {alarm.group}".strip(),
            (alarm.raised - stream.first_monday).days // 7,
        )


def _watched_columns(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name not in ("starts_at", "patient", "missed", "selected")]


def rivals_alarms(stream: Stream, python: str) -> list[Alarm]:
    """The alarms of the packages, which an interpreter that has them finds."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("reference", "watched"):
            pq.write_table(getattr(stream, name), Path(place) / f"{name}.parquet")
        words = [python, "-W", "ignore", str(RIVALS), place, ",".join(_watched_columns(stream.watched))]
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ | _NO_MESSAGES)
    return [(tool, name, week) for tool, name, week in json.loads(done.stdout.splitlines()[-1])]


def vitoria_stream(scores: Path, watched_from: str) -> Stream:
    """The stream of a file of scores with outcomes; the reference is what lies before the day."""
    table = pq.read_table(scores)
    at = pa.scalar(datetime.datetime.fromisoformat(watched_from), pa.timestamp("us"))
    later = pc.greater_equal(table["starts_at"].cast(pa.timestamp("us")), at)
    return Stream("Vitória", table.filter(pc.invert(later)), table.filter(later), 0)


def report(stream: Stream, alarms: list[Alarm]) -> dict[str, tuple[list[int], list[int]]]:
    """Print the weeks with an alarm of each tool; return those before the change and from it on."""
    by_tool: dict[str, set[int]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    for tool, name, week in alarms:
        by_tool[tool].add(week)
        names[tool].add(name)
    change = stream.weeks if stream.change is None else stream.change
    found = {}
    for tool, weeks in sorted(by_tool.items()):
        before, after = ([week for week in sorted(weeks) if (week >= change) == late] for late in (False, True))
        found[tool] = (before, after)
        named = ", ".join(sorted(names[tool]))
        print(
            f"  {tool}: {len(before)} of {change} weeks before; since the change in weeks "
            f"{[week - change + 1 for week in after]} ({named})",
            flush=True,
        )
    return found


def main() -> None:
    """Print the alarms of each stream, and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rivals-python", default="")
    parser.add_argument("--years", type=int, default=4)
    parser.add_argument("--appointments", type=int, default=200_000)
    parser.add_argument("--planted", default="", help="one of: " + ", ".join(PLANTED))
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--watched-from", default="2016-05-16")
    asked = parser.parse_args()
    if asked.scores:
        streams = iter([vitoria_stream(asked.scores, asked.watched_from)])
    else:
        kinds = [asked.planted] if asked.planted else PLANTED
        streams = (
            made_up_stream(planted, 100 * PLANTED.index(planted) + year, appointments=asked.appointments)
            for year in range(asked.years)
            for planted in kinds
        )
    totals: dict[tuple[str, str], list[tuple[int, int, int | None]]] = defaultdict(list)
    for stream in streams:
        print(f"{stream.name}: {stream.reference.num_rows:,} and {stream.watched.num_rows:,} rows", flush=True)
        alarms = list(our_alarms(stream))
        if asked.rivals_python:
            alarms += rivals_alarms(stream, asked.rivals_python)
        tools = {OURS, *(tool for tool, _, _ in alarms)}
        found = report(stream, alarms)
        change = stream.weeks if stream.change is None else stream.change
        for tool in tools:
            before, after = found.get(tool, ([], []))
            first = after[0] - change + 1 if after else None
            totals[stream.name, tool].append((len(before), change, first))
    for (name, tool), rows in sorted(totals.items()):
        weeks = sum(row[1] for row in rows)
        false = sum(row[0] for row in rows)
        found_in = [row[2] for row in rows]
        print(
            f"| {name} | {tool} | {false} weeks of {weeks} with a false alarm | week of the first alarm: {found_in} |"
        )


if __name__ == "__main__":
    main()
