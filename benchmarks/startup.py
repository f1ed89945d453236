"""How long `dnapredict --help` takes in a fresh process, beside a Python that does nothing.

The claim: under 0.5 s, since an analyst asks for help often and a heavy library takes seconds.
The two are run in turn, so that a busy machine slows both; the middle of the runs is told.
"""

import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

RUNS = 15
TARGET_SECONDS = 0.5
PROGRAM = Path(sysconfig.get_path("scripts")) / "dnapredict"
COMMANDS = {"help": [str(PROGRAM), "--help"], "bare python": [sys.executable, "-c", "pass"]}


def seconds(command: list[str]) -> float:
    """Wall-clock seconds of one run of `command`; CalledProcessError when it fails."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def measure() -> dict[str, float]:
    """Median seconds of both commands over interleaved runs, after one that fills the caches."""
    for command in COMMANDS.values():
        seconds(command)
    runs = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(RUNS)]
    return {name: statistics.median(run[name] for run in runs) for name in COMMANDS}


def main() -> None:
    """Print the figures and write them to benchmarks/out/startup.json."""
    medians = measure()
    taken, ratio = medians["help"], medians["help"] / medians["bare python"]
    print(f"dnapredict --help: {taken:.3f} s, {ratio:.1f} times a bare Python; wanted: {TARGET_SECONDS} s")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    figures = {"seconds": medians, "ratio": ratio, "target_seconds": TARGET_SECONDS, "runs": RUNS}
    (out / "startup.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
