"""Every verb and route of a trust whose patients are marked: as it succeeds, and as it fails."""

import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
from tests.faults.faulted_verbs import DECISION, REVIEWER, VERBS, FaultWorld, cli, verb

__all__ = ["ANY", "MarkedRun", "Work", "failures", "verbs", "with_little_room"]

Work = Callable[[FaultWorld, Path], int]
ANY = tuple(range(256))
LITTLE_DISK = 6_000
_EXTRACTS = ("later.parquet", "short.parquet", "append.parquet")
READ = (
    "check",
    "features",
    "access",
    "train",
    "audit-new",
    "audit-counts",
    "refresh",
    "append",
    "outcomes",
    "monitor",
)


@dataclass(frozen=True)
class MarkedRun:
    """A way in which a verb or route is run.

    Attributes
    ----------
    work
        Does it in a place, and returns the exit code.
    before
        The run whose end is the beginning of this one; "" for the home of the world.
    codes
        Exit codes that are expected.
    is_killed
        Whether it is also killed at some of its writes.
    leaves_drafts
        Whether its own processes are killed, which may leave what the next start removes.
    """

    name: str
    work: Work
    before: str = ""
    codes: tuple[int, ...] = (0,)
    is_killed: bool = False
    leaves_drafts: bool = False


def verbs() -> Iterator[MarkedRun]:
    """Each verb as it succeeds."""
    for name, each in VERBS.items():
        if name not in ("upload", "score-route", "record", "opt-out", "calls-wished"):
            yield MarkedRun(
                name, _prepared(each.prepare, each.work), each.before, (*each.codes, DECISION), is_killed=True
            )
    later, policy = "@later.parquet", ("--model", "1")
    yield from (
        MarkedRun(
            "check", verb_here("check", later, "--report", "OUT/check.json", "--list", "@next.parquet"), is_killed=True
        ),
        MarkedRun("check-suggest", verb_here("check", "@renamed.csv", "--suggest")),
        MarkedRun("factors", verb_here("factors", later)),
        MarkedRun("features", verb_here("features", later, "--out", "OUT/features.parquet"), is_killed=True),
        MarkedRun("access", verb("access", later, "--out", "OUT/access"), codes=(0, DECISION), is_killed=True),
        MarkedRun(
            "audit-new",
            verb("audit", later, *policy, "--out", "OUT/report", "--monthly", "--easy-read"),
            codes=(0, DECISION),
        ),
        MarkedRun(
            "audit-counts",
            verb("audit-counts", later, *policy, "--trust", "T", "--out", "OUT/pool/t.counts.json"),
            is_killed=True,
        ),
        MarkedRun(
            "audit-counts-of-another",
            verb("audit-counts", "@short.parquet", *policy, "--trust", "U", "--out", "OUT/pool/u.counts.json"),
            "audit-counts",
        ),
        MarkedRun(
            "audit-pool",
            verb("audit", "--pool", "OUT/pool", "--out", "OUT/report"),
            "audit-counts-of-another",
            codes=(0, DECISION),
            is_killed=True,
        ),
        MarkedRun("backup", verb("backup", "OUT/backup"), is_killed=True),
        MarkedRun("restore", _restored, "backup", is_killed=True),
        MarkedRun("compare", verb("compare", "2", "1"), "train"),
        MarkedRun("versions", verb("versions")),
        MarkedRun(
            "score-csv",
            verb("score", "@next.parquet", "--out", "OUT/worklist.csv", "--history", "@short.parquet"),
            is_killed=True,
        ),
        MarkedRun("score-challenger", verb("score", "@next.parquet", "--out", "OUT/worklist.csv"), "train"),
        MarkedRun("watch", _watched("@next.parquet"), is_killed=True),
        MarkedRun("monitor", verb("monitor", later, "--out", "OUT/monitor"), codes=(0, DECISION), is_killed=True),
        MarkedRun(
            "trial-report", verb("trial", "report", "--out", "OUT/trial"), "score-trial", codes=(0, 2), is_killed=True
        ),
        MarkedRun("score-trial", verb("score", "@weekly.parquet", "--out", "OUT/worklist.parquet")),
        MarkedRun("trial-plan", verb("trial", "plan")),
        MarkedRun("doctor", verb("doctor"), codes=(0, 14)),
        MarkedRun("doctor-repair", verb("doctor", "--repair"), codes=(0, 14)),
        MarkedRun("keys-create", verb("keys", "create", "x")),
        MarkedRun("keys-person", verb("keys", "create", "--person", "A. Clerk", "--team", "North")),
        MarkedRun("keys-list", verb("keys", "list")),
        MarkedRun("keys-link", _of_key("link"), is_killed=True),
        MarkedRun("keys-revoke", _of_key("revoke"), is_killed=True),
        MarkedRun("keys-personal", verb("keys", "personal", "A. Marks", "--role", "Equality lead"), codes=ANY),
        MarkedRun("log-verify", verb("log", "verify")),
        MarkedRun("log-who", verb("log", "who", "--output", "OUT/who.csv")),
        MarkedRun("log-who-appointment", _asked(verb("log", "who", "--appointment"))),
        MarkedRun("log-upgrade", verb("log", "upgrade")),
        MarkedRun("log-record", _recorded_file, is_killed=True),
    )


