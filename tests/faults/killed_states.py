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
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.faulted_verbs import FaultedVerb, FaultWorld
from tests.faults.home_readings import Reading, half, lost, read
from tests.faults.interposed_process import Ended, Point, held, ran

__all__ = ["Judged", "KilledStates", "Reference", "reference"]

_SIDE_FILES = ("-shm",)
_OF_DATABASES = ("-wal", "-journal")
_OLD_SECONDS = 2 * 86_400
_RANDOM = re.compile(
    r"[0-9]{8}T[0-9]{12}|(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{16}|m-[0-9a-f]{32})(?![0-9a-f])|-[a-z0-9_]{8}$"
)


@dataclass(frozen=True)
class Reference:
    """A verb that was not killed: what the place says before it, after it, and after it was run once more."""

    old: Reading
    new: Reading
    again: Reading
    names: frozenset[str]
    again_code: int


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
                (self.store / f"{digest}.json").write_text(text)
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
        return hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()[:20]

    def _database(self, blobs: tuple[str, ...]) -> str:
        if blobs not in self._recovered:
            with tempfile.TemporaryDirectory() as folder:
                for blob, end in zip(blobs, ("", *_OF_DATABASES), strict=True):
                    if blob:
                        shutil.copyfile(self.store / "blobs" / blob, Path(folder) / f"x.db{end}")
                self._recovered[blobs] = _recovered(Path(folder) / "x.db")
        return self._recovered[blobs]

    def _manifest(self) -> list[tuple[str, int, str]]:
        found, known = [], {}
        for path in sorted(self.place.rglob("*")):
            name = path.relative_to(self.place).as_posix()
            if name.endswith(_SIDE_FILES):
                continue
            state = path.lstat()
            if stat.S_ISDIR(state.st_mode):
                found.append((name, 0o700, ""))
                continue
            signature = (state.st_ino, state.st_size, state.st_mtime_ns)
            before = self._known.get(name)
            if before is None or before[0] != signature or str(path) in self._dirty:
                before = (signature, self._kept(path))
            known[name] = before
            found.append((name, state.st_mode & 0o777, before[1]))
        self._known = known
        return found

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
        for name, mode, content in json.loads((self.store / f"{digest}.json").read_text()):
            path = self.place / name
            if not content:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                shutil.copyfile(self.store / "blobs" / content, path)
                path.chmod(mode)


def _recovered(path: Path) -> str:
    """A digest of every row of a database, once SQLite has undone what was not committed."""
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


def reading_of(place: Path) -> Reading:
    """What the place says, read in a child."""
    out = place.parent / "reading.json"

    def work() -> int:
        out.write_text(json.dumps(read(place)))
        return 0

    ended = ran(work)
    if ended.code:
        raise RuntimeError(f"the home cannot be read: {ended.code} {ended.said[-2000:]}")
    found: Reading = json.loads(out.read_text())
    return found


def reference(verb: FaultedVerb, world: FaultWorld, place: Path) -> Reference:
    """Run the verb in `place` twice."""
    old = reading_of(place)
    readings, names = [], frozenset[str]()
    for _ in range(2):
        ended = ran(lambda: verb.work(world, place))
        readings.append(reading_of(place))
        names = names or frozenset(_names(place))
        if ended.code not in verb.codes and not readings[1:]:
            raise SystemExit(f"{verb.name}: {ended.code} {ended.said[-3000:]}")
    return Reference(old, readings[0], readings[1], names, ended.code)


def judge(verb: FaultedVerb, world: FaultWorld, place: Path, known: Reference) -> Judged:
    """Judge the state of `place`, which is changed by it."""
    now = reading_of(place)
    unsound = [each for each in _findings(place, "examine") if not _is_refused(verb, [each])]
    missing = lost(known.old, known.new, now)
    strange = {part: what for part, what in half(known.old, known.new, now).items() if not _is_refused(verb, what)}
    _age(path for path in place.rglob("*") if path.name.startswith("."))
    ended = ran(lambda: verb.work(world, place))
    after = reading_of(place)
    # Where the work was done before the kill, it is done a second time, which a verb may refuse.
    codes = (*verb.codes, known.again_code) if now == known.new else verb.codes
    rerun = [] if ended.code in codes else [f"exit {ended.code}: {_end_of(ended)}"]
    rerun += [
        f"{part}: {sorted(set(after[part]) ^ set(known.new[part]))[:4]}"
        for part in known.new
        if after[part] not in (known.new[part], known.again[part])
    ]
    _age((place / "home").rglob("*"))
    left = _findings(place, "mend")
    strangers = sorted({name for name in set(_names(place)) - known.names if not _is_expected(name)})
    return Judged(
        tuple(f"{part}: {gone[:3]}" for part, gone in missing.items()),
        tuple(f"{part}: {what[:3]}" for part, what in strange.items()),
        tuple(unsound),
        tuple(rerun),
        (*left, *strangers),
    )


def _is_refused(verb: FaultedVerb, what: list[str]) -> bool:
    return bool(verb.refusal) and all(verb.refusal in each for each in what)


def _end_of(ended: Ended) -> str:
    return " ".join(ended.said.split())[-300:]


def _findings(place: Path, how: str) -> list[str]:
    """Findings of `doctor` that it does not mend."""
    out = place.parent / "findings.json"

    def work() -> int:
        from dnapredict.service.home_checks import examination

        found = getattr(examination, how)(place / "home").findings
        out.write_text(json.dumps([str(each) for each in found if each.repair is None or how == "mend"]))
        return 0

    ended = ran(work)
    found: list[str] = json.loads(out.read_text()) if not ended.code else [f"doctor ended with {ended.code}"]
    return found


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
            yield _RANDOM.sub("#", path.relative_to(place).as_posix())


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
