"""What each verb costs on Spark: jobs and processor time, on the cluster of two workers that the tests start.

Each verb runs on made-up appointments on one machine, then twice on Spark: with cold processes, then with warm ones.
Processor time is of this process and all that it started: the cluster, its executors and their Python workers.
`python -m benchmarks.spark_cost [APPOINTMENTS] [--adaptive] [--only VERB ...]`; with `--adaptive` Spark plans again
after each stage, as it does unless a session says otherwise.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from tests.end_to_end.conftest import command
from tests.end_to_end.spark_cluster import cluster, end, session_on

APPOINTMENTS = 5_000
QUICK = "[model]\nmax_rounds = 40\n"


def processor_seconds() -> float:
    """Of this process, those that it started, and those that have ended."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def verbs(place: Path, run: str, engine: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The words of each verb, with outputs of its own for a run."""
    extract, out, home = place / "extract.parquet", place / f"{engine}-{run}", place / "home"
    last = ("--engine", engine)
    yield "check", ("check", extract, "--report", out.with_suffix(".check.json"), *last)
    yield "features", ("features", extract, "--out", out.with_suffix(".features"), *last)
    yield "refresh", ("refresh", extract, "--home", home, *last)
    yield "audit", ("audit", extract, "--model", "1", "--out", out.with_suffix(".audit"), "--home", home, *last)
    counts = ("--trust", "Trust A", "--out", out.with_suffix(".counts.json"))
    yield "audit-counts", ("audit-counts", extract, "--model", "1", *counts, "--home", home, *last)
    yield "access", ("access", extract, "--out", out.with_suffix(".access"), "--home", home, *last)


def main() -> None:
    """Measure every verb."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("appointments", type=int, nargs="?", default=APPOINTMENTS)
    parser.add_argument("--adaptive", action="store_true")
    parser.add_argument("--only", nargs="+", default=())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder) / "cluster") as address:
        place = Path(folder)
        (place / "config.toml").write_text(QUICK, encoding="utf-8")
        extract = place / "extract.parquet"
        done(command("simulate", extract, "--appointments", given.appointments, "--seed", 5))
        done(command("train", extract, "--config", place / "config.toml", "--home", place / "home"))
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        session = session_on(address, place / "driver", adaptive=given.adaptive)
        store = session.sparkContext._jsc.sc().statusStore()  # noqa: SLF001 - pyspark has no count of jobs
        for engine, run in (("duckdb", "once"), ("spark", "cold"), ("spark", "warm")):
            for name, words in verbs(place, run, engine):
                if given.only and name not in given.only:
                    continue
                jobs, began, clock = store.jobsList(None).size(), processor_seconds(), time.perf_counter()
                done(command(*words), codes=(0, 13))
                print(
                    f"{engine:7} {run:5} {name:13} {store.jobsList(None).size() - jobs:4} jobs "
                    f"{processor_seconds() - began:7.1f} s of processor time {time.perf_counter() - clock:7.1f} s",
                    flush=True,
                )
        end(session)


def done(finished: object, codes: tuple[int, ...] = (0,)) -> None:
    """Refuse a command that failed."""
    code, said = finished.returncode, finished.stderr  # type: ignore[attr-defined]
    assert code in codes, said


if __name__ == "__main__":
    main()
