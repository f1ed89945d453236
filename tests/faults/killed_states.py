"""The states in which kills leave a place, kept once each, and judged: old or new, mended, nothing lost."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from tests.faults.faulted_verbs import FaultedVerb, FaultWorld
from tests.faults.home_readings import Reading, half, lost, read
from tests.faults.interposed_process import Ended, Point, held, killed, ran

__all__ = ["Judged", "KilledStates", "Reference", "reference"]

_SIDE_FILES = ("-shm",)
_OF_DATABASES = ("-wal", "-journal")
_OLD_SECONDS = 2 * 86_400
_RANDOM = re.compile(
    r"[0-9]{8}T[0-9]{12}|(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16}|m-[0-9a-f]{32})(?![0-9a-f])|-[a-z0-9_]{8}$"
)

_WITH_VERSIONS = ("ledger", "versions", "models", "challenger")
_CARD = re.compile(r"(?<=models/cards/)\d+(?=\.md$)")
_IN_A_DRAFT = re.compile(r"(?:^|/)\.#-[^/]+/")  # a draft goes as a whole


@dataclass
class Reference:
    """A verb that was not killed: what the place says before it and after it, what `doctor` finds then, its points."""

    verb: FaultedVerb
    world: FaultWorld
    place: Path
    old: Reading
    new: Reading
    findings: list[str]
    points: list[Point]

    @property
    def _after(self) -> Path:
        """A copy of the place after the verb."""
        return self.place.with_name("after")

    @cached_property
    def names(self) -> frozenset[str]:
        """The files after the verb."""
        return frozenset(_names(self._after))

    @cached_property
    def again(self) -> tuple[int, Reading]:
        """The exit code and what the place says after the verb was run once more; `place` is changed by it."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self._after, self.place)
        ended = ran(lambda: self.verb.work(self.world, self.place))
        return ended.code, _said_by(self.place).reading


@dataclass(frozen=True)
class Judged:
    """What is wrong with a state; empty where nothing is."""

    lost: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    unsound: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.half or self.unsound or self.rerun or self.left)


@dataclass
class KilledStates:
    """Each state in which a kill would leave `place`, by its digest, with the first point at which it is met."""

    place: Path
    store: Path
    points: list[Point] = field(default_factory=list)
    raw: set[str] = field(default_factory=set)
    first: dict[str, Point] = field(default_factory=dict)
    _recovered: dict[tuple[str, ...], str] = field(default_factory=dict)
    _rows: dict[bytes, str] = field(default_factory=dict)
    _known: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    _dirty: set[str] = field(default_factory=set)

    def look(self, point: Point) -> None:
        """Keep the state before this point."""
        manifest = self._manifest()
        text = json.dumps(manifest)
        raw = hashlib.sha256(text.encode()).hexdigest()[:20]
        if raw not in self.raw:
            self.raw.add(raw)
            digest = self._meaning(manifest)
            if digest not in self.first:
                self.first[digest] = point
                times = {name: signature[2] for name, (signature, _) in self._known.items()}
                (self.store / f"{digest}.json").write_text(json.dumps([manifest, times]))
        self.points.append(point)
        self._dirty = {point.path}

    def _meaning(self, manifest: list[tuple[str, int, str]]) -> str:
        """The digest of a state, in which a draft counts by its presence and a database by what SQLite makes of it."""
        files = {name: content for name, _, content in manifest}
        found = []
        for name, mode, content in manifest:
            if name.endswith(_OF_DATABASES):
                continue
            if name.endswith(".db"):
                meaning = self._database(tuple(files.get(name + end, "") for end in ("", *_OF_DATABASES)))
            elif any(part.startswith((".", "dnapredict-")) for part in Path(name).parts):
                meaning = "draft"
            else:
                meaning = content
            found.append((_RANDOM.sub("#", name), mode, meaning))
        found = [each for each in found if not _IN_A_DRAFT.search(each[0])]
        return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()[:20]

    def _database(self, blobs: tuple[str, ...]) -> str:
        if blobs not in self._recovered:
            with tempfile.TemporaryDirectory() as folder:
                for blob, end in zip(blobs, ("", *_OF_DATABASES), strict=True):
                    if blob:
                        shutil.copyfile(self.store / "blobs" / blob, Path(folder) / f"x.db{end}")
                path = Path(folder) / "x.db"
                if any(blobs[1:]):
                    _undo_what_was_not_committed(path)
                content = hashlib.sha256(path.read_bytes()).digest() if path.exists() else b""
                if content not in self._rows:  # within a transaction it is again what it was before
                    self._rows[content] = _rows_of(path)
                self._recovered[blobs] = self._rows[content]
        return self._recovered[blobs]

    def _manifest(self) -> list[tuple[str, int, str]]:
        found, known = [], {}
        for path, state in _entries(str(self.place)):
            name = path[len(str(self.place)) + 1 :]
            if name.endswith(_SIDE_FILES):
                continue
            if stat.S_ISDIR(state.st_mode):
                found.append((name, 0o700, ""))
                continue
            signature = (state.st_ino, state.st_size, state.st_mtime_ns)
            before = self._known.get(name)
            if before is None or before[0] != signature or path in self._dirty:
                before = (signature, self._kept(Path(path)))
            known[name] = before
            found.append((name, state.st_mode & 0o777, before[1]))
        self._known = known
        return sorted(found)

    def _kept(self, path: Path) -> str:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:20]
        blob = self.store / "blobs" / digest
        if not blob.exists():
            blob.parent.mkdir(exist_ok=True)
            blob.write_bytes(content)
        return digest

    def restore(self, digest: str) -> None:
        """Bring `place` into a kept state."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        manifest, times = json.loads((self.store / f"{digest}.json").read_text())
        for name, mode, content in manifest:
            path = self.place / name
            if not content:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                shutil.copyfile(self.store / "blobs" / content, path)
                path.chmod(mode)
                os.utime(path, ns=(times[name], times[name]))  # what is deleted for its age is deleted again


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """All beneath a folder, each with its state. Not `Path.rglob`, which takes four times as long at each point."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def _undo_what_was_not_committed(path: Path) -> None:
    """Roll back unfinished transactions: SQLite does so when the database is opened next."""
    with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error):
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


