"""Scoring 1,000,000 rows with three reasons each, file to file: memory, rate, and whether it is linear.

The claim: under 4 GB, and twice the rows take about twice the time. A process of its own scores each file,
so that its peak is its own; beside it stands bare `Booster.predict` on as many rows.
`python benchmarks/scoring.py [ROWS]`.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict import pipeline
from dnapredict.config.setting import Setting
from dnapredict.data.simulate import simulate
from dnapredict.risk.artefact import load
from dnapredict.tracking import Registry

ROWS, TRAINED_ON, WANTED_GB = 1_000_000, 100_000, 4.0
SCORE = """
import resource, sys, time
from pathlib import Path
from dnapredict import pipeline
began = time.perf_counter()
pipeline.score_list(Path(sys.argv[1]), out=Path(sys.argv[2]), home=Path(sys.argv[3]), model="1")
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def scored(path: Path, out: Path, home: Path) -> tuple[float, float]:
    """Seconds and peak memory in GB of scoring the list at `path`."""
    words = [sys.executable, "-c", SCORE, *map(str, (path, out, home))]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    seconds, peak = map(float, done.stdout.split()[-2:])
    return seconds, peak


def bare(home: Path, rows: int) -> float:
    """Seconds of `Booster.predict` alone on as many rows."""
    stored = load(Registry(home).folder("1"))
    matrix = np.random.default_rng(1).normal(size=(rows, len(stored.model.factors)))
    booster = getattr(stored.model.form, "booster", None)
    began = time.perf_counter()
    booster.predict(matrix) if booster is not None else stored.model.margin(matrix)
    return time.perf_counter() - began


def main() -> None:
    """Print the table, judge it, and write benchmarks/out/scoring.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    found = {}
    with tempfile.TemporaryDirectory() as place:
        home, extract = Path(place) / "home", Path(place) / "e.parquet"
        simulate(extract, appointments=TRAINED_ON, seed=2)
        pipeline.train(extract, home=home, setting=Setting(), say=lambda _: None)
        whole = Path(place) / "all.parquet"
        simulate(whole, appointments=rows, seed=3)
        table = pq.read_table(whole).drop_columns(["outcome_code", "recorded_at"])
        print("| rows | seconds | rows a second | peak memory | bare Booster.predict |")
        print("|---|---|---|---|---|")
        for part in (rows // 4, rows // 2, rows):
            some, out = Path(place) / f"{part}.parquet", Path(place) / f"{part}.out.parquet"
            pq.write_table(table.slice(0, part), some)
            seconds, peak = scored(some, out, home)
            assert pq.read_metadata(out).num_rows == part
            alone = bare(home, part)
            found[part] = {"seconds": seconds, "peak_gb": peak, "bare": alone}
            print(
                f"| {part:,} | {seconds:.1f} | {part / seconds:,.0f} | {peak:.2f} GB | {alone:.1f} s |",
                flush=True,
            )
        del table
        pa.default_memory_pool().release_unused()
    print(f"wanted: under {WANTED_GB} GB")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "scoring.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
