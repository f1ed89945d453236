"""How long one patient's factors take against a history of 5,000,000 appointments, and 500 patients'.

The claim: a median under 30 ms for one appointment of one patient and under 100 ms for 500, from checked
rows to the matrix of agreed factors. Beside them stand, in the same run, a look-up of the same
patients' rows by a bare DuckDB query over the same history as Parquet sorted by patient, and how long
writing the store takes. `python -m benchmarks.history_store [ROWS]`.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa

from dnapredict.config.training_config import TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.prepared_queries import Engine, borrow_engine
from dnapredict.data.validation import contract_check
from dnapredict.features.factors import factor_register
from dnapredict.features.matrix import question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.pipeline.run_inputs import checked_extract
from dnapredict.synthetic.simulation import simulate

ROWS = 5_000_000
RUNS = 40
WANTED = {1: 30.0, 500: 100.0}
CLOCK, OUTCOMES = Clock.of(TrainingConfig()), LabelRule(("3", "7"))
FACTORS = tuple(factor.name for factor in factor_register().agreed)


def written(extract: Path, place: Path) -> tuple[HistoryStore, float]:
    """The store of the extract, and the seconds that writing it took."""
    with Workspace() as workspace:
        checked = checked_extract(extract, workspace)
        began = time.perf_counter()
        return HistoryStore.write(checked.rows, place, clock=CLOCK, workspace=workspace), (time.perf_counter() - began)


def asked_for(extract: Path, patients: int) -> pa.Table:
    """An appointment each of so many patients, as a list would hold them: without outcome."""
    return duckdb.sql(f"""
        SELECT row_number() OVER () AS row_number, * EXCLUDE (outcome_code, recorded_at)
        FROM (SELECT DISTINCT ON (patient_id) * FROM '{extract}' ORDER BY patient_id, starts_at DESC)
        ORDER BY hash(patient_id) LIMIT {patients}
    """).to_arrow_table()


def answered(store: HistoryStore, appointments: pa.Table) -> float:
    """Milliseconds from checked rows to the matrix."""
    with borrow_engine(rows=appointments.num_rows) as engine:
        return _answered(store, appointments, engine)


def _answered(store: HistoryStore, appointments: pa.Table, workspace: Engine) -> float:
    checked = contract_check.check(workspace.keep(appointments), workspace, source="list", future=True)
    points = workspace.materialise(checked.rows)
    began = time.perf_counter()
    asked = question(
        points,
        store.past(points, clock=CLOCK, workspace=workspace),
        factors=FACTORS,
        clock=CLOCK,
        outcomes=OUTCOMES,
        extra_columns=(),
        order_by=["row_number"],
    )
    matrix = workspace.fetch(asked)
    took = time.perf_counter() - began
    assert matrix.num_rows == appointments.num_rows
    return took * 1000


def looked_up(connection: duckdb.DuckDBPyConnection, sorted_rows: Path, appointments: pa.Table) -> float:
    """Milliseconds of finding the same patients' rows, and no more, in Parquet sorted by patient."""
    connection.register("asked", appointments.select(["patient_id"]))
    began = time.perf_counter()
    connection.sql(f"FROM '{sorted_rows}' SEMI JOIN asked USING (patient_id)").to_arrow_table()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print the medians and write benchmarks/out/history_store.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    found: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        extract, by_patient = Path(folder) / "synthetic.parquet", Path(folder) / "sorted.parquet"
        simulate(extract, appointments=rows, seed=1)
        store, found["seconds to write the store"] = written(extract, Path(folder) / "history")
        duckdb.sql(f"COPY (FROM '{extract}' ORDER BY patient_id) TO '{by_patient}' (ROW_GROUP_SIZE 10_000)")
        with duckdb.connect() as connection:
            for patients, wanted in WANTED.items():
                appointments = asked_for(extract, patients)
                answered(store, appointments)  # plans compiled, the file in the cache
                times = [answered(store, appointments) for _ in range(RUNS)]
                bare = statistics.median(looked_up(connection, by_patient, appointments) for _ in range(5))
                median = statistics.median(times)
                found |= {f"ms for {patients}": median, f"bare look-up for {patients}": bare}
                print(
                    f"{patients:>4} patients: median {median:.1f} ms (wanted: {wanted:.0f}), slowest "
                    f"{max(times):.1f}; a bare look-up of their rows in Parquet {bare:.1f} ms, "
                    f"{median / bare:.2f} times"
                )
    print(f"against {rows:,} appointments; writing the store took {found['seconds to write the store']:.1f} s")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "history_store.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
