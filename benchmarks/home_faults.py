"""Files of a home damaged at random: refused with a sentence, or as if nothing had happened?

The claim: of 1,000 random damages over all files of a home that holds everything (see `filled_home`) none ends a
process, none prints a traceback, and none changes an answer in silence. Each run copies the home, damages one file, and
goes through one door in a child process that is forked from this one, which went through every door once and has loaded
and compiled what they need. Every file has its turn; one that differs between two moments of the home is often replaced
by its older copy. The door `doctor` says which damages `dnapredict doctor` names.
`python -m benchmarks.home_faults [--runs 1000] [--seed 1] [--world DIR] [--jobs 2] [--minutes 14]`, with `--files` and
`--damage` of some files and one damage only; a world is made
once and kept in DIR if that is given. It ends after so many minutes with the runs that are done by then.
"""

import argparse
import contextlib
import gc
import hashlib
import importlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = ["DAMAGES", "Damage", "damaged"]

APPOINTMENTS, LISTED, PART_ROWS, SECONDS = 40_000, 200, 50, 240
QUICK = "[model]\nmax_rounds = 40\npatience = 10\nlearning_rate = 0.2\n"
REFUSALS = range(10, 15)
# What every door imports: seconds of a processor in each child otherwise.
LIBRARIES = (
    *("dnapredict.cli.program", "dnapredict.registry", "dnapredict.pipeline.scoring", "dnapredict.service.app"),
    *("dnapredict.service.home_checks.examination", "dnapredict.pipeline.routine.cycle", "alembic.command"),
    "dnapredict.pipeline.in_use.trial_planning",
)
BLOCK = 4_096
LIST_ID = "0123456789abcdef"
WRONG_KEY = "A wrong key came from "
# What a page answers that differs from one start of the service to the next.
CHANGING = re.compile(rb"[0-9a-f]{64}|[0-9]{2}:[0-9]{2}")

Damage = Callable[[bytes, bytes, random.Random], bytes | None]
"""What is left of a file's bytes, given those of another file of its kind; None where it is deleted."""


