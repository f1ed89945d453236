"""Synthetic appointments a second, what bounds the rate, and whether memory grows with their number.

The claims: at least 100,000 a second with the truth beside them, and the same memory for four times
as many. Each size runs in a process of its own; the share of the Parquet writer is what is left of
the rate when the same blocks are made and thrown away.

    python -m benchmarks.simulate            prints the rates and writes benchmarks/out/simulate.json
    python -m benchmarks.simulate --figures  rewrites the table of docs/synthetic-icb.md
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.published_rates import FIGURES, measure

from dnapredict.synthetic.simulation import simulate

SIZES = (500_000, 2_000_000)
TARGET_A_SECOND = 100_000
DOCUMENT = Path(__file__).parents[1] / "docs" / "synthetic-icb.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
OF_THE_TABLE = {"appointments": 400_000, "seed": 1}


def once(appointments: int, *, write: bool) -> dict[str, float]:
    """Seconds and peak memory of this process for so many appointments."""
    from dnapredict.synthetic.calendar import diary

    diary()  # the bank holidays take half a second to load, once
    with tempfile.TemporaryDirectory() as folder:
        out, truth = Path(folder) / "a.parquet", Path(folder) / "t.parquet"
        if not write:
            _throw_away()
        began, busy = time.perf_counter(), time.process_time()
        simulate(out, appointments=appointments, seed=1, truth=truth)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rates = {"a_second": appointments / seconds, "a_processor_second": appointments / busy}
    return {"seconds": seconds, "processor_seconds": busy, **rates, "peak_mb": peak}


def _throw_away() -> None:
    import pyarrow.parquet as pq

    pq.ParquetWriter.write_table = lambda *_, **__: None


def in_a_process(appointments: int, *, write: bool) -> dict[str, float]:
    """`once`, where nothing else has used memory."""
    command = [sys.executable, "-m", "benchmarks.simulate", "--once", str(appointments), str(int(write))]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(told.stdout)
    return figures


def rates() -> None:
    """Print the claims with what was measured, and keep it as JSON."""
    written = {size: in_a_process(size, write=True) for size in SIZES}
    made = in_a_process(SIZES[-1], write=False)
    for size, rate in written.items():
        print(
            f"{size:,} appointments: {rate['a_second']:,.0f} a second, "
            f"{rate['a_processor_second']:,.0f} a processor second, peak {rate['peak_mb']:,.0f} MB"
        )
    share = 1 - made["processor_seconds"] / written[SIZES[-1]]["processor_seconds"]
    memory = written[SIZES[-1]]["peak_mb"] / written[SIZES[0]]["peak_mb"]
    print(f"wanted: {TARGET_A_SECOND:,} a second; memory at the larger size: {memory:.2f} times")
    print(f"one processor bounds it: {share:.0%} of its time Parquet encoding, the rest draws and text")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    kept = {"written": written, "not_written": made, "parquet_share": share, "memory_ratio": memory}
    (out / "simulate.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def figures() -> None:
    """Rewrite the table of published and made figures in the document."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "a.parquet"
        simulate(out, **OF_THE_TABLE)
        made = measure(out)
    lines = ["| figure | published | made | may differ by | source |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.name} | {each.target:g} | {made[each.name]:.3f} | {each.tolerance:g} | {each.source} |"
        for each in FIGURES
    ]
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--once", size, write]:
            print(json.dumps(once(int(size), write=write == "1")))
        case ["--figures"]:
            figures()
        case _:
            rates()
