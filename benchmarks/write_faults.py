"""Verbs and routes killed at every write: is the home old or new, and does running again mend it?

The claim: at no point of a verb does a kill leave a state that is neither the old nor the new, lose a decision, an
opt-out, an outcome or an answer, or leave a file that neither the next run nor `dnapredict doctor --repair` removes;
and the verb that is run again gives what it gives without the kill. A library (tests/faults/write_interposer.c) stops
the process before each step that writes, and with half of the bytes of each write written; what is on the disk then
is what SIGKILL leaves there. States that differ in nothing that is read (drafts, and databases whose committed rows
are the same) are judged once.

`python -m benchmarks.write_faults [--verbs ...] [--world DIR] [--minutes 11] [--killed VERB=N ...]`. It makes a small
trust, which is kept in DIR with the verdicts if that is given. States are judged in an order that is spread evenly over
the verb; where running the verb again takes too long for all of them within `--minutes`, most of the rest are judged by
what they say alone ("read", and not "run again"). What is not reached is judged by the same command with the same DIR.
Finding the points of a verb comes on top of `--minutes`: seconds for most verbs, several minutes for `cycle`.
With `--killed` processes are really killed, at N points of these verbs spread over all kinds of steps. It needs Linux,
gcc.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.faults.faulted_verbs import VERBS, FaultedVerb, FaultWorld, make_world, warm
from tests.faults.interposed_process import Point, interposer, is_loaded, killed, ran, restarted
from tests.faults.killed_states import (
    Judged,
    KilledStates,
    Reference,
    all_states,
    judge,
    judge_reading,
    reference,
)

RUN_AGAIN_ANYWAY = 8


class Bench:
    """A world, and a folder in which its home is copied, killed and judged."""

    def __init__(self, world: FaultWorld) -> None:
        self._world = world
        self._work = world.place / "work"
        self._run = self._work / "run"

    def all_points(self, verb: FaultedVerb, *, seconds: float) -> dict[str, object]:
        """Judge the states in which a kill would leave the verb; it goes on where an earlier run has ended.

        Each by running the verb again while there is time to read the others; else only one in eight.
        """
        known = self._reference(verb)
        self._fresh(verb)
        states, ended = all_states(verb, self._world, self._run, self._work / "states")
        if ended.code not in verb.codes:
            raise SystemExit(f"{verb.name}: {ended.code} {ended.said[-2000:]}")
        until = time.monotonic() + seconds
        kept = Verdicts(self._work / f"{verb.name}.json")
        open_ = [meaning for meaning in evenly(list(states.first)) if meaning not in kept.again]
        seconds_to_read = 0.0
        for judged, meaning in enumerate([*open_[:1], *open_]):  # the first is read, to know how long that takes
            point, began = states.first[meaning], time.monotonic()
            unread = sum(each not in kept.read for each in open_)
            if judged and began > until:
                break
            states.restore(meaning)
            if judged and (began + seconds_to_read * unread < until or judged % RUN_AGAIN_ANYWAY == 1):
                found = judge(verb, self._world, self._run, known)
                kept.note(meaning, self._told(verb, point, found), is_again=True)
            elif meaning not in kept.read:
                found = judge_reading(verb, self._run, known)
                kept.note(meaning, self._told(verb, point, found), is_again=False)
                seconds_to_read = time.monotonic() - began
        shutil.rmtree(self._work / "states")
        return self._row(verb, states, kept)

    def some_points(self, verb: FaultedVerb, kills: int) -> dict[str, object]:
        """Kill processes of the verb, and judge what each leaves."""
        known = self._reference(verb)
        found: list[Judged] = []
        for point in spread(known.points, kills):
            self._fresh(verb)
            ended, _ = killed(lambda: verb.work(self._world, self._run), (self._run,), at=point.number)
            if ended.code >= 0:  # it wrote less this time
                continue
            found.append(judge(verb, self._world, self._run, known))
            self._told(verb, point, found[-1])
        return {
            "verb": verb.name,
            "points": len(known.points),
            "killed": len(found),
            **counts([asdict(each) for each in found]),
        }

    def _row(self, verb: FaultedVerb, states: KilledStates, kept: "Verdicts") -> dict[str, object]:
        verdicts = {**kept.read, **kept.again}
        return {
            "verb": verb.name,
            "points": len(states.points),
            "states": len(states.first),
            "read": sum(meaning in verdicts for meaning in states.first),
            "run again": sum(meaning in kept.again for meaning in states.first),
            **counts([verdicts[meaning] for meaning in states.first if meaning in verdicts]),
        }

    def _told(self, verb: FaultedVerb, point: Point, judged: Judged) -> "Verdict":
        wrong = {name: list(what) for name, what in vars(judged).items() if what}
        if wrong:
            path = point.path.replace(str(self._run), "")
            print(f"{verb.name} at {point.number} ({point.kind} {path}): {json.dumps(wrong)[:1500]}", flush=True)
        return wrong

    def _reference(self, verb: FaultedVerb) -> Reference:
        self._fresh(verb)
        return reference(verb, self._world, self._run)

    def _fresh(self, verb: FaultedVerb) -> None:
        base = self._base(verb.before)
        shutil.rmtree(self._run, ignore_errors=True)
        shutil.copytree(base, self._run)
        verb.prepare(self._world, self._run)

    def _base(self, name: str) -> Path:
        """The home and outputs after the verb of that name, which are made once."""
        place = self._work / "bases" / (name or "world")
        if not place.exists() and not name:
            shutil.copytree(self._world.home, place / "home")
            (place / "out").mkdir()
        elif not place.exists():
            self._fresh(VERBS[name])
            ended = ran(lambda: VERBS[name].work(self._world, self._run))
            if ended.code not in VERBS[name].codes:
                raise SystemExit(f"{name}: {ended.code} {ended.said[-2000:]}")
            self._run.rename(place)
        return place


Verdict = dict[str, list[str]]
"""What is wrong with a state, by kind."""


class Verdicts:
    """The verdicts of a verb's states by their digest, kept in a file: of those that were read, and run again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.read: dict[str, Verdict] = {}
        self.again: dict[str, Verdict] = {}
        if path.exists():
            self.read, self.again = json.loads(path.read_text())

    def note(self, meaning: str, verdict: Verdict, *, is_again: bool) -> None:
        """Keep a verdict."""
        (self.again if is_again else self.read)[meaning] = verdict
        self._path.write_text(json.dumps([self.read, self.again]))