def flipped(content: bytes, _other: bytes, chance: random.Random) -> bytes:
    """One to eight bits turned over."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8) if content else 0):
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def zeroed(content: bytes, _other: bytes, chance: random.Random) -> bytes:
    """A block of the disk that holds nothing but zeros, as after a power cut."""
    start = chance.randrange(max(1, len(content)))
    start -= start % BLOCK
    blank = min(BLOCK, len(content) - start)
    return content[:start] + bytes(blank) + content[start + blank :]


def truncated(content: bytes, _other: bytes, chance: random.Random) -> bytes:
    """The beginning of the file."""
    return content[: chance.randrange(max(1, len(content)))]


def deleted(_content: bytes, _other: bytes, _chance: random.Random) -> None:
    """No file."""


def emptied(_content: bytes, _other: bytes, _chance: random.Random) -> bytes:
    """A file of no bytes."""
    return b""


def swapped(_content: bytes, other: bytes, _chance: random.Random) -> bytes:
    """Another file of the same kind."""
    return other


def appended(content: bytes, _other: bytes, chance: random.Random) -> bytes:
    """Some bytes more."""
    return content + chance.randbytes(chance.randint(1, 64))


DAMAGES: dict[str, Damage] = {
    each.__name__: each for each in (flipped, zeroed, truncated, deleted, emptied, swapped, appended)
}
OLDER = "older"


def damaged(path: Path, damage: str, chance: random.Random, *, home: Path, earlier: Path | None = None) -> None:
    """Damage a file in place of which nothing else must be changed: it may share its bytes with a copy.

    `earlier` is the older copy of the file, for the damage `OLDER`.
    """
    content = path.read_bytes()
    if damage == OLDER and earlier is not None:
        other = earlier.read_bytes()
    else:
        kind = [other for other in home.rglob(f"*{path.suffix}") if other != path and other.is_file()]
        other = chance.choice(sorted(kind)).read_bytes() if kind else content
    left = other if damage == OLDER else DAMAGES[damage](content, other, chance)
    mode = path.stat().st_mode
    path.unlink()
    if left is not None:
        path.write_bytes(left)
        path.chmod(mode)


@dataclass(frozen=True)
class World:
    """A home with all that a home can hold, a list to score, and a scoring of it that was interrupted."""

    place: Path

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def earlier(self) -> Path:
        """The home at an earlier moment."""
        return self.place / "earlier"

    @property
    def weekly(self) -> Path:
        return self.place / "weekly.parquet"

    @property
    def extract(self) -> Path:
        return self.place / "extract.parquet"

    @property
    def interrupted(self) -> Path:
        return self.place / "interrupted"


@dataclass(frozen=True)
class Outcome:
    """What one door did with a home: how the process ended, what it answered and what it said."""

    code: int
    answer: str
    said: str


def made(place: Path, *, appointments: int = APPOINTMENTS) -> World:
    """A world at `place` with so many appointments in its extract, made if it is not there."""
    world = World(place)
    if not (place / "made").exists():
        place.mkdir(parents=True, exist_ok=True)
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})"
        code += f"; from benchmarks import home_faults as f; f.make(f.World(f.Path({str(place)!r})), {appointments})"
        command = [sys.executable, "-c", code]
        subprocess.run(command, check=True)
        (place / "made").touch()
    return world


SIGNED = ("--name", "B. Marks", "--role", "Equality lead", "--decision", "approve", "--reason", "A rehearsal.")


def make(world: World, appointments: int) -> None:
    """In a process of its own, so that no thread of an engine lives in the one that is forked."""
    (world.place / "config.toml").write_text(QUICK)
    home = ("--home", str(world.home))
    extract = str(world.extract)
    for step in (
        ("simulate", extract, "--appointments", str(appointments), "--seed", "5"),
        ("train", extract, "--config", str(world.place / "config.toml"), *home),
        ("audit", extract, "--model", "1", "--out", str(world.place / "report"), *home),
        ("sign", str(world.place / "report"), *SIGNED, *home),
        ("promote", "1", *home),
        ("refresh", extract, *home),
    ):
        ended = command(*step)
        if ended[0]:
            raise SystemExit(f"{step}: {ended[1]}")
    table = pq.read_table(extract)
    future = table.filter(pc.is_null(table["outcome_code"])).sort_by("starts_at")
    future = future.drop_columns(["outcome_code", "recorded_at"])
    pq.write_table(future.slice(0, LISTED), world.weekly)
    pq.write_table(future.slice(LISTED, LISTED), world.place / "other.parquet")
    ended = command("score", str(world.place / "other.parquet"), "--out", str(world.place / "other.csv"), *home)
    if ended[0]:
        raise SystemExit(ended[1])
    keep_a_list(world)
    fill_home(world)
    shutil.copytree(world.home, world.earlier / "home")
    go_on(world)
    interrupt(world)
    gc.unfreeze()  # what a service has set aside, DuckDB would report as leaks at the end


def command(*words: str) -> tuple[int, str]:
    """`dnapredict` in this process: how it ended, and what it said."""
    from dnapredict import cli

    said = io.StringIO()
    sys.argv = ["dnapredict", *words]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()


def keep_a_list(world: World) -> None:
    """What an upload leaves in a home."""
    import datetime

    from dnapredict import pipeline
    from dnapredict.worklist.files import list_store
    from dnapredict.worklist.files.kept_list import Counts, Heading, KeptList

    scorer = pipeline.open_scorer(world.home)
    worklist = scorer.score(pq.read_table(world.weekly))
    heading = Heading(
        list_id=LIST_ID,
        name="weekly.parquet",
        created_at=datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
        model_version="1",
        synthetic=True,
        counts=Counts.of(worklist),
        note=scorer.note("weekly.parquet", day=datetime.date(2026, 11, 23)),
    )
    list_store.keep(world.home, KeptList(heading, worklist))


def fill_home(world: World) -> None:
    """Everything else that a home can hold, and a scoring log that has answered once."""

    from benchmarks.filled_home import fill

    def done(*words: object) -> None:
        ended = command(*map(str, words))
        if ended[0]:
            raise SystemExit(f"{words}: {ended[1]}")

    token = fill(world.home, extract=world.extract, weekly=world.weekly, place=world.place, command=done)
    (world.place / "key").write_text(token)
    service(world, world.home, world.place)


def go_on(world: World) -> None:
    """Another week: calls, a key that is revoked, a session that is ended, and each record written once more."""
    from benchmarks.filled_home import beside_the_list, with_outcomes

    from dnapredict.service.auth import api_keys
    from dnapredict.service.auth.staff import StaffRole
    from dnapredict.worklist.files import list_store

    home, ring = ("--home", str(world.home)), api_keys.KeyRing(world.home)
    revoked = api_keys.create_personal(world.home, name="C. Clerk", team="North", role=StaffRole.CLERK)
    shutil.copytree(world.home / "keys", world.earlier / "home" / "keys", dirs_exist_ok=True)
    (world.place / "revoked").write_text(revoked.token)
    (world.place / "ended").write_text(ended := ring.session(revoked.key))
    ring.end_session(ended)
    api_keys.revoke(world.home, revoked.key.key_id)
    listed = list_store.headings(world.home)[0].list_id
    beside_the_list(world.home, world.weekly, row=2)
    filled = with_outcomes(world.place / "worklist.csv", world.place / "filled.csv", selected=False)
    extract = str(world.extract)
    os.chdir(world.place)
    for step in (
        ("log", "record", str(filled), "--list", listed, *home),
        ("refresh", extract, *home),
        ("outcomes", extract, *home),
        ("monitor", extract, "--out", str(world.home / "reports" / "monitor"), *home),
    ):
        ended_with, said = command(*step)
        if ended_with:
            raise SystemExit(f"{step}: {said}")
    service(world, world.home, world.place)


def interrupt(world: World) -> None:
    """A scoring that ended with half of its parts done."""
    from dnapredict import pipeline
    from dnapredict.worklist import batch

    batch.PART_ROWS = PART_ROWS  # type: ignore[misc]  # a small list has parts too
    world.interrupted.mkdir()

    def stop(done: int, _of: int) -> None:
        if done >= LISTED // 2:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        pipeline.score_list(world.weekly, out=world.interrupted / "out.csv", home=world.home, progress=stop)


def score(world: World, home: Path, place: Path) -> Outcome:
    """The command `score`, which takes up what was interrupted."""
    from dnapredict.worklist import batch

    batch.PART_ROWS = PART_ROWS  # type: ignore[misc]  # a small list has parts too
    out = place / "interrupted" / "out.csv"
    code, said = command("score", str(world.weekly), "--out", str(out), "--home", str(home))
    return Outcome(code, digest(out.read_bytes()) if out.exists() else "", said)


def promote(_world: World, home: Path, _place: Path) -> Outcome:
    """The command `promote`, which reads the audit and its signature."""
    code, said = command("promote", "1", "--home", str(home))
    return Outcome(code, "promoted" if code == 0 else "", said)


def audit(world: World, home: Path, place: Path) -> Outcome:
    """The command `audit`: its verdict and the figures of its groups."""
    out = place / "report"
    code, said = command("audit", str(world.extract), "--model", "1", "--out", str(out), "--home", str(home))
    tables = sorted(out.glob("figures_*.csv"))
    return Outcome(code, digest(b"".join(table.read_bytes() for table in tables)) if tables else "", said)


def service(world: World, home: Path, _place: Path) -> Outcome:
    """The service behind its routes: a key, a request that is put on record, and the lists that are kept."""
    from dnapredict.errors import DnapredictError

    try:
        told = served(home, (world.place / "key").read_text(), pq.read_table(world.weekly).slice(0, 20))
    except DnapredictError as error:
        return Outcome(error.exit_code, "", f"Error: {error}\n")
    answered, lists = told
    return Outcome(0, f"{digest(repr(answered).encode())} {' '.join(sorted(lists))}", "")


def served(home: Path, key: str, appointments: pa.Table) -> tuple[list[object], list[str]]:
    """What a caller with a key is answered, and the pages show."""
    from dnapredict.config.service_config import served_config
    from dnapredict.errors import StoreError
    from dnapredict.service import app
    from dnapredict.service.api.request_models import ScoreRequest
    from dnapredict.service.api.scoring_endpoints import answer
    from dnapredict.service.auth.api_keys import KeyRing
    from dnapredict.service.background.challenger_thread import no_challenger
    from dnapredict.service.log.answer_entries import AnswerLog, Hashes
    from dnapredict.service.log.scoring_log import ScoringLog
    from dnapredict.worklist.files import latest_list, list_store

    shown = latest_list.latest(home)
    found = list_store.find(home, LIST_ID)
    if KeyRing(home).holder(key) is None:
        raise StoreError("the key is not known.")
    champion = app.champion_of(home)
    champion.refresh()
    champion.require()
    logbook = AnswerLog(ScoringLog(home, served_config().database), Hashes(home))
    request = ScoreRequest(appointments=as_requests(appointments), reasons=True)
    given = answer(request, champion=champion, logbook=logbook, home=home, challenger=no_challenger())
    lists = [heading.list_id for heading in list_store.headings(home)]
    return [given.results, shown and shown.worklist.to_pydict(), found and found.worklist.to_pydict()], lists


def as_requests(appointments: pa.Table) -> list[dict[str, object]]:
    """Rows as JSON holds them: times as text, nothing for what is not known."""
    return [
        {
            name: value if isinstance(value, str | int | float) else value.isoformat()
            for name, value in row.items()
            if value is not None
        }
        for row in appointments.to_pylist()
    ]


def outcomes(world: World, home: Path, _place: Path) -> Outcome:
    """The command `outcomes`: the store that it writes from what was scored and called, and the extract."""
    code, said = command("outcomes", str(world.extract), "--home", str(home))
    from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

    return Outcome(code, "" if code else digest(repr(OutcomeStore(home).read().to_pydict()).encode()), said)


def pages(world: World, home: Path, _place: Path) -> Outcome:
    """The pages of the service: lists with what belongs to them, the week, the model, and who may see them."""
    from starlette.testclient import TestClient

    from dnapredict.config.service_config import served_config
    from dnapredict.errors import DnapredictError
    from dnapredict.service import app
    from dnapredict.service.auth.session_cookie import SESSION_COOKIE
    from dnapredict.worklist.files import list_store

    lists = (LIST_ID, next((world.home / "lists").glob("*.contacts")).stem)
    addresses = ["/", "/lists", "/week", "/model", "/model/monitor", *(f"/lists/{each}" for each in lists)]
    addresses += [f"/lists/{each}/{page}" for each in lists for page in ("call/1", "sheet", "file")]
    key, revoked, ended = ((world.place / name).read_text() for name in ("key", "revoked", "ended"))
    try:
        champion = app.champion_of(home)
        champion.refresh()
        built = app.build(home, champion, documents=app.documents_of(home), config=served_config())
    except DnapredictError as error:
        return Outcome(error.exit_code, "", f"Error: {error}\n")
    told = []
    with TestClient(built.to_asgi(), base_url="http://127.0.0.1") as client:
        shut = ({"authorization": f"Bearer {revoked}"}, {"cookie": f"{SESSION_COOKIE}={ended}"})
        told += [str(client.get("/", headers=each, follow_redirects=False).status_code) for each in shut]
        for address in addresses:
            answer = client.get(address, headers={"authorization": f"Bearer {key}"}, follow_redirects=False)
            if answer.status_code >= 500 and answer.status_code != 503:
                raise RuntimeError(f"{address}: {answer.status_code}")
            told.append(f"{address}={answer.status_code}:{digest(CHANGING.sub(b'', answer.content))}")
        told += sorted(heading.list_id for heading in list_store.headings(home))
    champion.stop()
    return Outcome(0, " ".join(told), "")


def doctor(_world: World, home: Path, _place: Path) -> Outcome:
    """The command `doctor`: the files that it names."""
    code, said = command("doctor", "--home", str(home))
    return Outcome(code, "sound" if code == 0 else "", said)


DOORS = {
    "score": score,
    "service": service,
    "pages": pages,
    "promote": promote,
    "audit": audit,
    "outcomes": outcomes,
    "doctor": doctor,
}
WEIGHTS = dict(zip(DOORS, (0.15, 0.15, 0.23, 0.03, 0.005, 0.06, 0.375), strict=True))


def digest(content: bytes) -> str:
    """What two equal answers have in common."""
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Run:
    """What is damaged, how, and which door is tried."""

    number: int
    file: str
    damage: str
    door: str


def files_of(world: World) -> list[str]:
    """All files of the home and of the interrupted scoring, from the place where both are; locks are empty."""
    of = [path for top in (world.home, world.interrupted) for path in top.rglob("*") if path.is_file()]
    return [str(path.relative_to(world.place)) for path in sorted(of) if path.stat().st_size]


def drawn(
    world: World, runs: int, *, seed: int, doors: dict[str, float], pattern: str = "", damage: str | None = None
) -> list[Run]:
    """Runs over all files in turn, in an order by chance, each with a damage and a door by chance.

    With a `pattern` (regular expression) of the files and a `damage` only those; older copies are of files that have
    another one.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    files: list[str] = []
    every = [file for file in files_of(world) if re.search(pattern, file)]
    if damage == OLDER:
        every = [file for file in every if has_changed(world, file)]
    while len(files) < runs:
        files += chance.sample(every, len(every))
    chosen = chance.choices(list(doors), weights=list(doors.values()), k=runs)
    changed = {file for file in every if has_changed(world, file)}
    damages = [[damage] if damage else [*DAMAGES, *([OLDER] * 4 if file in changed else [])] for file in files[:runs]]
    return [
        Run(number, file, chance.choice(possible), door)
        for number, (file, possible, door) in enumerate(zip(files[:runs], damages, chosen, strict=True))
    ]


