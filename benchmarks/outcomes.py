"""Bring 1,000,000 outcomes back: seconds, processor seconds and memory, of recording what was scored and of the join.

Lists of 50,000 made-up appointments are recorded as scored, and a tenth of them is called. An extract of the first half
of the appointments is read, then one of all: more outcomes are known. `refresh` and the filling in of `contacted` read
the second too. Each step runs in a process of its own. With `--again` all is joined once more, and the store must be of
the same bytes. `python -m benchmarks.outcomes [ROWS] [--again]`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from dnapredict.synthetic.simulation import simulate
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

ROWS = 1_000_000
RECORD = """
import datetime, resource, sys, time
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.follow_up.scored_rows import ScoredRows
from dnapredict.worklist.plan.call_plan import CallPlan
extract, home = map(Path, sys.argv[1:])
rows = ScoredRows(home, Ledger(home).hashed)
names = ["appointment_id", "patient_id", "starts_at", "booked_at"]
table = pq.read_table(extract, columns=names).sort_by("starts_at")
for name in names[2:]:
    table = table.set_column(names.index(name), name, table[name].cast(pa.timestamp("us")))
began = time.process_time()
for first in range(0, table.num_rows, 50_000):
    part = table.slice(first, 50_000).combine_chunks()
    n = part.num_rows
    day = part["starts_at"][0].as_py() - datetime.timedelta(days=7)
    plan = CallPlan(
        pa.table({"rank": np.arange(1, n + 1), "selected": np.arange(n) < n // 10}),
        np.full(n, np.datetime64(day, "D")),
    )
    inputs = part.append_column("probability", pa.array(np.linspace(0.9, 0.01, n)))
    identity = ListIdentity(f"{first:016x}", day.replace(tzinfo=datetime.UTC))
    assert rows.record(inputs, plan, identity=identity, model_version="1") == ()
print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""
JOIN = """
import datetime, resource, sys, time
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from dnapredict.config.service_config import Retention
from dnapredict.config.training_config import Setting
from dnapredict.pipeline.in_use.outcome_linkage import outcomes
from dnapredict.worklist.calls.recorded_calls import RecordedCall
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles
extract, home = map(Path, sys.argv[1:])

class Records:
    def calls(self):
        calls = []
        for path in ScoredFiles(home).lists():
            table = pq.read_table(path, filters=pa.compute.field("selected"))
            for row in table.select(["appointment", "patient", "scored_at"]).to_pylist():
                at = row["scored_at"] + datetime.timedelta(hours=3)
                calls.append(RecordedCall(len(calls), row["appointment"], row["patient"], at, "confirmed", "reached"))
        return calls
    def answers(self):
        return []

records = Records()
records.calls = (lambda calls: lambda: calls)(records.calls())
began, worked = time.perf_counter(), time.process_time()
summary, _ = outcomes(extract, home=home, setting=Setting(), records=records, retention=Retention(outcome_days=36_525))
seconds = time.perf_counter() - began
print(seconds, time.process_time() - worked, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, file=sys.stderr)
print(*summary.sentences(), sep="\\n", file=sys.stderr)
"""


FILL = """
import resource, sys, time
from pathlib import Path
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.pipeline.in_use.contacted_from_calls import with_recorded_calls
from dnapredict.pipeline.run_inputs import sound_extract
extract, home = map(Path, sys.argv[1:])
with Workspace(memory_limit="2GB") as workspace:
    checked = sound_extract(extract, Setting(), workspace)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    worked = time.process_time()
    _, sentence = with_recorded_calls(checked, home, workspace)
    print(time.process_time() - worked, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "before:", before)
    print(sentence)
"""
REFRESH = """
import resource, sys, time
from pathlib import Path
from dnapredict.config.training_config import Setting
from dnapredict.pipeline.scoring import refresh
extract, home = map(Path, sys.argv[1:])
began, worked = time.perf_counter(), time.process_time()
refresh(extract, home=home, setting=Setting())
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(time.perf_counter() - began, time.process_time() - worked, most)
"""


def _measured(program: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return (done.stdout + done.stderr).strip()


def _first_half(extract: Path) -> Path:
    """An extract of the appointments up to the middle one."""
    half = extract.with_name("half.parquet")
    duckdb.sql(
        f"COPY (SELECT * FROM '{extract}' WHERE starts_at < (SELECT approx_quantile(starts_at, 0.5) FROM '{extract}')) "
        f"TO '{half}' (FORMAT parquet)"
    )
    return half


def main() -> None:
    """Print seconds and gigabytes of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=ROWS)
    parser.add_argument("--again", action="store_true", help="join all once more, and compare the bytes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        extract, home = Path(temporary) / "extract.parquet", Path(temporary) / "home"
        simulate(extract, appointments=asked.rows, seed=3)
        print(f"{pq.read_metadata(extract).num_rows:,} appointments", flush=True)
        print("recorded as scored: processor seconds, GB:", _measured(RECORD, extract, home), flush=True)
        half = _first_half(extract)
        print("half joined: seconds, processor seconds, GB:", _measured(JOIN, half, home), flush=True)
        print("all joined: seconds, processor seconds, GB:", _measured(JOIN, extract, home), flush=True)
        store = OutcomeStore(home)
        before = store.path.read_bytes()
        print(f"the store: {len(before) / 1e6:.0f} MB", flush=True)
        print("`contacted` filled in: processor seconds, GB:", _measured(FILL, extract, home), flush=True)
        print("refreshed: seconds, processor seconds, GB:", _measured(REFRESH, extract, home), flush=True)
        if asked.again:
            print("joined again: seconds, processor seconds, GB:", _measured(JOIN, extract, home), flush=True)
            print("the same bytes:", store.path.read_bytes() == before)
        began = time.perf_counter()
        read = store.read()
        print(f"read and checked: {time.perf_counter() - began:.2f} s, {read.nbytes / 1e9:.2f} GB in memory")


if __name__ == "__main__":
    main()