def evenly(items: list[str]) -> list[str]:
    """All, in an order of which every beginning is spread evenly over the list: its first, its middle, its quarters."""
    width = max(1, (len(items) - 1).bit_length())
    places = (int(f"{at:0{width}b}"[::-1], 2) for at in range(2**width))
    return [items[place] for place in places if place < len(items)]


def spread(points: list[Point], kills: int) -> list[Point]:
    """So many points: the first and last of each kind of step in turn, then others at equal distances."""
    kinds: dict[str, list[Point]] = {}
    for point in points:
        kinds.setdefault(point.kind, []).append(point)
    ends = [each[at] for at in (-1, 0) for each in sorted(kinds.values(), key=len)]
    others = points[:: max(1, len(points) // kills)]
    return list(dict.fromkeys([*ends, *others]))[:kills]


def counts(verdicts: list[Verdict]) -> dict[str, int]:
    """How many states have something wrong of each kind."""
    found = Counter(name for verdict in verdicts for name, what in verdict.items() if what)
    return {name: found[name] for name in ("lost", "half", "unsound", "rerun", "left")}


def main() -> None:
    """Print a table, and write benchmarks/out/write_faults.json; exit 1 where something is wrong."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--verbs", nargs="*", choices=list(VERBS), default=list(VERBS))
    asked.add_argument("--world", type=Path)
    asked.add_argument("--minutes", type=float, default=11, help="for the states of each verb")
    asked.add_argument("--killed", nargs="*", type=_kills_of, default=[], metavar="VERB=N")
    given = asked.parse_args()
    if given.world is None:
        with tempfile.TemporaryDirectory() as folder:
            again = [sys.executable, "-m", "benchmarks.write_faults", *sys.argv[1:], "--world", f"{folder}/world"]
            sys.exit(subprocess.run(again, check=False).returncode)
    sys.exit(measure(given, given.world.resolve()))


def _kills_of(text: str) -> tuple[str, int]:
    name, _, kills = text.partition("=")
    if name not in VERBS:
        raise argparse.ArgumentTypeError(f"{name} is no verb")
    return name, int(kills)


def measure(given: argparse.Namespace, place: Path) -> int:
    """Do all verbs; return the exit code."""
    if not is_loaded():
        made = ran(lambda: 0 if make_world(place) else 1)  # no thread of an engine lives in the process that forks
        if made.code:
            raise SystemExit(made.said)
        restarted(interposer(place))
    world = FaultWorld(place)
    warm(world)
    bench, rows = Bench(world), []
    wanted: list[tuple[str, int]] = given.killed or [(name, 0) for name in given.verbs]
    for name, kills in wanted:
        verb = VERBS[name]
        began = time.monotonic()
        row = bench.some_points(verb, kills) if kills else bench.all_points(verb, seconds=60 * given.minutes)
        row["seconds"] = round(time.monotonic() - began)
        print(json.dumps(row), flush=True)
        rows.append(row)
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "write_faults.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(row[name] for row in rows for name in counts([])) else 0


if __name__ == "__main__":
    main()