def _rows_of(path: Path) -> str:
    """A digest of every row of a database."""
    digest = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            digest.update(repr(connection.execute("PRAGMA integrity_check").fetchall()).encode())
            tables = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name, type").fetchall()
            for name, made in tables:
                digest.update(repr((name, made)).encode())
                if made and made.startswith("CREATE TABLE"):
                    digest.update(repr(sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"')))).encode())
        except sqlite3.Error as error:
            digest.update(repr(error).encode())
    return digest.hexdigest()[:20]


@dataclass(frozen=True)
class _Said:
    """What a place says, and what `doctor` finds in its home and does not mend."""

    reading: Reading
    findings: list[str]


def _said_by(place: Path, *, doctor: str = "", doctor_first: bool = False) -> _Said:
    """Read a place in a child, with `examine` or `mend` of `doctor`, before the reading or after it."""
    out = place.parent / "said.json"

    def findings() -> list[str]:
        from dnapredict.service.home_checks import examination

        found = examination.examine(place / "home").findings if doctor else ()
        if doctor == "mend" and any(each.repair for each in found):  # it examines twice
            found = examination.mend(place / "home").findings
        return [str(each) for each in found if each.repair is None or doctor == "mend"]

    def work() -> int:
        found = findings() if doctor_first else []
        reading = read(place)
        out.write_text(json.dumps([reading, found if doctor_first else findings()]))
        return 0

    ended = ran(work)
    if ended.code:
        raise RuntimeError(f"the home cannot be read: {ended.code} {ended.said[-2000:]}")
    return _Said(*json.loads(out.read_text()))


def reference(verb: FaultedVerb, world: FaultWorld, place: Path) -> Reference:
    """Run the verb in `place`, with its points numbered."""
    old = _said_by(place).reading
    ended, points = killed(lambda: verb.work(world, place), (place,), at=0)
    if ended.code not in verb.codes:
        raise SystemExit(f"{verb.name}: {ended.code} {ended.said[-3000:]}")
    new = _said_by(place, doctor="examine", doctor_first=True)
    known = Reference(verb, world, place, old, new.reading, new.findings, points)
    shutil.rmtree(known.place.with_name("after"), ignore_errors=True)
    shutil.copytree(place, known.place.with_name("after"))
    return known


def judge(verb: FaultedVerb, world: FaultWorld, place: Path, known: Reference) -> Judged:
    """Judge the state of `place` by what it says and by running the verb again; it is changed by that."""
    now, judged = _read(verb, place, known)
    return replace(judged, **_run_again(verb, world, place, known, now=now))


def judge_reading(verb: FaultedVerb, place: Path, known: Reference) -> Judged:
    """Judge the state of `place` by what it says alone, where running the verb again would take too long."""
    return _read(verb, place, known)[1]


def _read(verb: FaultedVerb, place: Path, known: Reference) -> tuple[Reading, Judged]:
    said = _said_by(place, doctor="examine", doctor_first=True)
    now = said.reading
    missing = lost(known.old, known.new, now)
    strange = {part: what for part, what in half(known.old, known.new, now).items() if not _is_refused(verb, what)}
    return now, Judged(
        lost=tuple(f"{part}: {gone[:3]}" for part, gone in missing.items()),
        half=tuple(f"{part}: {what[:3]}" for part, what in strange.items()),
        unsound=tuple(each for each in said.findings if each not in known.findings and not _is_refused(verb, [each])),
    )


def _run_again(
    verb: FaultedVerb, world: FaultWorld, place: Path, known: Reference, *, now: Reading
) -> dict[str, tuple[str, ...]]:
    """What is wrong once the verb was run again, two days have passed and `doctor` has mended: "rerun" and "left"."""
    _age(path for path in place.rglob("*") if path.name.startswith("."))
    ended = ran(lambda: verb.work(world, place))
    _age((place / "home").rglob("*"))
    mended = _said_by(place, doctor="mend")
    after, names = mended.reading, frozenset(_names(place))
    rerun = [] if ended.code in verb.codes else [f"exit {ended.code}: {_end_of(ended)}"]
    changed = [part for part in known.new if after[part] != known.new[part]]
    if rerun or changed:
        # Where the work was done before the kill, it is done a second time, which a verb may refuse.
        code, again = known.again
        if now == known.new and ended.code == code:
            rerun = []
        changed = [part for part in changed if after[part] != again[part]]
        if verb.version and all(part in _WITH_VERSIONS for part in changed):
            facts = _renumbered(verb, after)
            # As sets: a step that was entered in the ledger, and not yet noted as done, is done again.
            changed = [part for part in changed if set(facts[part]) != set(known.new[part])]
    rerun += [f"{part}: {sorted(set(after[part]) ^ set(known.new[part]))[:4]}" for part in changed]
    strangers = sorted({name for name in names - known.names if not _is_expected(name)})
    findings = (each for each in mended.findings if each not in known.findings)
    return {"rerun": tuple(rerun), "left": (*findings, *strangers, *_unrecorded(place / "home"))}


def _renumbered(verb: FaultedVerb, after: Reading) -> Reading:
    """The reading, in which the version after the one that the verb trains has its number."""
    following = re.compile(rf"(?<![\w.]){int(verb.version) + 1}(?![\w.])")
    return after | {part: sorted(following.sub(verb.version, each) for each in after[part]) for part in _WITH_VERSIONS}


def _is_refused(verb: FaultedVerb, what: list[str]) -> bool:
    return bool(verb.refusal) and all(verb.refusal in each for each in what)


def _end_of(ended: Ended) -> str:
    return " ".join(ended.said.split())[-300:]


def _age(paths: Iterable[Path]) -> None:
    """Let files be two days old."""
    then = time.time() - _OLD_SECONDS
    for path in list(paths):
        if not path.is_symlink() and path.exists():
            os.utime(path, (then, then))


def _names(place: Path) -> Iterator[str]:
    """Names of files and folders, with what is random in them left out."""
    for path in place.rglob("*"):
        if not path.name.endswith(("-shm", "-wal", "-journal")):
            yield _CARD.sub("#", _RANDOM.sub("#", path.relative_to(place).as_posix()))


def _unrecorded(home: Path) -> list[str]:
    """Kept reports and appointments of no entry of the ledger: their names are digests, which `_names` leaves out."""
    ledger = json.loads((home / "decisions" / "ledger.json").read_text(encoding="utf-8"))
    data = [entry["data"] for entry in ledger["entries"]]
    named = {each.get(key) for each in data for key in ("report", "model", "appointments")}
    kept = [*(home / "mlruns").glob("*/artifacts/audits/[!.]*")]
    kept += [path for path in (home / "tested").rglob("[!.]*") if path.is_file() and path.suffix != ".head"]
    return sorted(f"{path.relative_to(home)} of no entry" for path in kept if path.stem not in named)


def _is_expected(name: str) -> bool:
    return name.endswith(("-journal", "-wal", "-shm"))


def all_states(verb: FaultedVerb, world: FaultWorld, place: Path, store: Path) -> tuple[KilledStates, Ended]:
    """Run the verb in `place`, and keep each state in which a kill would leave it."""
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    states = KilledStates(place, store)
    ended = held(lambda: verb.work(world, place), (place,), look=states.look)
    states.look(Point(len(states.points) + 1, "end", ""))
    return states, ended
