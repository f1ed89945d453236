"""Executors and drivers that are killed during `score --engine spark`: is the table that of a run without a kill?

On a cluster of a master and two workers, a list is scored again and again to the same folder. In turn an executor or
the driver (Python and Java) gets SIGKILL at a random time of the run. The claims: a run that lost an executor ends with
the same table; after a killed driver the folder is missing, or a complete table, and the command run again gives the
same table and leaves no draft. Tables are compared row by row, value by value.
`python -m benchmarks.spark_kills [--kills 20] [--minutes 14] [--seed 1]`, with Java 17.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.cycle_kills import made_home
from tests.end_to_end.spark_cluster import NEEDED, cluster, is_there
from tests.end_to_end.world import weekly_list

ROWS = 400
EXECUTOR = "CoarseGrainedExecutorBackend"
# The driver, in a session on the cluster: its arguments are the master, a folder and the words of the command.
DRIVER = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from tests.end_to_end.spark_cluster import session_on
address, folder, *words = sys.argv[1:]
session_on(address, Path(folder))
sys.argv = ["dnapredict", *words]
from dnapredict.cli import main
main()
"""


@dataclass(frozen=True)
class Scoring:
    """A list, and what scores it on a cluster."""

    place: Path
    address: str

    @property
    def out(self) -> Path:
        """The folder that is written."""
        return self.place / "scored"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command in a process group of its own."""
        words = ("score", "weekly.parquet", "--history", "extract.parquet", "--home", "home", "--out", "scored")
        program = [sys.executable, "-c", DRIVER, self.address, str(self.place / "driver"), *words, "--engine", "spark"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (self.place / "log").open("ab") as log:
            return subprocess.Popen(
                program, cwd=self.place, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def finish(self) -> float:
        """Run the command to its end; the seconds that it took."""
        began = time.monotonic()
        if self.start().wait() != 0:
            raise SystemExit((self.place / "log").read_text(errors="replace")[-3_000:])
        return time.monotonic() - began

    def table(self) -> pa.Table | None:
        """What was written, in the order of the list; None if there is nothing."""
        return pq.read_table(self.out).sort_by("row_number") if self.out.exists() else None

    def drafts(self) -> list[str]:
        """Names of unfinished folders."""
        return [path.name for path in self.place.iterdir() if "unfinished" in path.name]


def executors() -> list[psutil.Process]:
    """The executors of the workers that this process started."""
    found = []
    for each in psutil.Process().children(recursive=True):
        try:
            if EXECUTOR in " ".join(each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


def kill_executor(driver: subprocess.Popen[bytes], chance: random.Random) -> bool:
    """Kill one executor, once there is one; whether the command still ran."""
    while driver.poll() is None:
        if running := executors():
            chance.choice(running).kill()
            return True
        time.sleep(0.05)
    return False


def kill_driver(driver: subprocess.Popen[bytes], _chance: random.Random) -> bool:
    """Kill Python and Java of the driver; whether the command still ran."""
    ran = driver.poll() is None
    if ran:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    return ran


KILLS: dict[str, Callable[[subprocess.Popen[bytes], random.Random], bool]] = {
    "an executor": kill_executor,
    "the driver": kill_driver,
}


def tried(scoring: Scoring, kind: str, *, expected: pa.Table, seconds: float, chance: random.Random) -> str:
    """Kill once after so many seconds, and say what became of the table."""
    driver = scoring.start()
    time.sleep(seconds)
    if not KILLS[kind](driver, chance):
        return "ended before"
    if kind == "the driver":
        left = scoring.table()
        if left is not None and not left.equals(expected):
            return "HALF WRITTEN"
        scoring.finish()
    elif driver.wait() != 0:
        return "FAILED"
    made = scoring.table()
    return ("same table" if made is not None and made.equals(expected) else "OTHER TABLE") + (
        ", DRAFT LEFT" if scoring.drafts() else ""
    )


def made_scoring(place: Path, address: str) -> Scoring:
    """A home with a champion, its extract and a list of `ROWS` appointments in `place`."""
    made_home(place)
    weekly_list(place / "extract.parquet", place / "weekly.parquet", rows=ROWS)
    return Scoring(place, address)


def main() -> None:
    """Kill, compare, and print a line for each kind of kill."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--minutes", type=float, default=14.0)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    if not is_there():
        raise SystemExit(NEEDED)
    chance, until = random.Random(asked.seed), time.monotonic() + 60 * asked.minutes  # noqa: S311 - times of kills
    place, results = Path(tempfile.mkdtemp(prefix="spark-kills-")), Counter[tuple[str, str]]()
    try:
        with cluster(place / "cluster") as address:
            scoring = made_scoring(place, address)
            seconds = scoring.finish()
            expected = scoring.table()
            assert expected is not None
            print(f"{expected.num_rows:,} rows; a run without a kill took {seconds:.0f} s", flush=True)
            for number in range(asked.kills):
                if time.monotonic() > until - 2 * seconds:
                    break
                kind = list(KILLS)[number % 2]
                after = chance.uniform(0.2, 0.95) * seconds
                result = tried(scoring, kind, expected=expected, seconds=after, chance=chance)
                results[kind, result] += 1
                print(f"{kind} killed after {after:.1f} s: {result}", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    for (kind, result), count in sorted(results.items()):
        print(f"| {kind} | {result} | {count} |")
    if any(result not in {"same table", "ended before"} for _, result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
