"""The 95% intervals of every figure on 200,000 rows, patients drawn again: under 10 seconds.

`python -m benchmarks.bootstrap [ROWS]`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from dnapredict.model.evaluate.metric_intervals import bootstrap_intervals

ROWS, WANTED_SECONDS = 200_000, 10


def main() -> None:
    """Print the time and the intervals, judge it, and write benchmarks/out/bootstrap.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    draw = np.random.default_rng(1)
    patient = draw.integers(0, rows // 4, rows)
    tendency = draw.normal(0, 1, rows // 4)[patient]
    truth = 1 / (1 + np.exp(2.6 - tendency))
    dna = draw.random(rows) < truth
    risk = 1 / (1 + np.exp(2.6 - tendency - draw.normal(0, 0.7, rows)))
    began = time.perf_counter()
    everyone = {"all": np.ones(rows, dtype=bool)}
    found = bootstrap_intervals(dna, risk, populations=everyone, patient=patient, seed=1)["all"]
    seconds = time.perf_counter() - began
    for name, interval in found.items():
        print(f"{name}: {interval.low:.4f} to {interval.high:.4f}")
    print(f"{len(found)} figures of {rows:,} rows in {seconds:.1f} s (wanted: under {WANTED_SECONDS} s)")
    assert seconds < WANTED_SECONDS
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    content = {"rows": rows, "seconds": seconds}
    (out / "bootstrap.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