def verb_here(*words: object) -> Work:
    """A verb that has no home."""

    def work(world: FaultWorld, place: Path) -> int:
        return cli(*_filled(words, world, place))

    return work


def _filled(words: tuple[object, ...], world: FaultWorld, place: Path) -> list[object]:
    return [
        world.file(word[1:]) if word.startswith("@") else place / "out" / word[4:] if word.startswith("OUT/") else word
        for word in map(str, words)
    ]


def _prepared(prepare: Callable[[FaultWorld, Path], None], work: Work) -> Work:
    def prepared(world: FaultWorld, place: Path) -> int:
        prepare(world, place)
        return work(world, place)

    return prepared


def _asked(work: Work) -> Work:
    """With an appointment's number on standard input."""

    def asked(world: FaultWorld, place: Path) -> int:
        number = pq.read_table(world.file("next.parquet"))["appointment_id"][0].as_py()
        (world.place / "asked").write_text(f"{number}\n")
        with (world.place / "asked").open() as sys.stdin:
            return work(world, place)

    return asked


def _of_key(word: str) -> Work:
    """`keys WORD` of the key of a person."""

    def work(_world: FaultWorld, place: Path) -> int:
        from dnapredict.service.auth import api_keys

        key = next(
            each for each in api_keys.all_keys(place / "home") if each.role is not None and each.revoked_at is None
        )
        return cli("keys", word, key.key_id, "--home", place / "home")

    return work


def _restored(_world: FaultWorld, place: Path) -> int:
    return cli("restore", place / "out" / "backup", "--home", place / "user" / "home")


def _watched(*lists: str) -> Work:
    """Put these lists into the watched folder, and look four times."""

    def work(world: FaultWorld, place: Path) -> int:
        from dnapredict.pipeline import watching

        watching._looks = lambda _seconds: iter([None] * 4)  # type: ignore[assignment]
        for name in lists:
            path = world.file(name[1:])
            shutil.copyfile(path, place / "drop" / path.name)
        return cli("score", "--watch", place / "drop", "--form", "xlsx", "--home", place / "home")

    return work


def _recorded_file(world: FaultWorld, place: Path) -> int:
    from dnapredict.worklist.files import list_store

    home = place / "home"
    list_id = next(each.list_id for each in list_store.headings(home) if each.name == "weekly.parquet")
    return cli("log", "record", world.file("filled.csv"), "--list", list_id, "--home", home)


def failures(bad: dict[str, dict[str, Path]]) -> Iterator[MarkedRun]:
    """Each verb that reads an extract or a list, with each that is bad; each that writes, where it cannot."""
    by_name = {run.name: run for run in verbs()}
    for name in READ:
        for kind, path in bad["later"].items():
            yield MarkedRun(f"{name} {kind}", _with(by_name[name], path), by_name[name].before, ANY)
    for kind, path in bad["next"].items():
        yield MarkedRun(f"score {kind}", verb("score", path, "--out", "OUT/worklist.csv"), codes=ANY)
        yield MarkedRun(f"suggest {kind}", verb_here("check", path, "--suggest"), codes=ANY)
        yield MarkedRun(f"factors {kind}", verb_here("factors", path), codes=ANY)
        yield MarkedRun(f"watch {kind}", _watched(f"@{path.name}"), codes=ANY)
        yield MarkedRun(f"log-record {kind}", verb("log", "record", path), codes=ANY)
    for name, run in by_name.items():
        if run.is_killed:
            yield replace(run, name=f"{name} no room", work=with_little_room(run.work), codes=ANY, is_killed=False)
            yield replace(run, name=f"{name} closed", work=_where_out_is_a_file(run.work), codes=ANY, is_killed=False)
    for words in (
        ("score", "--nope"),
        ("train", "@later.parquet", "--config", "@later.parquet"),
        ("check", "@later.parquet", "--mapping", "@bad-next-bad-cells.csv"),
        ("score", "@next.parquet", "--out", "OUT/worklist.txt"),
        ("audit", "@later.parquet", "--scores", "@next.parquet", "--out", "OUT/report"),
        ("audit", "@later.parquet", "--scores", "@bad-scores.csv", "--out", "OUT/report"),
        ("sign", "OUT/none", *REVIEWER, "--decision", "approve"),
    ):
        yield MarkedRun(f"wrong {' '.join(words)}", verb(*words), codes=ANY)


def _with(run: MarkedRun, path: Path) -> Work:
    """The run, with another extract in place of those of the world."""

    class OtherWorld(FaultWorld):
        def file(self, name: str) -> Path:
            return path if name in _EXTRACTS else super().file(name)

    return lambda world, place: run.work(OtherWorld(world.place), place)


def with_little_room(work: Work) -> Work:
    """The work on a disk on which no file can become larger than a few kilobytes."""

    def limited(world: FaultWorld, place: Path) -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE_DISK, LITTLE_DISK))
        return work(world, place)

    return limited


def _where_out_is_a_file(work: Work) -> Work:
    def closed(world: FaultWorld, place: Path) -> int:
        (place / "out").rmdir()
        (place / "out").write_text("x")
        return work(world, place)

    return closed
