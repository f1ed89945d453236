"""What verbs and routes leave of patients' values, after a success, a failure and a kill: where may it be read?

The claim: in files of their owner alone and nowhere else; in no log, message, report, metric or run; and what a killed
process leaves is gone once it is run again or the service has cleaned up. Every value of the patients of a small trust
is marked. Each run has a place of its own for all that it could write: a copy of the home, outputs, working folder,
temporary folder, the account's home. The umask is 022. Then every file is searched (`tests/faults/mark_search.py`).
`python -m benchmarks.privacy_traces [--part 1/3] [--runs NAME ...] [--world DIR] [--kills 2] [--minutes 14]`; Linux and
gcc. All runs take longer than 15 minutes: `--part K/N` does every N-th of them, from the K-th on.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from benchmarks.write_faults import spread
from tests.faults.faulted_verbs import FaultWorld, make_world, warm
from tests.faults.interposed_process import Ended, Point, interposer, is_loaded, killed, ran, restarted
from tests.faults.mark_search import Fault, MarkSearch, hashed
from tests.faults.marked_routes import runs
from tests.faults.marked_verbs import MarkedRun
from tests.faults.marked_world import CARRIED, faults_of, is_transient, marked, new_place, within

APPOINTMENTS, IDENTIFIERS = 10_000, 4


@dataclass
class Bench:
    """A world, what was found in it, and how many runs there were of each kind."""

    world: FaultWorld
    kills: int
    until: float
    search: MarkSearch
    found: list[tuple[str, Fault]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    @property
    def place(self) -> Path:
        """Where each run is done."""
        return self.world.place / "work" / "run"

    def run(self, run: MarkedRun, by_name: dict[str, MarkedRun]) -> None:
        """Do it, and kill it where it is killed."""
        base = self._base(run.before, by_name)
        ended, points = self._once(run, base)
        if ended.code not in run.codes:
            print(f"{run.name}: exit {ended.code}: {ended.said[-1500:]}", flush=True)
            self.done["unexpected"] += 1
        self._judge(run.name, ended, is_killed=run.leaves_drafts)
        self.done["done"] += 1
        if run.leaves_drafts:
            self._judge_leftovers(run.name, by_name["serve"], frozenset())
        after = frozenset(_names(self.place))
        for point in spread(points, self.kills) if run.is_killed and self.kills else ():
            if time.monotonic() > self.until:
                self.done["not reached"] += 1
                continue
            stopped, _ = self._once(run, base, at=point.number)
            if stopped.code >= 0:
                continue
            name = f"{run.name} killed at {point.number} ({point.kind})"
            self._judge(name, stopped, is_killed=True)
            self._judge_leftovers(name, run, after)
            self.done["killed"] += 1

    def _once(self, run: MarkedRun, base: Path, *, at: int = 0) -> tuple[Ended, list[Point]]:
        new_place(self.world, self.place, base=base)
        work = within(self.place, lambda: run.work(self.world, self.place))
        return killed(work, (self.place,), at=at)

    def _base(self, before: str, by_name: dict[str, MarkedRun]) -> Path:
        """The home and the outputs after the run of that name, which are made once."""
        if not before:
            return self.world.place
        kept = self.world.place / "work" / "bases" / before.replace(" ", "-")
        if not kept.exists():
            self._once(by_name[before], self._base(by_name[before].before, by_name))
            shutil.copytree(self.place, kept, symlinks=True)
        return kept

    def _judge(self, name: str, ended: Ended, *, is_killed: bool = False) -> None:
        for fault in faults_of(self.place, ended.said, self.search, is_killed=is_killed):
            print(f"{name}: {fault}", flush=True)
            self.found.append((name, fault))

    def _judge_leftovers(self, name: str, run: MarkedRun, after: frozenset[str]) -> None:
        """Two hours later: run again, and what the service does within an hour of its start."""
        _age(self.place)
        ran(within(self.place, lambda: run.work(self.world, self.place)))
        ran(within(self.place, lambda: _tidied(self.place / "home")))
        for left in sorted(set(_names(self.place)) - after):
            print(f"{name}: {left} is left", flush=True)
            if holds := self.search.in_file(self.place / left):
                self.found.append((name, Fault(left, "+".join(sorted(holds)), "is left")))
            else:
                self.done["left without a value"] += 1


def _tidied(home: Path) -> int:
    from dnapredict.config.service_config import Retention
    from dnapredict.service.home_checks.file_checks import remove_leftovers
    from dnapredict.service.log.retention import RetentionThread
    from dnapredict.service.log.scoring_log import ScoringLog

    RetentionThread(home, ScoringLog(home), Retention(), remove_leftovers=remove_leftovers).remove_leftovers()
    return 0


def _age(place: Path) -> None:
    then = time.time() - 7_200
    for path in place.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


def _names(place: Path) -> Iterable[str]:
    """Drafts, and files in the temporary folder: names that a finished run does not leave."""
    for path in place.rglob("*"):
        name = path.relative_to(place).as_posix()
        if path.is_file() and is_transient(name) and path.suffix != ".lock":
            yield name


def main() -> None:
    """Print what is found, and write benchmarks/out/privacy_traces.json; exit 1 where something is."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", nargs="+", help="only runs whose names, ended by =, begin so")
    asked.add_argument("--part", type=_part, default=(1, 1), metavar="K/N", help="the K-th of N parts of the runs")
    asked.add_argument("--world", type=Path)
    asked.add_argument("--kills", type=int, default=2)
    asked.add_argument("--minutes", type=float, default=14.0)
    given = asked.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if not is_loaded():
            restarted(interposer(Path(tempfile.mkdtemp(prefix="interposer-"))))
        world = _world(given.world or Path(folder) / "world")
        warm(world)
        bench = Bench(world, given.kills, began + 60 * given.minutes, _search(world))
        every = runs(world)
        by_name = {run.name: run for run in every}
        named = tuple(given.runs or [""])
        part, parts = given.part
        for run in [run for run in every if f"{run.name}=".startswith(named)][part - 1 :: parts]:
            if time.monotonic() > bench.until:
                bench.done["not reached"] += 1
            else:
                bench.run(run, by_name)
    figures = {
        "runs": dict(bench.done),
        "faults": len(bench.found),
        "held": sorted(bench.search.seen),
        "seconds": round(time.monotonic() - began),
    }
    text = json.dumps(figures, indent=1)
    out = Path(__file__).resolve().parent / "out"  # the working folder is the world's by now
    out.mkdir(exist_ok=True)
    (out / "privacy_traces.json").write_text(text + "\n")
    print(text)
    sys.exit(1 if bench.found or bench.done["unexpected"] or bench.done["not reached"] else 0)


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not part.isdigit() or not parts.isdigit() or not 1 <= int(part) <= int(parts):
        raise argparse.ArgumentTypeError(f"{text} is no part, such as 1/3")
    return int(part), int(parts)


def _world(place: Path) -> FaultWorld:
    is_new = not (place / "made").exists()
    world = make_world(place, appointments=APPOINTMENTS, changed=marked)
    if is_new:
        rules = world.file("serving/worklist.toml")
        rules.write_text(rules.read_text().replace("carry_through = []", CARRIED))
    return world


def _search(world: FaultWorld) -> MarkSearch:
    listed = pq.read_table(world.file("next.parquet"), columns=["appointment_id", "patient_id"]).slice(0, IDENTIFIERS)
    return MarkSearch(hashed(name for row in listed.to_pylist() for name in row.values() if name))


if __name__ == "__main__":
    main()
