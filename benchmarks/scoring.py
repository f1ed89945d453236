"""Scoring 1,000,000 rows with three reasons each, file to file: memory, rate, and whether it is linear.

The claim: memory that does not grow with the list, under 4 GB; twice the rows take about twice the time. Each
file is scored in a separate process, with the model and the history of `dnapredict demo`, and is compared with
`Booster.predict` alone on the same number of rows. The longest list is scored once more, killed when two thirds
of its rows are scored, and run again: the bytes must be the same.
`python -m benchmarks.scoring [ROWS] [--world WORLD]`.

WORLD `few-patients` gives all rows to 50 patients, as where a number stands for "not known"; `few-clinics` to
as many clinics as give 550 appointments a clinic and day.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.under_load.home import made_home

from dnapredict.model.artefact import load
from dnapredict.registry import Registry
from dnapredict.synthetic.simulation import simulate

ROWS, WANTED_GB = 1_000_000, 4.0
SCORE = """
import resource, sys, time
from pathlib import Path
from dnapredict import pipeline
began = time.perf_counter()
tell = lambda done, of: print(done, flush=True)
path, out, home = map(Path, sys.argv[1:])
pipeline.score_list(path, out=out, home=home, progress=tell)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""
# A process that asks for more ends: the machine is not taken down with it.
MOST_BYTES = 8 * 1024**3
WORLDS = ("ordinary", "few-patients", "few-clinics")


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def in_world(table: pa.Table, world: str) -> pa.Table:
    """The same appointments with other patients or clinics."""
    if world == "ordinary":
        return table
    rng = np.random.default_rng(4)
    if world == "few-patients":
        return _with(table, "patient_id", rng.integers(0, 50, table.num_rows))
    days = pc.count_distinct(table["starts_at"].cast(pa.date32(), safe=False)).as_py()
    clinics = max(1, round(table.num_rows / days / 550))
    return _with(table, "clinic_code", rng.integers(0, clinics, table.num_rows))


def _with(table: pa.Table, name: str, numbers: np.ndarray) -> pa.Table:
    named = pc.binary_join_element_wise("N", pa.array(numbers).cast(pa.string()), "")
    return table.set_column(table.column_names.index(name), name, named)


def scored(path: Path, out: Path, home: Path) -> tuple[float, float]:
    """Seconds and peak memory in GB of scoring the list at `path`."""
    words = [sys.executable, "-c", SCORE, *map(str, (path, out, home))]
    done = subprocess.run(words, check=True, capture_output=True, text=True, preexec_fn=_limited)
    seconds, peak = map(float, done.stdout.split()[-2:])
    return seconds, peak


def killed(path: Path, out: Path, home: Path, *, at: int) -> None:
    """Score the list at `path` and kill the process once so many rows are judged."""
    words = [sys.executable, "-c", SCORE, *map(str, (path, out, home))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        while int(run.stdout.readline()) < at:
            pass
        run.kill()


def bare(home: Path, rows: int) -> float:
    """Seconds of `Booster.predict` alone on as many rows."""
    stored = load(Registry(home).folder("champion"))
    matrix = np.random.default_rng(1).normal(size=(rows, len(stored.model.factors)))
    booster = getattr(stored.model.form, "booster", None)
    began = time.perf_counter()
    booster.predict(matrix) if booster is not None else stored.model.margin(matrix)
    return time.perf_counter() - began


def main() -> None:
    """Print the table, judge it, and write benchmarks/out/scoring.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=ROWS)
    parser.add_argument("--world", choices=WORLDS, default="ordinary")
    asked = parser.parse_args()
    rows = asked.rows
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        home = made_home(Path(place))
        whole = Path(place) / "all.parquet"
        simulate(whole, appointments=rows, seed=3)
        table = pq.read_table(whole).drop_columns(["outcome_code", "recorded_at"])
        table = in_world(table, asked.world)
        print("| rows | seconds | rows a second | peak memory | bare Booster.predict |")
        print("|---|---|---|---|---|")
        for part in (rows // 4, rows // 2, rows):
            some, out = Path(place) / "list.parquet", Path(place) / f"{part}.out.parquet"
            pq.write_table(table.slice(0, part), some)
            seconds, peak = scored(some, out, home)
            assert pq.read_metadata(out).num_rows == part
            alone = bare(home, part)
            found[str(part)] = {"seconds": seconds, "peak_gb": peak, "bare": alone}
            print(
                f"| {part:,} | {seconds:.1f} | {part / seconds:,.0f} | {peak:.2f} GB | {alone:.1f} s |",
                flush=True,
            )
        again = Path(place) / "again" / out.name
        killed(some, again, home, at=rows * 2 // 3)
        assert not again.exists()
        seconds, _ = scored(some, again, home)
        same = [hashlib.sha256(path.read_bytes()).digest() for path in (out, again)]
        assert same[0] == same[1], "a list that was taken up must be written as if nothing had happened"
        found["taken up"] = {"seconds": seconds}
        print(f"killed at two thirds and taken up: {seconds:.1f} s, the same bytes")
    print(f"wanted: under {WANTED_GB} GB")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    name = "scoring" if asked.world == "ordinary" else f"scoring-{asked.world}"
    (out / f"{name}.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
