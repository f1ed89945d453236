"""Executors and drivers that are killed during `score --engine spark`: is the table that of a run without a kill?

On a cluster of a master and two workers, a list is scored again and again to the same folder. In a first run an
executor gets SIGKILL at a random time, and later the driver (Python and Java); in the next run, of the same command, an
executor. The claims: after a killed driver the folder is missing, or a complete table; a run that lost an executor ends
with the same table, and leaves no draft. Tables are compared row by row, value by value.
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
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
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
        # Whole paths, since the driver's Java works in another folder than its Python.
        weekly, past, home = (str(self.place / name) for name in ("weekly.parquet", "past.parquet", "home"))
        words = ("score", weekly, "--history", past, "--home", home, "--out", str(self.out))
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


def killed_executor(driver: subprocess.Popen[bytes], chance: random.Random) -> bool:
    """Kill one executor, once there is one; whether the command still ran."""
    while driver.poll() is None:
        if running := executors():
            chance.choice(running).kill()
            return True
        time.sleep(0.05)
    return False


def killed_driver(driver: subprocess.Popen[bytes]) -> bool:
    """Kill Python and Java of the driver; whether the command still ran."""
    if driver.poll() is not None:
        return False
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    return True


@dataclass
class Kills:
    """Kill in pairs of runs, and compare."""

    scoring: Scoring
    expected: pa.Table
    seconds: float
    chance: random.Random
    results: Counter[tuple[str, str]] = field(default_factory=Counter)

    def interrupted_run(self) -> None:
        """A run that loses an executor, and then its driver."""
        driver = self.scoring.start()
        self._wait(0.1, 0.6)
        lost = killed_executor(driver, self.chance)
        self._wait(0.0, 0.4)
        ended = not killed_driver(driver)
        left = self.scoring.table()
        sound = left is None or left.equals(self.expected)
        if lost:
            self._record("an executor, then the driver", "sound" if sound else "HALF WRITTEN")
        if not ended:
            self._record("the driver", ("no table yet" if left is None else "whole table") if sound else "HALF WRITTEN")

    def finished_run(self) -> None:
        """A run that loses an executor, and ends."""
        driver = self.scoring.start()
        self._wait(0.1, 0.8)
        lost, code, left = killed_executor(driver, self.chance), driver.wait(), self.scoring.table()
        same = code == 0 and left is not None and left.equals(self.expected) and not self.scoring.drafts()
        self._record("an executor" if lost else "nothing", "same table" if same else "OTHER TABLE")

    @property
    def count(self) -> int:
        """Kills so far."""
        return sum(count for (kind, _), count in self.results.items() if kind != "nothing")

    @property
    def failed(self) -> bool:
        """Whether a table was half written or another one."""
        return any(result.isupper() for _, result in self.results)

    def _wait(self, least: float, most: float) -> None:
        time.sleep(self.chance.uniform(least, most) * self.seconds)

    def _record(self, kind: str, result: str) -> None:
        self.results[kind, result] += 1
        print(f"killed: {kind}: {result}", flush=True)


def made_scoring(place: Path, address: str) -> Scoring:
    """A home with a champion, a list of `ROWS` appointments and the past of its patients in `place`."""
    made_home(place)
    weekly_list(place / "extract.parquet", place / "weekly.parquet", rows=ROWS)
    table, listed = (pq.read_table(place / f"{name}.parquet") for name in ("extract", "weekly"))
    theirs = pc.is_in(table["patient_id"], pc.unique(listed["patient_id"].drop_null()))
    pq.write_table(table.filter(theirs), place / "past.parquet")
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
    until, place = time.monotonic() + 60 * asked.minutes, Path(tempfile.mkdtemp(prefix="spark-kills-"))
    try:
        with cluster(place / "cluster") as address:
            scoring = made_scoring(place, address)
            seconds = scoring.finish()
            expected = scoring.table()
            assert expected is not None
            print(f"{expected.num_rows:,} rows; a run without a kill took {seconds:.0f} s", flush=True)
            kills = Kills(scoring, expected, seconds, random.Random(asked.seed))  # noqa: S311 - times are no secret
            while kills.count < asked.kills and time.monotonic() < until - 3 * seconds:
                kills.interrupted_run()
                kills.finished_run()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    for (kind, result), count in sorted(kills.results.items()):
        print(f"| {kind} | {result} | {count} |")
    print(f"{kills.count} of {asked.kills} kills in the time allowed")
    if kills.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
