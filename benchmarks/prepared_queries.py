"""How long a few appointments take to score, with queries that are planned once and with queries planned each time.

The claim: up to `data.engine.engine_pool.FEW_ROWS` rows, planning a query costs more than running it. Processor time
in one run, the two in turn, from the cells of a request to the worklist with reasons.
`python benchmarks/prepared_queries.py [HOME]`; without a home, that of the demo is made.
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

ROWS = (1, 16, 64, 500, 4_000)
LISTS = 9


def taken(scorer: Scorer, lists: list[pa.Table], *, few_rows: int) -> tuple[float, list[dict]]:
    """Median processor time in ms where up to `few_rows` rows use prepared queries, and the answers."""
    engine_pool.FEW_ROWS = few_rows
    scorer.score(lists[0])
    times, answers = [], []
    for one in lists:
        began = time.process_time()
        answers += scorer.score(one).to_pylist()
        times.append(time.process_time() - began)
    return statistics.median(times) * 1_000, answers


def main() -> None:
    """Print a line for each number of rows and write benchmarks/out/prepared_queries.json."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        scorer = pipeline.open_scorer(Path(sys.argv[1]) if len(sys.argv) > 1 else made_home(Path(place)))
        for rows in ROWS:
            lists = [as_table(json.loads(appointments(rows, seed=n))["appointments"]) for n in range(LISTS)]
            planned, expected = taken(scorer, lists, few_rows=-1)
            prepared, answers = taken(scorer, lists, few_rows=rows)
            assert answers == expected
            found[rows] = {"planned_each_time_ms": planned, "prepared_ms": prepared, "times": planned / prepared}
            print(f"{rows:>4} rows: {planned:.1f} ms and {prepared:.1f} ms, {planned / prepared:.1f} times")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "prepared_queries.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
