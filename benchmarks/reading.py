"""How long a delimited extract of 1,000,000 appointments takes to be read as text, by how it is written.

The claim: plain UTF-8 costs little more than the bare engine, although it is looked at once for its
encoding and once for its quotes; Windows-1252, quoted line breaks and stray quotes cost a copy.
Processor time is told beside the clock, since other work on the machine changes only the latter.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation import contract_check
from dnapredict.synthetic.simulation import simulate

ROWS = 1_000_000
RUNS = 3
NAME = "Siân O’Neill"


def files(folder: Path, rows: int) -> dict[str, Path]:
    """The same appointments written in five ways."""
    parquet, plain = folder / "extract.parquet", folder / "utf-8.csv"
    simulate(parquet, appointments=rows, seed=1)
    columns = f"*, '{NAME}' AS patient_name, '' AS comment"
    duckdb.sql(f"COPY (SELECT {columns} FROM '{parquet}') TO '{plain}' (HEADER, DELIMITER ',')")
    made = {"UTF-8": plain}
    text = plain.read_text(encoding="utf-8")
    for name, content in (
        ("Windows-1252", text.encode("cp1252")),
        ("a line break in a cell", (text + text.splitlines()[-1].rstrip(",") + ',"a\nb"\n').encode()),
        ("a stray quote", (text + text.splitlines()[-1].rstrip(",") + ',a "b\n').encode()),
    ):
        made[name] = folder / f"{name}.csv"
        made[name].write_bytes(content)
    return made


def bare(path: Path) -> int:
    """Rows that the engine alone reads, every cell as text."""
    with duckdb.connect() as engine:
        engine.execute(f"CREATE TABLE rows AS FROM read_csv('{path}', all_varchar = true, header = true)")
        return int(engine.execute("SELECT count(*) FROM rows").fetchall()[0][0])


def ours(path: Path) -> int:
    """Rows that `extract.read` gives, every cell as text."""
    with Workspace() as workspace:
        read = table_file.read(path, workspace)
        return int(workspace.fetch(f"SELECT count(*) AS n FROM {read.get_name()}")["n"][0].as_py())


def checked(path: Path) -> int:
    """Rows that `extract.read` gives and the contract holds against its rules."""
    with Workspace() as workspace:
        return contract_check.check(table_file.read(path, workspace), workspace, source=path.name).total


def timed(read: Callable[[Path], int], path: Path) -> dict[str, float]:
    """The best of some runs: seconds by the clock, and of processor time."""
    clock, processor = [], []
    for _ in range(RUNS):
        began, used = time.perf_counter(), time.process_time()
        read(path)
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {"seconds": min(clock), "processor_seconds": min(processor)}


def main() -> None:
    """Print the figures and write them to benchmarks/out/reading.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        made = files(Path(folder), rows)
        figures = {"the engine alone, UTF-8": timed(bare, made["UTF-8"])}
        figures |= {name: timed(ours, path) for name, path in made.items()}
        figures["UTF-8, held against the contract"] = timed(checked, made["UTF-8"])
    for name, found in figures.items():
        print(f"{name}: {found['seconds']:.2f} s, {found['processor_seconds']:.2f} s of processor time")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "reading.json").write_text(json.dumps({"rows": rows, **figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
