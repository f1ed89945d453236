"""Recovery of `dnapredict cycle` after SIGKILL at random times: is the result that of an uninterrupted run?

A small trust has a champion. A cycle that has to train a new version is killed repeatedly at random times, restarted
after each kill, and finally run to completion. The claim: no step is done twice, one new version is registered,
the champion stays, the findings are those of a cycle that was never killed, `doctor` finds nothing, and no draft or
temporary folder is left in the home. `python -m benchmarks.cycle_kills [--kills 8] [--seconds 60] [--seed 1]`.
"""

import argparse
import datetime
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from dnapredict.registry import CHAMPION, Registry

QUICK = "[model]\nmax_rounds = 40\npatience = 10\nlearning_rate = 0.2\n"
APPOINTMENTS = 20_000
DECISION = 13
SIGNED = ("--name", "A. Reviewer", "--role", "Equality lead", "--reason", "Read by the panel.")


def program(*arguments: object) -> list[str]:
    """The words that run dnapredict with these arguments."""
    return [sys.executable, "-c", "from dnapredict.cli import main; main()", *map(str, arguments)]


def run(*arguments: object, wanted: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    """Run dnapredict to its end."""
    done = subprocess.run(program(*arguments), capture_output=True, text=True, check=False)
    if done.returncode not in wanted:
        raise SystemExit(f"{arguments}: {done.returncode}\n{done.stderr[-3000:]}")
    return done


def made_home(place: Path) -> tuple[Path, Path, Path]:
    """A home with a champion, an extract that it did not learn from, and a configuration."""
    extract, home, config = place / "extract.parquet", place / "home", place / "config.toml"
    config.write_text(QUICK, encoding="utf-8")
    until = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=60)
    for step in (
        ("simulate", extract, "--appointments", APPOINTMENTS, "--seed", 5),
        ("train", extract, "--home", home, "--config", config),
        ("audit", extract, "--model", "1", "--home", home, "--out", place / "report"),
        # A small trust may fail its audit: conditions put its model into use all the same, for a time.
        ("sign", place / "report", *SIGNED, "--decision", "conditions", "--until", until, "--home", home),
        ("promote", "1", "--home", home),
    ):
        run(*step, wanted=(0, DECISION) if step[0] == "audit" else (0,))
    later = place / "later.parquet"
    pq.write_table(pq.read_table(extract).slice(1), later)
    return home, later, config


def killed(words: list[str], seconds: float) -> bool:
    """Whether the command was still running after so many seconds, when it was killed with its children."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return True
    return False


def steps(home: Path) -> list[dict]:
    """The steps on record, of which a cycle that was killed early has none."""
    records = list((home / "cycle").glob("*/steps.json"))
    return [step for record in records for step in json.loads(record.read_text(encoding="utf-8"))["steps"]]


def main() -> None:
    """Print the moments of the kills, and what was wrong afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0, help="the longest time from a start to its kill")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)  # noqa: S311 - moments of kills are no secret
    with tempfile.TemporaryDirectory() as temporary:
        home, later, config = made_home(Path(temporary))
        undisturbed = Path(shutil.copytree(home, Path(temporary) / "undisturbed"))
        words = ("cycle", later, "--config", config, "--retrain-days", 1, "--home")
        for number in range(asked.kills):
            seconds = chance.uniform(1, asked.seconds)
            began = time.perf_counter()
            was_killed = killed(program(*words, home), seconds)
            done = [step["name"] for step in steps(home)]
            print(
                f"{number + 1}: {'killed' if was_killed else 'ended'} after {time.perf_counter() - began:.0f} s; "
                f"done: {', '.join(done) or 'nothing'}",
                flush=True,
            )
            if not was_killed:
                break
        last = run(*words, home, wanted=(0, DECISION))
        print(f"left to end: exit code {last.returncode}", flush=True)
        again = run(*words, home, wanted=(last.returncode,))
        expected = run(*words, undisturbed, wanted=(last.returncode,))
        registry = Registry(home)
        versions = json.loads(run("versions", "--home", home, "--json").stdout)["versions"]
        doctor = run("doctor", "--home", home, wanted=(0,))
        names = [step["name"] for step in steps(home)]
        left = [path for path in home.rglob("*") if path.name.startswith((".tmp", "dnapredict-"))]
        print(f"steps {names}; each once: {len(names) == len(set(names))}")
        print(f"the same findings as undisturbed: {findings(home) == findings(undisturbed)}")
        print(f"versions {[each['version'] for each in versions]}; champion {registry.version_of(CHAMPION)}")
        print(f"run again: {'This cycle was done before' in again.stderr}; ended alike: {expected.returncode}")
        print(f"doctor: {doctor.stderr.strip().splitlines()[-1]}; files left behind: {len(left)}")


def findings(home: Path) -> list[tuple[str, list[str]]]:
    """The words of each step, but for those on times."""
    return [(step["name"], step["words"]) for step in steps(home)]


if __name__ == "__main__":
    main()
