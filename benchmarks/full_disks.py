"""Verbs and the service on a full disk, on one that is read-only, and without permissions: refused, and done later?

The claim: whatever a disk refuses, a verb ends with one sentence, nothing in the home is half written (`doctor` finds
it sound), and the verb run again, once there is room, does all of its work. Each run has a copy of a small home (see
`home_faults`) on a disk in memory of its own, also for temporary files. For the full disk, what the verb writes at most
is measured first, and then it runs with a share of that free: 0/20 to 19/20. Without permissions, a process of another
account (nobody) meets a home that is not its own, and then its own home with one folder closed.
`python -m benchmarks.full_disks [--sizes 20] [--verbs ...] [--minutes 14]`, as root on Linux, since it mounts disks.
"""

import argparse
import csv
import importlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from benchmarks.home_faults import (
    DOORS,
    LISTED,
    Door,
    Outcome,
    World,
    audit,
    command,
    digest,
    judged,
    keep_from_collection,
    load_what_is_loaded_by,
    made,
    outcome_of,
    outcomes,
    start_door,
    warmed,
)
from pyarrow.csv import write_csv

APPOINTMENTS, MOST_MB, NOBODY, USAGE = 10_000, 400, 65_534, 2
TO_RECORD, TO_UPLOAD, LIST_WORKED_ON = "to_record.csv", "weekly.csv", "list_id"
FOLDERS = ("decisions", "history", "keys", "lists", "mlruns", "outcomes", "published", "tested")


def train(world: World, home: Path, _place: Path) -> Outcome:
    """The command `train`: whether there is one version more, and no unfinished one."""
    from dnapredict.registry import Registry

    config = world.place / "config.toml"
    code, said = command("train", str(world.extract), "--config", str(config), "--home", str(home))
    return Outcome(code, "" if code else f"{Registry(home).has('2')} {Registry(home).has('3')}", said)


def score(world: World, home: Path, place: Path) -> Outcome:
    """The command `score`, with its worklist."""
    out = place / "worklist.csv"
    code, said = command("score", str(world.weekly), "--out", str(out), "--home", str(home))
    return Outcome(code, digest(out.read_bytes()) if out.exists() else "", said)


def refresh(world: World, home: Path, _place: Path) -> Outcome:
    """The command `refresh`: the rows of the history."""
    code, said = command("refresh", str(world.extract), "--home", str(home))
    if code:
        return Outcome(code, "", said)
    name = (home / "history" / "CURRENT").read_text(encoding="ascii").split("\n")[0]
    return Outcome(code, digest((home / "history" / name / "counts.arrow").read_bytes()), said)


def record(world: World, home: Path, _place: Path) -> Outcome:
    """The command `log record`: ten outcomes, each recorded once."""
    listed = (world.place / LIST_WORKED_ON).read_text()
    code, said = command("log", "record", str(world.place / TO_RECORD), "--list", listed, "--home", str(home))
    return Outcome(code, "" if code else str(recorded(home, listed)), said)


def write_inputs(world: World) -> None:
    """The list that is uploaded, and what `record` reads: outcomes of ten appointments without a recorded one."""
    write_csv(pq.read_table(world.weekly), world.place / TO_UPLOAD)
    (listed,) = (path.stem for path in (world.home / "lists").glob("*.contacts"))
    (world.place / LIST_WORKED_ON).write_text(listed)
    shutil.rmtree(world.home / "uploads", ignore_errors=True)  # doctor would name them once their half hour is over
    with (world.place / "worklist.csv").open(encoding="utf-8", newline="") as file:
        rows = [row["appointment_id"] for row in csv.DictReader(file) if row["selected"] == "false"]
    with (world.place / TO_RECORD).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("appointment_id", "outcome"), *((each, "no_answer") for each in rows[30:40])])


def recorded(home: Path, listed: str) -> int:
    """The outcomes on a list in the scoring log."""
    from sqlalchemy import func, select

    from dnapredict.service.log.log_tables import ACTIONS
    from dnapredict.service.log.scoring_log import ScoringLog

    log = ScoringLog(home)
    try:
        ((count,),) = log.query(select(func.count()).where(ACTIONS.c.list == listed))
        return int(count)
    finally:
        log.close()


