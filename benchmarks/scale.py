"""Time and memory of each step from an extract to a scored week, for extracts of growing size on one machine.

The claims: an integrated care board's year, 10,000,000 appointments, passes through every step in under 20 minutes on
two cores and no step holds more than 8 GB; each step takes time in proportion to its rows, to 15 in 100. Each step is a
command of `dnapredict` in a process of its own, in a copy of the home of `dnapredict demo` (or of `--home`), whose
model scores the week. Time is processor time, which other work on the machine changes less than wall time. Memory is
the most that the process held of its own, looked up every 20 ms, and in brackets with the pages of files that are
mapped, which the system takes back where it needs them (Linux only). A step's slope is the power of the number of rows
that its time grows with, from the two largest sizes: 1 is in proportion.

`python -m benchmarks.scale [ROWS ...] [--home HOME] [--memory SIZE] [--only STEP ...]`
"""

import argparse
import contextlib
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.under_load.home import made_home, say
from benchmarks.under_load.served import OURS

SIZES = (500_000, 1_000_000, 2_000_000)
ENGLAND = 125_000_000
GOAL_GB, GOAL_MINUTES, GOAL_SLOPE = 8.0, 20.0, 1.15
# A verdict, an alarm and a refused release are results as well.
FINE = (0, 13)


@dataclass(frozen=True)
class Step:
    """What a step took: seconds on the clock and of the processor; gigabytes of its own and with mapped files."""

    wall: float
    processor: float
    memory: float
    with_files: float


def steps(folder: Path, home: Path, rows: int) -> dict[str, list[str]]:
    """The command of each step, by name, in the order in which they are run."""
    extract, week = str(folder / "extract.parquet"), str(folder / "week.parquet")
    at = ["--home", str(home)]
    return {
        "simulate": ["simulate", extract, "--appointments", str(rows)],
        "check": ["check", extract, "--report", str(folder / "check.html")],
        "refresh": ["refresh", extract, *at],
        "train": ["train", extract, *at],
        "audit": ["audit", extract, "--model", "challenger", "--out", str(folder / "audit"), *at],
        "score": ["score", week, "--out", str(folder / "worklist.parquet"), *at],
        "monitor": ["monitor", extract, "--out", str(folder / "monitor"), *at],
    }


def run(words: Sequence[str], log: Path) -> Step:
    """Run a command and return what it took; its output goes to `log`, which is shown if it fails."""
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", OURS, *words], stdout=out, stderr=subprocess.STDOUT)
        most, ended = 0.0, 0
        while not ended:
            most = max(most, held(process.pid))
            time.sleep(0.02)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in FINE:
        sys.exit(f"{words[0]} ended with {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    return Step(time.perf_counter() - began, used.ru_utime + used.ru_stime, most, used.ru_maxrss * 1024 / 1e9)


def held(pid: int) -> float:
    """Gigabytes that a process holds of its own now, without mapped files."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) * 1024 / 1e9 if found else 0.0
    return 0.0


def take_week(folder: Path) -> int:
    """Write the appointments of the extract that have no outcome yet as the list to score; return how many."""
    extract = pq.ParquetFile(folder / "extract.parquet")
    with pq.ParquetWriter(folder / "week.parquet", extract.schema_arrow) as out:
        rows = 0
        for batch in extract.iter_batches():
            upcoming = batch.filter(pc.is_null(batch["outcome_code"]))
            out.write_batch(upcoming)
            rows += upcoming.num_rows
    return rows


def measured(place: Path, made: Path, rows: int, only: Sequence[str]) -> dict[str, Step]:
    """What each step takes with an extract of so many rows."""
    folder = place / str(rows)
    folder.mkdir()
    home = made_home(folder, made)
    found = {}
    for name, words in steps(folder, home, rows).items():
        if only and name not in only and name not in {"simulate", "refresh"}:
            continue
        if name == "score":
            say(f"{take_week(folder):,} appointments of {rows:,} have no outcome yet")
        found[name] = step = run(words, folder / f"{name}.log")
        say(f"{rows:,} {name}: {step.wall:.0f} s, {step.processor:.0f} s of processor time, {memory(step)}")
    return found


def slope(results: dict[int, dict[str, Step]], name: str) -> float:
    """The power of the number of rows with which a step's processor time grows, from the two largest sizes."""
    (few, many) = sorted(results)[-2:]
    return math.log(results[many][name].processor / results[few][name].processor) / math.log(many / few)


def memory(step: Step) -> str:
    """The memory of a step in words."""
    return f"{step.memory:.2f} GB ({step.with_files:.2f})"


def show(results: dict[int, dict[str, Step]]) -> None:
    """Print the table, and what England's year would take if each step goes on as between the two largest sizes."""
    sizes = sorted(results)
    print("| step | " + " | ".join(f"{size:,}" for size in sizes) + " | slope |")
    print("|---|" + "---|" * (len(sizes) + 1))
    for name in results[sizes[0]]:
        cells = [f"{(step := results[size][name]).processor:.0f} s, {memory(step)}" for size in sizes]
        power = f"{slope(results, name):.2f}" if len(sizes) > 1 else "-"
        print(f"| {name} | " + " | ".join(cells) + f" | {power} |")
    for size in sizes:
        minutes = sum(step.processor for step in results[size].values()) / 60
        clock = sum(step.wall for step in results[size].values()) / 60
        most = max(step.memory for step in results[size].values())
        print(f"{size:,} rows: {clock:.1f} minutes, {minutes:.1f} of processor time together, {most:.2f} GB at most")
    if len(sizes) > 1:
        print(england(results))


def england(results: dict[int, dict[str, Step]]) -> str:
    """What England's year would take on this machine: in proportion to the rows, and with the slopes found."""
    largest = max(results)
    linear = sum(step.processor for step in results[largest].values()) * ENGLAND / largest
    grown = sum(
        step.processor * (ENGLAND / largest) ** max(slope(results, name), 1.0)
        for name, step in results[largest].items()
    )
    return (
        f"England ({ENGLAND:,} rows), a guess from {largest:,} rows: {linear / 3600:.1f} hours of processor time if "
        f"each step goes on in proportion, {grown / 3600:.1f} with the slopes found; the memory of a step that holds "
        "its rows grows with them."
    )


def main() -> None:
    """Measure each size in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=SIZES)
    parser.add_argument("--home", type=Path, help="a home of 'dnapredict demo', which stays as it is")
    parser.add_argument("--memory", help="DNAPREDICT_MEMORY of each step, such as 4GB")
    parser.add_argument("--only", nargs="*", default=(), help="steps to measure beside 'simulate' and 'refresh'")
    given = parser.parse_args()
    if given.memory:
        os.environ["DNAPREDICT_MEMORY"] = given.memory
    results: dict[int, dict[str, Step]] = {}
    with tempfile.TemporaryDirectory(prefix="dnapredict-scale-") as temporary:
        place = Path(temporary)
        made = given.home or made_home(place)
        for rows in sorted(given.rows):
            results[rows] = measured(place, made, rows, given.only)
    show(results)


if __name__ == "__main__":
    main()
