"""What the matrix of factors costs beside hand-written DuckDB window queries over the same file.

The claim: for 1,000,000 and for 5,000,000 synthetic appointments, at most three times the time of a
bare query with the same windows over scoring points and events (patient, patient in the specialty, at
the site, on the day). A query with the patient window alone is timed too, as the least that any history
costs. All read the same Parquet file and fetch their result; they are run in turn, each in a process of
its own, so that the peak memory is its own. Given two sizes, it says how the larger grew from the
smaller. `python -m benchmarks.features [ROWS ...]`, as `1000000 5000000`.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from dnapredict.config.training_config import TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.features.factors import factor_register
from dnapredict.features.matrix import Past, question
from dnapredict.features.scoring_clock import Clock, LabelRule
from dnapredict.pipeline.run_inputs import checked_extract
from dnapredict.synthetic.simulation import simulate

ROWS = 1_000_000
RUNS = 3
WANTED = 3.0
STACKED = """
WITH stacked AS (
    SELECT patient_id, appointment_id, treatment_function_code, site_code, starts_at::DATE AS day,
           greatest(booked_at, starts_at - INTERVAL 7 DAY) AS moment, 0 AS kind,
           0 AS dna, 0 AS came, 0 AS by_patient, 0 AS by_provider, NULL::TIMESTAMP AS happened
    FROM read_parquet('{path}')
    UNION ALL
    SELECT patient_id, appointment_id, treatment_function_code, site_code, starts_at::DATE,
           coalesce(recorded_at, starts_at + INTERVAL 3 DAY), 1,
           (outcome_code IN ('3', '7'))::INT, (outcome_code IN ('5', '6'))::INT,
           (outcome_code = '2')::INT, (outcome_code = '4')::INT, starts_at
    FROM read_parquet('{path}') WHERE outcome_code IS NOT NULL
), windowed AS (
    SELECT *, {columns} FROM stacked WINDOW {windows}
)
SELECT * FROM windowed WHERE kind = 0
"""
WINDOW = "{name} AS (PARTITION BY {keys} ORDER BY moment, kind ROWS UNBOUNDED PRECEDING)"
OF_PATIENT = """
    sum(dna) OVER w AS n_dna, sum(came) OVER w AS n_came, sum(kind) OVER w AS n_all,
    sum(by_patient) OVER w AS n_by_patient, sum(by_provider) OVER w AS n_by_provider,
    max(happened) OVER w AS last, min(happened) OVER w AS first,
    max(CASE WHEN dna = 1 THEN happened END) OVER w AS last_dna,
    max(CASE WHEN came = 1 THEN happened END) OVER w AS last_came
"""
OF_PARTS = """,
    sum(dna) OVER s AS n_dna_specialty, sum(dna + came) OVER s AS n_specialty,
    sum(dna) OVER t AS n_dna_site, sum(dna + came) OVER t AS n_site, sum(kind) OVER d AS n_day
"""
AROUND = """
SELECT appointment_id,
    count(*) OVER (PARTITION BY clinic_code, starts_at::DATE ORDER BY epoch(booked_at)::BIGINT // 60
                   RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS together,
    count(*) OVER (PARTITION BY clinic_code, booked_at::DATE ORDER BY epoch(booked_at)::BIGINT // 60
                   RANGE BETWEEN 10 PRECEDING AND 1 PRECEDING) AS just_before
FROM read_parquet('{path}')
"""
KEYS = {
    "w": "patient_id",
    "s": "patient_id, treatment_function_code",
    "t": "patient_id, site_code",
    "d": "patient_id, day",
}


def query(path: Path, *, names: str) -> str:
    """The hand-written query with the windows of those names."""
    windows = ", ".join(WINDOW.format(name=name, keys=KEYS[name]) for name in names)
    return STACKED.format(path=path, columns=OF_PATIENT + OF_PARTS * (len(names) > 1), windows=windows)


def bare(path: Path, *, names: str) -> float:
    """Seconds of a hand-written query."""
    with duckdb.connect() as connection:
        began = time.perf_counter()
        connection.sql(query(path, names=names)).to_arrow_table()
        if len(names) > 1:
            connection.sql(AROUND.format(path=path)).to_arrow_table()
        return time.perf_counter() - began


STEPS = ("one window", "same windows", "factors")


def alone(step: str, path: Path) -> dict[str, float]:
    """Seconds and peak gigabytes of one step in a process of its own."""
    words = [sys.executable, __file__, "--step", step, str(path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def step(name: str, path: Path) -> dict[str, float]:
    """One step here: warmed up where it compiles plans, and measured once."""
    windows = "w" if name == "one window" else "wstd"
    found = matrix(path) if name == "factors" else {name: bare(path, names=windows)}
    return found | {f"GB of {name}": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}


def measured(path: Path) -> dict[str, float]:
    """Seconds and memory of everything, once."""
    return {name: value for each in STEPS for name, value in alone(each, path).items()}


def matrix(path: Path) -> dict[str, float]:
    """Seconds of reading and checking, and of the whole matrix of agreed factors."""
    clock, factors = Clock.of(TrainingConfig()), tuple(factor.name for factor in factor_register().agreed)
    with Workspace() as workspace:
        began = time.perf_counter()
        checked = checked_extract(path, workspace)
        read = time.perf_counter()
        asked = question(
            checked.rows,
            Past.of(checked.rows, clock=clock, workspace=workspace),
            factors=factors,
            clock=clock,
            outcomes=LabelRule(("3", "7")),
            extra_columns=(),
            order_by=["appointment_id"],
        )
        workspace.fetch(asked)
        return {"check": read - began, "factors": time.perf_counter() - read}


def of_size(rows: int) -> dict[str, float]:
    """The medians for so many appointments."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "synthetic.parquet"
        simulate(path, appointments=rows, seed=1)
        runs = [measured(path) for _ in range(RUNS)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def told(rows: int, found: dict[str, float]) -> None:
    """Print what one size took."""
    print(f"{rows:,} rows, {len(factor_register().agreed)} factors: {found['factors']:.1f} s")
    print(f"  check before it {found['check']:.1f} s; peak memory of both {found['GB of factors']:.1f} GB")
    for name in ("same windows", "one window"):
        ratio = found["factors"] / found[name]
        print(f"  {ratio:.2f} times a bare query with the {name} ({found[name]:.1f} s; wanted: {WANTED})")


def main() -> None:
    """Print seconds and ratios, and write benchmarks/out/features.json."""
    sizes = [int(word) for word in sys.argv[1:]] or [ROWS]
    found = {rows: of_size(rows) for rows in sizes}
    for rows, medians in found.items():
        told(rows, medians)
    if len(sizes) > 1:
        small, large = sizes[0], sizes[-1]
        growth = (found[large]["factors"] / large) / (found[small]["factors"] / small)
        print(f"  from {small:,} to {large:,} rows the time for each grew {growth:.2f} times (wanted: 1.2)")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "features.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(step(sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