def upload(world: World, home: Path, _place: Path) -> Outcome:
    """An upload to the service: the rows of its answer, or the sentence of its refusal."""
    from starlette.testclient import TestClient

    from dnapredict.config.service_config import served_config
    from dnapredict.errors import DnapredictError
    from dnapredict.service import app

    key = (world.place / "key").read_text()
    try:
        champion = app.champion_of(home)
        champion.refresh()
        built = app.build(home, champion, config=served_config())
        with TestClient(built.to_asgi(), base_url="http://127.0.0.1") as client:
            files = {"file": ("weekly.csv", (world.place / TO_UPLOAD).read_bytes())}
            answer = client.post("/v1/lists", files=files, headers={"authorization": f"Bearer {key}"})
    except DnapredictError as error:
        return Outcome(error.exit_code, "", f"Error: {error}\n")
    told = answer.json()
    if answer.is_success:
        return Outcome(0, f"{len(told['results'])} of {LISTED}", "")
    sentence = str(told.get("error", told))
    return Outcome(14 if answer.status_code in (503, 507) else answer.status_code, "", f"Error: {sentence}\n")


VERBS = {
    "train": train,
    "audit": audit,
    "score": score,
    "refresh": refresh,
    "outcomes": outcomes,
    "upload": upload,
    "record": record,
}


@dataclass(frozen=True)
class Disk:
    """A disk in memory with a copy of the home, and a folder for temporary files."""

    place: Path

    @contextmanager
    def of(self, world: World) -> Iterator["Disk"]:
        """Mount it, with a home and room, and remove it at the end."""
        self.place.mkdir()
        mount("-t", "tmpfs", "-o", f"size={MOST_MB}m,mode=755", "tmpfs", str(self.place))
        try:
            shutil.copytree(world.home, self.home)
            (self.place / "tmp").mkdir()
            yield self
        finally:
            subprocess.run(["umount", "-l", str(self.place)], check=True)
            self.place.rmdir()

    @property
    def home(self) -> Path:
        """The home on it."""
        return self.place / "home"

    @property
    def used(self) -> int:
        """Bytes that are in use."""
        state = os.statvfs(self.place)
        return (state.f_blocks - state.f_bfree) * state.f_frsize

    def leave(self, free: int) -> None:
        """Leave so many bytes free."""
        mount("-o", f"remount,size={self.used + free}", str(self.place))

    def enlarge(self) -> None:
        """Make room, and let everybody write."""
        mount("-o", f"remount,rw,size={MOST_MB}m", str(self.place))

    def give_to(self, account: int) -> None:
        """Make everything on it the property of another account."""
        for top, folders, files in os.walk(self.place):
            for name in (".", *folders, *files):
                os.chown(Path(top) / name, account, account)

    def protect(self) -> None:
        """Make it read-only."""
        mount("-o", "remount,ro", str(self.place))