def has_changed(world: World, file: str) -> bool:
    """Whether a file was another one at the earlier moment."""
    before = world.earlier / file
    return before.is_file() and before.read_bytes() != (world.place / file).read_bytes()


def copied(world: World, place: Path) -> Path:
    """The world's home and interrupted scoring; large files share their bytes with it."""

    def copy(source: str, target: str) -> None:
        is_shared = Path(source).stat().st_size > 200_000 and not source.endswith(".db")
        (os.link if is_shared else shutil.copy2)(source, target)

    for top in (world.home, world.interrupted):
        shutil.copytree(top, place / top.name, copy_function=copy)
    return place / "home"


def start(world: World, run: Run | None, door: str, place: Path, *, seed: int) -> int:
    """Fork a child that copies the home, damages it and goes through the door, and give its process id."""

    def copied_and_damaged(world: World, _home: Path, place: Path) -> Outcome:
        home = copied(world, place)
        if run is not None:
            chance = random.Random(f"{seed} {run.number}")  # noqa: S311 - no secret
            damaged(place / run.file, run.damage, chance, home=place, earlier=world.earlier / run.file)
        return DOORS[door](world, home, place)

    return start_door(copied_and_damaged, world, place / "home", place, told=place)


Door = Callable[[World, Path, Path], Outcome]
"""One way to use a home: it gets the world, the home, and the folder for what is written outside the home."""


