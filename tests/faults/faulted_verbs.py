"""The verbs and routes that are killed at every write: what each needs, what it does, and the world they share."""

import atexit
import contextlib
import csv
import datetime
import gc
import importlib
import io
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy.orm

if TYPE_CHECKING:
    from starlette.testclient import TestClient

__all__ = ["REVIEWER", "VERBS", "FaultWorld", "FaultedVerb", "as_csv", "cli", "make_world", "service", "verb", "warm"]

APPOINTMENTS, LISTED, RETRAINED = 16_000, 60, 9_000
QUICK = "[model]\nmax_rounds = 40\npatience = 10\nlearning_rate = 0.2\n"
DECISION = 13
REVIEWER = ("--name", "B. Marks", "--role", "Equality lead", "--reason", "A rehearsal.")
LIBRARIES = (
    *("dnapredict.cli.program", "dnapredict.registry", "dnapredict.pipeline.scoring", "dnapredict.service.app"),
    *("dnapredict.service.home_checks.examination", "dnapredict.pipeline.routine.cycle", "alembic.command"),
    *(
        "dnapredict.pipeline.in_use.trial_planning",
        "dnapredict.pipeline.model_building",
        "dnapredict.pipeline.auditing",
    ),
    *("pyarrow.dataset", "pyarrow.json", "pyarrow.substrait", "alembic.config", "sqlalchemy.dialects.sqlite"),
    *("typer._adapters", "encodings.ascii", "encodings.utf_8_sig"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store", "mlflow.pyfunc"),
    *("starlette.testclient", "tests.faults.home_readings", "dnapredict.fairness.run_audit", "lightgbm", "openpyxl"),
    *("dnapredict.fairness.report.report_files", "matplotlib.figure", "dnapredict.service.log.scoring_log"),
    *("dnapredict.pipeline.comparison.challenger_scoring", "mlflow.entities", "sklearn.linear_model", "scipy.stats"),
)


@dataclass(frozen=True)
class FaultWorld:
    """Files that all verbs read. `home` holds everything that a home can hold (`benchmarks.filled_home`)."""

    place: Path

    @property
    def home(self) -> Path:
        return self.place / "home"

    def file(self, name: str) -> Path:
        return self.place / name


@dataclass(frozen=True)
class FaultedVerb:
    """A verb or route.

    Attributes
    ----------
    work
        Does it in a place with `home` and `out`, and returns the exit code.
    before
        The verb whose end is the beginning of this one; "" for the home of the world.
    prepare
        What is done to the home first.
    refusal
        What a home may refuse with after a kill, beside being old or new; "" for nothing.
    version
        The number of the version that it trains; "" for none. A kill before the ledger has that version leaves its
        number used, so that running again trains the next one (decisions.md, "A version is the challenger once ...").
    """

    name: str
    work: Callable[[FaultWorld, Path], int]
    before: str = ""
    prepare: Callable[[FaultWorld, Path], None] = lambda *_: None
    codes: tuple[int, ...] = (0,)
    refusal: str = ""
    version: str = ""


def cli(*words: object) -> int:
    """`dnapredict` with these words, in this process."""
    from dnapredict import cli as program

    sys.argv = ["dnapredict", *map(str, words)]
    code = 0
    try:
        program.main()
    except SystemExit as end:
        code = int(end.code or 0)
    return code


def verb(*words: object) -> Callable[[FaultWorld, Path], int]:
    """A verb by its words, in which @NAME is a file of the world, and OUT a file or folder of the outputs."""

    def work(world: FaultWorld, place: Path) -> int:
        filled = [
            world.file(word[1:])
            if word.startswith("@")
            else place / "out" / word[4:]
            if word.startswith("OUT/")
            else word
            for word in map(str, words)
        ]
        return cli(*filled, "--home", place / "home")

    return work


def warm(world: FaultWorld) -> None:
    """Load what every run needs. Nothing is run: the threads of an engine do not outlive a fork."""
    os.environ.update(
        DNAPREDICT_HOME=str(world.place / "nowhere"),
        BENTOML_HOME=str(world.place / "bentoml"),
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
        BENTOML_DO_NOT_TRACK="true",
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    os.chdir(world.place)  # where the trial of the home is configured
    for name in LIBRARIES:
        importlib.import_module(name)
    sqlalchemy.orm.configure_mappers()
    gc.collect()
    gc.freeze()  # no child looks through what is loaded
    atexit.register(gc.unfreeze)  # DuckDB would report it as leaks at the end


def make_world(
    place: Path, *, appointments: int = APPOINTMENTS, changed: Callable[[pa.Table], pa.Table] = lambda rows: rows
) -> FaultWorld:
    """The world at `place`, made unless it is there, of an extract in which all has been `changed`."""
    world = FaultWorld(place)
    if not (place / "made").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _make(world, appointments, changed)
        (place / "made").touch()
    return world


def _make(world: FaultWorld, appointments: int, changed: Callable[[pa.Table], pa.Table]) -> None:
    from benchmarks.filled_home import fill

    from dnapredict.data.system_clock import set_back

    def done(*words: object) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            code = cli(*words)
        if code:
            raise SystemExit(f"{words}: {code} {said.getvalue()[-2000:]}")

    config, extract, home = world.file("config.toml"), world.file("extract.parquet"), ("--home", world.home)
    config.write_text(QUICK, encoding="utf-8")
    world.file("service.toml").write_text("[retention]\nlog_days = 365\n", encoding="utf-8")
    done("simulate", extract, "--appointments", appointments, "--seed", 5)
    pq.write_table(changed(pq.read_table(extract)), extract)
    done("train", extract, "--config", config, *home)
    done("audit", extract, "--model", "1", "--out", world.file("report"), *home)
    done("sign", world.file("report"), *REVIEWER, "--decision", "approve", *home)
    done("promote", "1", *home)
    done("refresh", extract, *home)
    table = pq.read_table(extract)
    future = table.filter(pc.is_null(table["outcome_code"])).sort_by("starts_at")
    future = future.drop_columns(["outcome_code", "recorded_at"])
    pq.write_table(future.slice(0, LISTED), world.file("weekly.parquet"))
    pq.write_table(future.slice(LISTED, LISTED), world.file("next.parquet"))
    opens = pc.greater(future["starts_at"], pa.scalar(datetime.datetime(2026, 10, 6)))
    pq.write_table(future.filter(opens).slice(0, LISTED), world.file("scored.parquet"))
    # What was scored after it began has no outcome to bring back.
    with set_back(datetime.datetime(2026, 10, 4, 18, tzinfo=datetime.UTC)):
        done("score", world.file("scored.parquet"), "--out", world.file("scored.csv"), *home)
    token = fill(world.home, extract=extract, weekly=world.file("weekly.parquet"), place=world.place, command=done)
    world.file("key").write_text(token, encoding="ascii")
    _write_extracts(world, table)


def _write_extracts(world: FaultWorld, table: pa.Table) -> None:
    """A later extract, in which the listed appointments have outcomes; a shorter one to train on; one to append."""
    starts, index = table["starts_at"], table.column_names.index
    is_open = pc.is_null(table["outcome_code"])
    codes = pc.if_else(is_open, pa.scalar("5"), table["outcome_code"])
    recorded = pc.if_else(is_open, pc.add(starts, pa.scalar(datetime.timedelta(hours=2))), table["recorded_at"])
    later = table.set_column(index("outcome_code"), "outcome_code", codes)
    later = later.set_column(index("recorded_at"), "recorded_at", recorded)
    pq.write_table(later, world.file("later.parquet"))
    pq.write_table(later.slice(later.num_rows - RETRAINED), world.file("short.parquet"))
    pq.write_table(later.filter(is_open), world.file("append.parquet"))


def as_csv(table: pa.Table) -> str:
    """The table as text, with its header."""
    text = io.StringIO()
    written = csv.writer(text)
    written.writerow(table.column_names)
    for row in table.to_pylist():
        written.writerow(
            ["" if value is None else getattr(value, "isoformat", lambda v=value: v)() for value in row.values()]
        )
    return text.getvalue()


def service(ask: Callable[["TestClient", FaultWorld, Path], int]) -> Callable[[FaultWorld, Path], int]:
    """A request to the service of the home, with its own champion, in this process."""

    def work(world: FaultWorld, place: Path) -> int:
        from starlette.testclient import TestClient  # warns of a successor to httpx

        from dnapredict.config.service_config import served_config
        from dnapredict.service import app

        home = place / "home"
        champion = app.champion_of(home)
        built = app.build(home, champion, config=served_config(), documents=app.documents_of(home))
        headers = {"referer": "http://127.0.0.1/"}
        if world.file("key").exists():
            headers["authorization"] = f"Bearer {world.file('key').read_text()}"
        with TestClient(built.to_asgi(), base_url="http://127.0.0.1", headers=headers) as client:
            champion.refresh()
            return ask(client, world, home)

    return work


def _refused(answer: httpx.Response) -> int:
    sys.stderr.write(f"{answer.status_code} {answer.text[:500]}\n")
    return 1


def _upload(client: "TestClient", world: FaultWorld, _home: Path) -> int:
    content = as_csv(pq.read_table(world.file("next.parquet"))).encode()
    answer = client.post("/v1/lists", files={"file": ("next.csv", content)})
    return 0 if answer.status_code == 200 else _refused(answer)


def _score(client: "TestClient", world: FaultWorld, _home: Path) -> int:
    from benchmarks.home_faults import as_requests

    rows = as_requests(pq.read_table(world.file("next.parquet")).slice(0, 20))
    answer = client.post("/v1/score", json={"appointments": rows, "reasons": True})
    return 0 if answer.status_code == 200 else _refused(answer)


def _recorded(outcome: str) -> Callable[["TestClient", FaultWorld, Path], int]:
    """Record the outcome for the first line of the list that was uploaded."""

    def ask(client: "TestClient", _world: FaultWorld, home: Path) -> int:
        from dnapredict.worklist.files import list_store

        uploaded = next(heading.list_id for heading in list_store.headings(home) if heading.name == "next.csv")
        kept = list_store.find(home, uploaded)
        assert kept is not None
        body = {"appointment_id": min(kept.worklist["appointment_id"].to_pylist()), "outcome": outcome}
        answer = client.post(f"/v1/lists/{uploaded}/actions", json=body)
        return 0 if answer.status_code == 201 else _refused(answer)

    return ask


def _as_of_a_later_day(work: Callable[[FaultWorld, Path], int]) -> Callable[[FaultWorld, Path], int]:
    """With all entries of the log past their period, as they will be one day."""

    def later(world: FaultWorld, place: Path) -> int:
        from dnapredict.service.log import retention

        tomorrow = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
        retention._first_day = lambda _days: tomorrow  # type: ignore[assignment]
        return work(world, place)

    return later


def _old_lists(_world: FaultWorld, place: Path) -> None:
    then = datetime.datetime.now(datetime.UTC).timestamp() - 800 * 86_400
    for path in (place / "home" / "lists").glob("*"):
        os.utime(path, (then, then))


def _no_history(_world: FaultWorld, place: Path) -> None:
    shutil.rmtree(place / "home" / "history")
    (place / "home" / "history.json").unlink()


VERBS = {
    each.name: each
    for each in (
        FaultedVerb("train", verb("train", "@short.parquet", "--config", "@config.toml"), version="2"),
        FaultedVerb(
            "audit",
            verb("audit", "@later.parquet", "--model", "2", "--out", "OUT/report"),
            "train",
            codes=(0, DECISION),
        ),
        FaultedVerb(
            "sign", verb("sign", "OUT/report", *REVIEWER, "--decision", "conditions", "--until", "2027-01-20"), "audit"
        ),
        FaultedVerb("reject", verb("sign", "OUT/report", *REVIEWER, "--decision", "reject"), "audit"),
        FaultedVerb("promote", verb("promote", "2"), "sign"),
        FaultedVerb("promote-again", verb("promote", "1")),
        FaultedVerb("rollback", verb("rollback", "--signed-by", "B. Marks", "--why", "A rehearsal."), "promote"),
        FaultedVerb("refresh", verb("refresh", "@later.parquet")),
        FaultedVerb(
            "first-refresh",
            verb("refresh", "@later.parquet"),
            prepare=_no_history,
            refusal="CURRENT: is missing. Run 'dnapredict refresh EXTRACT' to rebuild the history.",
        ),
        FaultedVerb("append", verb("refresh", "--append", "@append.parquet")),
        FaultedVerb("score", verb("score", "@next.parquet", "--out", "OUT/worklist.xlsx")),
        FaultedVerb("outcomes", verb("outcomes", "@later.parquet")),
        FaultedVerb(
            "cycle",
            verb("cycle", "@later.parquet", "--config", "@config.toml", "--retrain-days", "1"),
            codes=(0, DECISION),
            version="2",
        ),
        FaultedVerb(
            "prune", _as_of_a_later_day(verb("log", "prune", "--settings", "@service.toml")), prepare=_old_lists
        ),
        FaultedVerb("upload", service(_upload)),
        FaultedVerb("score-route", service(_score)),
        FaultedVerb("record", service(_recorded("confirmed")), "upload"),
        FaultedVerb("opt-out", service(_recorded("no_calls_wished")), "upload"),
        FaultedVerb("calls-wished", service(_recorded("calls_wished_again")), "opt-out"),
    )
}
