"""How long `dnapredict check --report` takes over 5,000,000 rows, beside a bare scan of all columns.

The claim: under 60 s, as a user runs it, with the JSON and the page written. The bare scan counts
every column of the same file in DuckDB, which is the least that reading it costs; both are timed in
turn on the same machine, and the ratio is told. Peak memory is that of the check's own process.
`python -m benchmarks.check [ROWS] [parquet|csv ...]`; without a form, both.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import duckdb

from dnapredict.synthetic.simulation import simulate

ROWS = 5_000_000
TARGET_SECONDS = 60
FORMS = ("parquet", "csv")
PROGRAM = Path(sysconfig.get_path("scripts")) / "dnapredict"
READ = {
    "parquet": "read_parquet('{path}')",
    "csv": "read_csv('{path}', all_varchar = true, null_padding = true)",
}


def bare(path: Path, form: str) -> float:
    """Seconds in which DuckDB counts every column of the file."""
    with duckdb.connect() as connection:
        began = time.perf_counter()
        connection.execute(f"SELECT count(*), count(COLUMNS(*)) FROM {READ[form].format(path=path)}").fetchall()
        return time.perf_counter() - began


def checked(path: Path) -> dict[str, float]:
    """Seconds, processor seconds and peak memory of the verb, run as a user runs it."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [PROGRAM, "check", path, "--report", path.with_name("report.json")], stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return {
        "seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }


def made(place: Path, rows: int, form: str) -> Path:
    """The synthetic extract in that form; the Parquet file is kept for the next."""
    parquet = place / "synthetic.parquet"
    if not parquet.exists():
        simulate(parquet, appointments=rows, seed=1)
    if form == "parquet":
        return parquet
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM '{parquet}') TO '{place}/synthetic.csv' (HEADER)")
    return place / "synthetic.csv"


def measure(place: Path, rows: int, form: str) -> dict[str, float]:
    """Figures of one form of file: the bare scan before and after the check, whose middle is its time."""
    path = made(place, rows, form)
    before = bare(path, form)
    figures = checked(path)
    scan = (before + bare(path, form)) / 2
    return figures | {
        "rows_a_second": rows / figures["seconds"],
        "bare_scan_seconds": scan,
        "ratio": figures["seconds"] / scan,
    }


def main() -> None:
    """Print the claim with what was measured, and keep it in benchmarks/out/check.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as place:
        found = {form: measure(Path(place), rows, form) for form in sys.argv[2:] or FORMS}
    for form, figures in found.items():
        print(
            f"{form}: {rows:,} rows in {figures['seconds']:.1f} s ({figures['processor_seconds']:.1f} s of "
            f"processor), {figures['rows_a_second']:,.0f} rows/s, {figures['ratio']:.0f} times a bare scan "
            f"({figures['bare_scan_seconds']:.2f} s), peak {figures['peak_mb']:,.0f} MB"
        )
    print(f"wanted: {ROWS:,} rows in under {TARGET_SECONDS} s")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    kept = {"rows": rows, "target_seconds": TARGET_SECONDS, "forms": found}
    (out / "check.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