def mount(*words: str) -> None:
    """The system's command."""
    subprocess.run(["mount", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Bench:
    """Where runs take place: the world, a folder on an ordinary disk, and when to end (monotonic)."""

    world: World
    folder: Path
    until: float

    def disk(self) -> AbstractContextManager[Disk]:
        """A disk with a copy of the home."""
        return Disk(self.folder / "disk").of(self.world)

    def went(self, verb: str, disk: Disk, *, account: int = 0, peak: list[int] | None = None) -> Outcome:
        """Run a verb on a disk in a child; `peak` gets the most bytes that were in use."""
        told = Path(tempfile.mkdtemp(dir=self.folder))
        told.chmod(0o777)
        pid = start_door(on_disk(verb), self.world, disk.home, disk.place, told=told, account=account)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if peak is not None:
                peak.append(disk.used)
            time.sleep(0.003)
        outcome = outcome_of(told, ended[1])
        shutil.rmtree(told)
        return outcome

    def trouble(self, verb: str, disk: Disk, sound: Outcome) -> str:
        """Run a verb on a disk that refuses something, then with room: what was wrong, "" if nothing was."""
        first = self.went(verb, disk)
        disk.enlarge()
        if (verdict := judged(first, sound, "")) not in ("same", "refused"):
            return f"{verdict}: {first.said[-500:]}"
        checked = self.went("doctor", disk)
        if checked.code:
            return f"{verdict}, and then doctor: {first.said[-300:]} {checked.said[-500:]}"
        if verdict == "same":
            return ""
        again = self.went(verb, disk)
        is_done = again.code == 0 and again.answer == sound.answer
        return "" if is_done else f"again: {again.code} {again.answer}, not {sound.answer}: {again.said[-500:]}"

    def full(self, verb: str, sizes: int) -> Iterator[tuple[str, str]]:
        """Each size of free space by its name, and what was wrong; then a read-only disk."""
        with self.disk() as disk:
            before, peak = disk.used, [0]
            sound = self.went(verb, disk, peak=peak)
            if sound.code:
                raise SystemExit(f"{verb}: undamaged, it gives {sound}")
        most = max(4_096 * sizes, max(peak) - before)
        for part in range(sizes):
            with self.disk() as disk:
                disk.leave(most * part // sizes)
                yield f"{verb}, {most * part // sizes:,} of {most:,} bytes free", self.trouble(verb, disk, sound)
        with self.disk() as disk:
            disk.protect()
            yield f"{verb}, read-only", self.trouble(verb, disk, sound)

    def forbidden(self, verb: str) -> Iterator[tuple[str, str]]:
        """Each lack of permissions by its name, and what was wrong."""
        with self.disk() as disk:
            disk.home.chmod(0o700)
            yield f"{verb}, home of another account", refusal(self.went(verb, disk, account=NOBODY))
        for name in FOLDERS:
            with self.disk() as disk:
                disk.give_to(NOBODY)
                (disk.home / name).chmod(0)
                yield f"{verb}, {name} closed", refusal(self.went(verb, disk, account=NOBODY), also_done=True)


def on_disk(verb: str) -> Door:
    """A verb with its temporary files on the disk."""

    def door(world: World, home: Path, place: Path) -> Outcome:
        os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
        return {**DOORS, **VERBS}[verb](world, home, place)

    return door


def refusal(outcome: Outcome, *, also_done: bool = False) -> str:
    """What is wrong with a refusal, "" if nothing is; `also_done`: or with a verb that did not need what is closed."""
    if outcome.code == USAGE and "Error: " in outcome.said:
        return ""
    verdict = judged(outcome, Outcome(0, outcome.answer, ""), "")
    return "" if verdict == "refused" or (also_done and verdict == "same") else f"{verdict}: {outcome.said[-500:]}"


def main() -> None:
    """Print what came of the runs, and write benchmarks/out/full_disks.json."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sizes", type=int, default=20)
    asked.add_argument("--verbs", nargs="*", choices=list(VERBS), default=list(VERBS))
    asked.add_argument("--minutes", type=float, default=14, help="end after so long with the runs done by then")
    asked.add_argument("--world", type=Path)
    given = asked.parse_args()
    began = time.monotonic()
    importlib.import_module("netrc")  # of the client of `upload`: another account may not read Python's own folder
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        world = made((given.world or folder / "world").resolve(), appointments=APPOINTMENTS)
        write_inputs(world)
        open_to_all(world.place)
        warmed(world, ("score", "service", "doctor", "outcomes"), folder)
        for verb in sorted({*given.verbs} - {*DOORS}):
            load_what_is_loaded_by(VERBS[verb], world, folder)
        keep_from_collection()
        found = measured(Bench(world, folder, began + 60 * given.minutes), given)
    found["seconds"] = round(time.monotonic() - began)
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "full_disks.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1), flush=True)
    os._exit(bool(found["wrong"]))  # the engines that were opened before the forks report leaks otherwise


def open_to_all(place: Path) -> None:
    """Let another account read the extract and the lists; a home in a copy has its own permissions."""
    place.chmod(0o755)
    for path in place.iterdir():
        if path.is_file():
            path.chmod(0o644)


def measured(bench: Bench, given: argparse.Namespace) -> dict[str, object]:
    """Counts by verb, and each run in which something was wrong."""
    counts: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    runs = [runs for verb in given.verbs for runs in (bench.full(verb, given.sizes), bench.forbidden(verb))]
    for name, trouble in itertools.chain.from_iterable(runs):
        counts[name.split(",")[0]] += 1
        print(name, "WRONG" if trouble else "held", flush=True, file=sys.stderr)
        if trouble:
            wrong[name] = trouble
        if time.monotonic() > bench.until:
            break
    return {"runs": counts.total(), "counts": dict(counts), "wrong": wrong}


if __name__ == "__main__":
    main()
