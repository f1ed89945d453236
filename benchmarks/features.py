"""What the matrix of factors costs beside hand-written DuckDB window queries over the same file.

The claim: for 1,000,000 synthetic appointments, at most three times the time of a bare query with
the same windows over scoring points and events (patient, patient in the specialty, at the site, on
the day). A query with the patient window alone is timed too, as the least that any history costs.
All read the same Parquet file and fetch their result; they are run in turn.
`python benchmarks/features.py [ROWS]`.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from dnapredict.config.training import TrainingConfig
from dnapredict.data.simulate import simulate
from dnapredict.data.workspace import Workspace
from dnapredict.features.build import Past, build
from dnapredict.features.clock import Clock, Outcomes
from dnapredict.prepared import checked_extract, factor_register

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
        return time.perf_counter() - began


def measured(path: Path) -> dict[str, float]:
    """Seconds of everything, once."""
    return {"one window": bare(path, names="w"), "same windows": bare(path, names="wstd")} | matrix(path)


def matrix(path: Path) -> dict[str, float]:
    """Seconds of reading and checking, and of the whole matrix of agreed factors."""
    clock, factors = Clock.of(TrainingConfig()), tuple(factor.name for factor in factor_register().agreed)
    with Workspace() as workspace:
        began = time.perf_counter()
        checked = checked_extract(path, workspace)
        read = time.perf_counter()
        build(
            checked.rows,
            Past.of(checked.rows, clock=clock, workspace=workspace),
            factors=factors,
            clock=clock,
            outcomes=Outcomes(("3", "7")),
            beside=(),
            order_by=["appointment_id"],
            workspace=workspace,
        )
        return {"check": read - began, "factors": time.perf_counter() - read}


def main() -> None:
    """Print seconds and the ratio, and write benchmarks/out/features.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "synthetic.parquet"
        simulate(path, appointments=rows, seed=1)
        measured(path)  # plans compiled, file in the cache
        runs = [measured(path) for _ in range(RUNS)]
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    ratios = {name: medians["factors"] / medians[name] for name in ("one window", "same windows")}
    print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in medians.items()))
    print(f"{rows:,} rows, {len(factor_register().agreed)} factors, against a bare query")
    print(f"  with the same windows: {ratios['same windows']:.2f} times (wanted: {WANTED})")
    print(f"  with the patient's window alone: {ratios['one window']:.2f} times")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "features.json").write_text(json.dumps({"runs": runs, "ratios": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
