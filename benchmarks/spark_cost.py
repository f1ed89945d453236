"""What each verb costs on Spark: jobs, processor time and the driver's memory, on a cluster of this machine.

Each verb runs on made-up appointments twice on Spark, with cold processes and then with warm ones, and once on one
machine. Processor time is of this process and all that it started: the cluster, its executors and their Python workers.
Memory is the most that this process and its Java process, the driver, held since the verb began (Linux only).
`python -m benchmarks.spark_cost [APPOINTMENTS] [--adaptive] [--workers N] [--large] [--only VERB ...]`. With
`--adaptive` Spark plans again after each stage, as it does unless a session says otherwise. With `--large` it is
adaptive, compiles its queries, and has 4 GB of memory for executors and 800 MB for the driver's Java process: for
extracts of 200,000 appointments or more. Else its settings are those of the tests, for extracts of some thousands.
"""

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from tests.end_to_end.conftest import command
from tests.end_to_end.spark_cluster import WORKERS, cluster, end, session_on

APPOINTMENTS = 5_000
QUICK = "[model]\nmax_rounds = 40\n"
EXECUTOR_GB = 4
# In place of the settings of the tests, which are for short queries on few rows.
LARGE = {
    "spark__driver__maxResultSize": "64m",
    "spark__executor__extraJavaOptions": "-XX:+UseParallelGC",
    "spark__sql__codegen__factoryMode": "FALLBACK",
    "spark__sql__codegen__wholeStage": "true",
    "spark__sql__autoBroadcastJoinThreshold": "10m",
    "spark__sql__shuffle__partitions": "8",
}


def processes() -> list[psutil.Process]:
    """This process, and those that it started and that run."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def processor_seconds() -> float:
    """Of this process, those that it started, and those that have ended."""
    total = 0.0
    for process in processes():
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def drivers() -> tuple[psutil.Process, psutil.Process]:
    """This process and the Java process of the driver, which says so among its words."""
    found = (each for each in processes() if each.name() == "java" and "pyspark-shell" in each.cmdline())
    return psutil.Process(), next(found)


def forget_most_memory() -> None:
    """Let the system count the most memory of the driver from now on."""
    for process in drivers():
        Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")


def most_memory() -> list[int]:
    """The most megabytes that this process and the Java process of the driver held."""
    status = (Path(f"/proc/{process.pid}/status").read_text(encoding="ascii") for process in drivers())
    return [int(re.findall(r"VmHWM:\s+(\d+) kB", text)[0]) // 1024 for text in status]


def verbs(place: Path, run: str, engine: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The words of each verb, with outputs of its own for a run."""
    extract, out, home = place / "extract.parquet", place / f"{engine}-{run}", place / "home"
    last = ("--engine", engine)
    yield "check", ("check", extract, "--report", out.with_suffix(".check.json"), *last)
    yield "features", ("features", extract, "--out", out.with_suffix(".features"), *last)
    yield "train", ("train", extract, "--config", place / "config.toml", "--home", home, *last)
    yield "refresh", ("refresh", extract, "--home", home, *last)
    yield "audit", ("audit", extract, "--model", "1", "--out", out.with_suffix(".audit"), "--home", home, *last)
    counts = ("--trust", "Trust A", "--out", out.with_suffix(".counts.json"))
    yield "audit-counts", ("audit-counts", extract, "--model", "1", *counts, "--home", home, *last)
    yield "access", ("access", extract, "--out", out.with_suffix(".access"), "--home", home, *last)


def main() -> None:
    """Measure every verb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("appointments", type=int, nargs="?", default=APPOINTMENTS)
    parser.add_argument("--adaptive", action="store_true")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", nargs="+", default=())
    given = parser.parse_args()
    share = EXECUTOR_GB // given.workers
    others = LARGE | {"spark__executor__memory": f"{share}g"} if given.large else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder) / "cluster", workers=given.workers, memory=share + 1 if given.large else 1) as address,
    ):
        place = Path(folder)
        (place / "config.toml").write_text(QUICK, encoding="utf-8")
        extract = place / "extract.parquet"
        done(command("simulate", extract, "--appointments", given.appointments, "--seed", 5))
        done(command("train", extract, "--config", place / "config.toml", "--home", place / "home"))
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        memory = "800m" if given.large else "1200m"
        session = session_on(address, place / "driver", adaptive=given.adaptive or given.large, memory=memory, **others)
        store = session.sparkContext._jsc.sc().statusStore()  # noqa: SLF001 - pyspark has no count of jobs
        for engine, run in (("spark", "cold"), ("spark", "warm"), ("duckdb", "once")):
            for name, words in verbs(place, run, engine):
                if given.only and name not in given.only:
                    continue
                forget_most_memory()
                jobs, began, clock = store.jobsList(None).size(), processor_seconds(), time.perf_counter()
                done(command(*words), codes=(0, 13))
                here, java = most_memory()
                print(
                    f"{engine:7} {run:5} {name:13} {store.jobsList(None).size() - jobs:4} jobs "
                    f"{processor_seconds() - began:7.1f} s of processor time {time.perf_counter() - clock:7.1f} s "
                    f"driver {here} and {java} MB, load {os.getloadavg()[0]:.0f}",
                    flush=True,
                )
        end(session)


def done(finished: object, codes: tuple[int, ...] = (0,)) -> None:
    """Refuse a command that failed."""
    code, said = finished.returncode, finished.stderr  # type: ignore[attr-defined]
    assert code in codes, said


if __name__ == "__main__":
    main()
