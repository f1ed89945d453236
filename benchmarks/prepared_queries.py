"""How long a few appointments take to score, with queries that are planned once and with queries planned each time.

The claims: up to `prepared_queries.FEW_ROWS` rows, planning a query costs more than running it; a connection that is
replaced after `prepared_queries.MOST_RUNS` runs does not slow down with use, and one that is kept does; a column
without a value costs a single score as much as one with values.
Processor time in one run, the two in turn, from the cells of a request to the worklist with reasons.
`python -m benchmarks.prepared_queries [HOME]`; without a home, that of the demo is made.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from benchmarks.under_load.asking import appointments
from benchmarks.under_load.home import made_home

from dnapredict import pipeline
from dnapredict.data.engine import prepared_queries
from dnapredict.service.api.request_models import TableShapes, as_table
from dnapredict.worklist.scorer import Scorer

ROWS = (1, 16, 64, 500, 4_000)
LISTS = 9
# Scores on one connection, and how many of them make up one median.
SCORES, LAP = 2_000, 250


def taken(scorer: Scorer, lists: list[pa.Table], *, few_rows: int) -> tuple[float, list[dict]]:
    """Median processor time in ms where up to `few_rows` rows use prepared queries, and the answers."""
    prepared_queries.FEW_ROWS = few_rows
    scorer.score(lists[0])
    times, answers = [], []
    for one in lists:
        began = time.process_time()
        answers += scorer.score(one).to_pylist()
        times.append(time.process_time() - began)
    return statistics.median(times) * 1_000, answers


def worn(scorer: Scorer, *, most_runs: int) -> list[float]:
    """Median processor time in ms of each `LAP` of single scores, on connections replaced after `most_runs`."""
    prepared_queries.MOST_RUNS = most_runs
    lists = [as_table(json.loads(appointments(1, seed=n))["appointments"]) for n in range(LAP)]
    medians = []
    for _ in range(SCORES // LAP):
        times = []
        for one in lists:
            began = time.process_time()
            scorer.score(one)
            times.append(time.process_time() - began)
        medians.append(statistics.median(times) * 1_000)
    return medians


def by_columns(scorer: Scorer) -> dict[str, float]:
    """Median processor time in ms of a single score with the columns that are filled, and with all columns."""
    rows = [json.loads(appointments(1, seed=n))["appointments"] for n in range(LAP)]
    medians = {}
    for name, shapes in (("filled", TableShapes()), ("all", TableShapes(most=0))):
        medians[name], _ = taken(scorer, [as_table(one, shapes=shapes) for one in rows], few_rows=1)
    return medians


def main() -> None:
    """Print a line for each number of rows and write benchmarks/out/prepared_queries.json."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        scorer = pipeline.open_scorer(Path(sys.argv[1]) if len(sys.argv) > 1 else made_home(Path(folder)))
        for rows in ROWS:
            lists = [as_table(json.loads(appointments(rows, seed=n))["appointments"]) for n in range(LISTS)]
            planned, expected = taken(scorer, lists, few_rows=-1)
            prepared, answers = taken(scorer, lists, few_rows=rows)
            assert answers == expected
            results[rows] = {"planned_each_time_ms": planned, "prepared_ms": prepared, "times": planned / prepared}
            print(f"{rows:>4} rows: {planned:.1f} ms and {prepared:.1f} ms, {planned / prepared:.1f} times")
        results["columns"] = by_columns(scorer)
        print("one row, " + ", ".join(f"{name} columns {ms:.1f} ms" for name, ms in results["columns"].items()))
        for name, most_runs in (("replaced", prepared_queries.MOST_RUNS), ("kept", 10**9)):
            results[name] = worn(scorer, most_runs=most_runs)
            print(f"{name} connections, each {LAP} scores: {', '.join(f'{ms:.1f}' for ms in results[name])} ms")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "prepared_queries.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
