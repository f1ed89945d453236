"""Ctrl-C and SIGTERM at any moment: one sentence, the right exit code, and nothing half written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from tests.end_to_end.test_refusals import GOOD, ROWS, refused, write
from tests.end_to_end.world import Trust

from dnapredict import pipeline
from dnapredict.data.engine import interruption
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.errors import DataError
from dnapredict.pipeline import watching

# A query that takes minutes, and that Python itself could not interrupt.
ENDLESS = "SELECT sum(a.range * b.range) AS n FROM range(3000000) a, range(300000) b"


def stopped(number: int, after: float, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command and send it a signal so many seconds after it named its home, which it does first."""
    command = [sys.executable, "-m", "dnapredict.cli", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr
        assert run.stderr.readline().startswith("Home:")
        time.sleep(after)
        run.send_signal(number)
        out, told = run.communicate(timeout=120)
    return subprocess.CompletedProcess(command, run.returncode, out, told)


@pytest.mark.cases(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_scoring_that_is_stopped_at_any_moment_says_so_and_goes_on_when_it_is_run_again(number, trust: Trust, tmp_path):
    out, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    pipeline.score_list(trust.extract, out=whole, home=trust.home)
    words = ("score", trust.extract, "--out", out, "--home", trust.home)
    for after in (0.0, 1.0):
        done = stopped(number, after, *words)
        if not done.returncode:
            break
        assert done.returncode == 128 + number, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("Stopped. What was scored so far is kept") == 1
        assert not out.exists()
    pipeline.score_list(trust.extract, out=out, home=trust.home)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "whole.csv"]


@pytest.mark.parametrize(
    ("verb", "deep"),
    [
        ("check", "dnapredict.data.validation.contract_check.check"),
        ("features", "dnapredict.features.matrix.Past.of"),
        ("train", "dnapredict.pipeline.model_building.train_model"),
        ("audit", "dnapredict.fairness.run"),
        ("refresh", "dnapredict.features.store.history_store.write_minutes"),
        ("score", "dnapredict.data.readers.table_file.sha256"),
        ("score", "dnapredict.worklist.files.worklist_files.write_tables"),
        ("access", "dnapredict.fairness.access.assess"),
    ],
)
def test_ctrl_c_in_the_middle_of_a_command_leaves_what_was_there(
    verb, deep, dnapredict, trust: Trust, tmp_path, monkeypatch
):
    def press(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    outputs = {
        "check": "--report",
        "features": "--out",
        "audit": "--out",
        "score": "--out",
        "access": "--out",
    }
    out = tmp_path / {"check": "out.json", "features": "out.parquet", "score": "out.csv"}.get(verb, "out")
    words = [verb, trust.extract, *((outputs[verb], out) if verb in outputs else ())]
    words += ["--home", trust.home] if verb in ("train", "audit", "refresh", "score") else []
    words += ["--model", "1"] if verb == "audit" else []
    before = files_of(trust.home)
    monkeypatch.setattr(deep, press)
    done = dnapredict(*words)
    assert done.returncode == 130, done.stderr
    assert done.stderr.count("Stopped.") == 1
    assert done.stderr.count("\n") <= 8
    assert not {"Traceback", "Internal error", "Error:"} & set(done.stderr.replace(":", ": ").split())
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert files_of(trust.home) == before


def files_of(home: Path) -> list[Path]:
    """Files of a home but its lists and the notes of where it scores, and those of SQLite while a database is open."""
    names = (path for path in home.rglob("*") if not {"lists", "output-folders"} & set(path.parts))
    return sorted(path for path in names if not path.name.endswith(("-wal", "-shm")))


def test_a_long_query_of_the_embedded_engine_is_interrupted_at_once():
    """Python hears of a signal only when the engine returns, so it is told by another thread."""
    timer = f"import os, signal, time; time.sleep(1); os.kill({os.getpid()}, signal.SIGINT)"
    with Workspace() as workspace, interruption.watched(), subprocess.Popen([sys.executable, "-c", timer]):
        # Which of them it is depends on where in the query the signal came.
        with pytest.raises((KeyboardInterrupt, RuntimeError, duckdb.InterruptException)):
            workspace.fetch(ENDLESS)
        assert interruption.requested() == signal.SIGINT
    assert interruption.requested() == 0


def test_a_file_that_is_being_read_when_ctrl_c_is_pressed_is_not_called_damaged(dnapredict, tmp_path, monkeypatch):
    """Libraries make an error of their own of Ctrl-C, which then looks like a fault of the data."""

    def taken_for_damage(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise DataError("cannot be read as delimited text. Export it again.") from None

    monkeypatch.setattr(table_file, "read_delimited", taken_for_damage)
    done = dnapredict("check", write(tmp_path / "e.csv", GOOD + ROWS))
    assert done.returncode == 130
    assert "Export it again" not in done.stderr
    assert done.stderr.startswith("Stopped.")


def test_a_list_that_is_being_scored_when_a_watch_ends_waits_and_does_not_fail(trust: Trust, tmp_path, monkeypatch):
    def engine_interrupted(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None

    dropped = write(tmp_path / "week.csv", GOOD + ROWS)
    monkeypatch.setattr(watching, "score_list", engine_interrupted)
    with interruption.watched(), pytest.raises(KeyboardInterrupt):
        pipeline.watch(tmp_path, home=trust.home, say=lambda _: None, looks=iter(range(2)))
    assert dropped.exists()
    assert list((tmp_path / "failed").iterdir()) == []


def test_what_a_command_does_with_signals_ends_with_it(dnapredict, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    refused(dnapredict("check", tmp_path / "none.csv"), 10, "no such file")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert interruption.requested() == 0


def full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device", "/somewhere/ZEBRA")


def test_a_full_disk_is_said_in_a_sentence_and_nothing_is_left(dnapredict, tmp_path, monkeypatch):
    monkeypatch.setattr(Workspace, "compute", full_disk)
    done = dnapredict("features", write(tmp_path / "e.csv", GOOD + ROWS), "--out", tmp_path / "f.parquet")
    refused(done, 14, "The disk is full")
    assert [path.name for path in tmp_path.iterdir()] == ["e.csv"]


def test_too_little_memory_is_said_in_a_sentence(dnapredict, tmp_path, monkeypatch):
    def out_of_memory(*_: object, **__: object) -> None:
        raise duckdb.OutOfMemoryException("ZEBRA-MARKED-VALUE")

    monkeypatch.setattr(Workspace, "compute", out_of_memory)
    refused(dnapredict("check", write(tmp_path / "e.csv", GOOD + ROWS)), 14, "not enough memory")


def test_outputs_that_cannot_be_written_are_refused_before_or_leave_nothing(dnapredict, trust: Trust, tmp_path):
    file = write(tmp_path / "file", "x")
    weekly, home = trust.weekly, ("--home", trust.home)
    refused(dnapredict("score", weekly, "--out", file / "o.csv", *home), 14, "cannot be written")
    refused(
        dnapredict("score", weekly, "--out", tmp_path.with_suffix(".csv") / "o.csv", "--home", file),
        14,
        "a home",
    )
    refused(dnapredict("train", trust.extract, "--home", file), 14, "is a file, and a home is a folder")
    (tmp_path / "folder.csv").mkdir()
    refused(dnapredict("score", weekly, "--out", tmp_path / "folder.csv", *home), 2, "is a folder")
    assert file.read_text() == "x"


@pytest.mark.parametrize("wrong", ["missing", "folder", "pipe"])
def test_a_list_or_history_that_cannot_be_read_is_data_that_is_not_there(wrong, dnapredict, trust: Trust, tmp_path):
    bad, out = tmp_path / "bad.csv", tmp_path / "out.csv"
    if wrong == "folder":
        bad.mkdir()
    elif wrong == "pipe":
        os.mkfifo(bad)
    home = ("--out", out, "--home", trust.home)
    said = {"missing": "no such file", "folder": "is a folder", "pipe": "a pipe or a device"}[wrong]
    refused(dnapredict("score", bad, *home), 10, "bad.csv", said)
    refused(dnapredict("score", trust.weekly, "--history", bad, *home), 10, "bad.csv", said)
    refused(dnapredict("simulate", tmp_path / "s.parquet", "--lookup", bad), 10, "bad.csv", said)
    assert [path.name for path in tmp_path.iterdir() if path != bad] == []


def test_a_file_that_may_not_be_read_is_said(dnapredict, tmp_path, monkeypatch):
    held = write(tmp_path / "held.csv", GOOD + ROWS)
    really = Path.open

    def forbidden(path: Path, *how: object, **more: object) -> object:
        if path == held:
            raise PermissionError(13, "Permission denied", str(held))
        return really(path, *how, **more)

    monkeypatch.setattr(Path, "open", forbidden)
    refused(dnapredict("check", held), 10, "held.csv", "cannot be read (Permission denied)")


def test_a_stop_in_the_middle_of_an_import_keeps_the_exit_code_of_its_signal(tmp_path: Path):
    """Dataclasses and named tuples are made with exec(), where Python notes a plain KeyboardInterrupt for good."""
    program = """
import sys
from dnapredict.data.engine import interruption
with interruption.watched():
    try:
        exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM); [None for _ in range(10**6)]")
    except KeyboardInterrupt:
        pass
sys.exit(143)
"""
    (tmp_path / "stopped_early.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    # Only `python -m` looks at what Python noted.
    run = subprocess.run([sys.executable, "-m", "stopped_early"], env=environment, check=False)
    assert run.returncode == 143