def start_door(door: Door, world: World, home: Path, place: Path, *, told: Path, account: int = 0) -> int:
    """Fork a child that goes through a door and writes down in `told` what came of it; give its process id.

    `account` is the user id of the child, 0 for that of this process.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.alarm(SECONDS)
        with (told / "said").open("w") as said:  # what libraries print by themselves as well
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        if account:
            os.setgroups([])
            os.setresgid(account, account, account)
            os.setresuid(account, account, account)
        (told / "outcome.json").write_text(json.dumps(asdict(door(world, home, place))))
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        (told / "escaped").write_text(repr(error))
    finally:
        os._exit(code)


def outcome_of(place: Path, status: int) -> Outcome:
    """What a child wrote down, or how it ended where it did not come so far."""
    written = place / "outcome.json"
    if os.WIFSIGNALED(status):
        return Outcome(-os.WTERMSIG(status), "", "")
    if not written.exists():
        escaped = place / "escaped"
        return Outcome(1, "", escaped.read_text() if escaped.exists() else "nothing")
    found = Outcome(**json.loads(written.read_text()))
    said = (place / "said").read_text(errors="replace")
    return Outcome(found.code, found.answer, found.said + said)


def judged(outcome: Outcome, sound: Outcome, file: str) -> str:
    """Classify a run: "same", "refused" and "reported" pass, any other value is a failure."""
    if outcome.code < 0:
        return f"signal {-outcome.code}"
    if "Traceback" in outcome.said or "Internal error" in outcome.said:
        return "traceback"
    if outcome.code == 0:
        if outcome.answer == sound.answer:
            return "same"
        return "reported" if is_reported(outcome, sound, file) else "ANOTHER ANSWER"
    sentences = [line for line in outcome.said.splitlines() if line.startswith("Error: ")]
    return "refused" if outcome.code in REFUSALS and len(sentences) == 1 else f"exit {outcome.code}"


def is_reported(outcome: Outcome, sound: Outcome, file: str) -> bool:
    """Whether the damage was reported: what is said names the damaged file or the folder that is to be restored.

    Also if all that differs are kept lists whose files the log names, or if a key was damaged and every request that
    came with it was refused.
    """
    if Path(file).name in outcome.said or any(name in outcome.said for name in folders_of(file)):
        return True
    if file.startswith("home/keys/") and outcome.said.count(WRONG_KEY) > sound.said.count(WRONG_KEY):
        return True
    answer, *lists = outcome.answer.split()
    expected, *kept = sound.answer.split()
    return answer == expected and all(f"{name}.parquet" in outcome.said for name in {*kept} ^ {*lists})


def folders_of(file: str) -> list[str]:
    """The ways in which a sentence names a folder of the home that holds the file."""
    below = [folder for folder in Path(file).parents if len(folder.parts) > 1]
    return [f"{folder}: " for folder in below] + [
        f"Restore the folder {folder.relative_to('home')} " for folder in below
    ]


def finished(running: dict[int, tuple[Run | None, Path]]) -> tuple[Run | None, Outcome]:
    """Wait for the next child that ends."""
    pid, status = os.wait()
    run, place = running.pop(pid)
    outcome = outcome_of(place, status)
    shutil.rmtree(place, ignore_errors=True)
    return run, outcome


def all_outcomes(
    world: World, asked: list[tuple[Run | None, str]], *, seed: int, jobs: int, folder: Path, until: float
) -> list[tuple[Run | None, Outcome]]:
    """Run them, so many at a time, until that time (monotonic); in the order in which they end."""
    running: dict[int, tuple[Run | None, Path]] = {}
    found = []
    for run, door in asked:
        if time.monotonic() > until:
            break
        place = Path(tempfile.mkdtemp(dir=folder))
        running[start(world, run, door, place, seed=seed)] = (run, place)
        if len(running) >= jobs:
            found.append(finished(running))
    while running:
        found.append(finished(running))
    return found


def warmed(world: World, doors: Iterable[str], folder: Path) -> None:
    """Load and compile what every run needs, by going through the doors once.

    The threads of an engine do not outlive a fork: every connection was closed by then, and a child opens its own.
    """
    os.environ.update(
        DNAPREDICT_HOME=str(world.place / "nowhere"),
        BENTOML_HOME=str(world.place / "bentoml"),
        OMP_NUM_THREADS="1",
        BENTOML_DO_NOT_TRACK="true",
    )
    os.chdir(world.place)  # where the trial of the home is configured
    for name in LIBRARIES:
        importlib.import_module(name)
    for door in doors:
        load_what_is_loaded_by(DOORS[door], world, folder)
    for door in doors:
        if door not in ("audit", "pages"):  # an audit compiles nothing that others need; pages start threads
            with tempfile.TemporaryDirectory(dir=folder) as place:
                DOORS[door](world, copied(world, Path(place)), Path(place))
    keep_from_collection()


def keep_from_collection() -> None:
    """Let no child look through what is loaded: the service collects garbage when it has loaded a model.

    That took a third of a page's processor time, and copied the memory that a fork shares.
    """
    gc.collect()
    gc.freeze()


def load_what_is_loaded_by(door: Door, world: World, folder: Path) -> None:
    """Import what the door imports in a child: each child would import it again, in seconds of a processor."""
    before = frozenset(sys.modules)

    def loaded(world: World, _home: Path, place: Path) -> Outcome:
        door(world, copied(world, place), place)
        return Outcome(0, " ".join({*sys.modules} - before), "")

    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        _, status = os.waitpid(start_door(loaded, world, place / "home", place, told=place), 0)
        for module in sorted(outcome_of(place, status).answer.split()):
            with contextlib.suppress(Exception):  # made by a library while it runs, and no file
                importlib.import_module(module)


def main() -> None:
    """Print what came of the runs, and write benchmarks/out/home_faults.json."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=1_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--minutes", type=float, default=14, help="end after so long with the runs done by then")
    asked.add_argument("--doors", nargs="*", choices=list(DOORS), default=list(DOORS))
    asked.add_argument("--files", default="", metavar="REGEX", help="only files whose path has this")
    asked.add_argument("--damage", choices=[*DAMAGES, OLDER], help="only this damage")
    asked.add_argument("--world", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = made((given.world or Path(folder) / "world").resolve())
        began = time.monotonic()
        place = Path(folder) if not given.world else world.place
        warmed(world, given.doors, place)
        found = measured(world, given, place)
        gc.unfreeze()  # what is set aside, DuckDB would report as leaks at the end
    found["seconds"] = round(time.monotonic() - began)
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "home_faults.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    if found["wrong"]:
        sys.exit(1)


def measured(world: World, given: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Counts by door, each run that is neither the same nor refused, and the files that `doctor` does not check."""
    until = time.monotonic() + 60 * given.minutes
    doors_by_weight = {door: WEIGHTS[door] for door in given.doors}
    runs = drawn(world, given.runs, seed=given.seed, doors=doors_by_weight, pattern=given.files, damage=given.damage)
    doors = sorted({run.door for run in runs})
    how = {"seed": given.seed, "jobs": given.jobs, "folder": folder, "until": until}
    # Each door twice undamaged: what differs between the two cannot be told from a fault.
    sound: dict[str, Outcome] = {}
    for door in doors:
        once, again = (outcome for _, outcome in all_outcomes(world, [(None, door)] * 2, **how))
        if once.code or once.answer != again.answer:
            raise SystemExit(f"{door}: undamaged, it gives {once} and {again}")
        sound[door] = once
    counts: Counter[str] = Counter()
    wrong, unchecked = [], set()
    for run, outcome in all_outcomes(world, [(run, run.door) for run in runs], **how):
        assert run is not None
        verdict = judged(outcome, sound[run.door], run.file)
        if run.door == "doctor" and verdict == "same":
            unchecked.add(f"{run.file} ({run.damage})")
        counts[f"{run.door}: {verdict}"] += 1
        if verdict not in ("same", "refused", "reported"):
            wrong.append(asdict(run) | {"verdict": verdict, "said": outcome.said[-600:]})
    done = {"runs": counts.total(), "files": len(files_of(world)), "counts": dict(sorted(counts.items()))}
    return done | {"not_named_by_doctor": sorted(unchecked), "wrong": wrong}


if __name__ == "__main__":
    main()
