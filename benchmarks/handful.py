"""How long a few appointments take to score, by the engine for a handful of rows and by the embedded one.

The claim: up to `data.engine.engine_pool.HANDFUL` rows, working the factors out costs less than planning a query for
them, and gives the same. Processor time in one run, the two in turn, from the cells of a request to the
worklist with reasons. `python benchmarks/handful.py [HOME]`; without a home, that of the demo is made.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from dnapredict import pipeline
from dnapredict.data.engine import engine_pool
from dnapredict.service.api.request_models import as_table
from dnapredict.worklist.scorer import Scorer
from under_load.asking import appointments
from under_load.home import made_home

ROWS = (1, 4, 16, 64, 128, 256, 500)
LISTS = 9


def taken(scorer: Scorer, lists: list[pa.Table], *, handful: int) -> tuple[float, list[dict]]:
    """Milliseconds of processor time in the median, with so many rows a handful, and what was answered."""
    engine_pool.HANDFUL = handful
    scorer.score(lists[0])
    times, answers = [], []
    for one in lists:
        began = time.process_time()
        answers += scorer.score(one).to_pylist()
        times.append(time.process_time() - began)
    return statistics.median(times) * 1_000, answers


def main() -> None:
    """Print a line for each number of rows and write benchmarks/out/handful.json."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        scorer = pipeline.open_scorer(Path(sys.argv[1]) if len(sys.argv) > 1 else made_home(Path(place)))
        for rows in ROWS:
            lists = [as_table(json.loads(appointments(rows, seed=n))["appointments"]) for n in range(LISTS)]
            embedded, expected = taken(scorer, lists, handful=-1)
            handful, answers = taken(scorer, lists, handful=rows)
            assert answers == expected
            found[rows] = {"embedded_ms": embedded, "handful_ms": handful, "times": embedded / handful}
            print(f"{rows:>4} rows: {embedded:.1f} ms and {handful:.1f} ms, {embedded / handful:.1f} times")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "handful.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
