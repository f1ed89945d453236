"""The folder mode: lists are dropped in and come back answered; nothing stops it but its owner."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust
from tests.nasty_lists import HEADERLESS

from dnapredict import pipeline
from dnapredict.errors import GateFailedError, ModelError, StoreError
from dnapredict.pipeline import watching
from dnapredict.pipeline.watching import Inbox


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    place = tmp_path / "lists"
    place.mkdir()
    return place


def looked(trust: Trust, inbox: Path, *, looks: int = 2, home: Path | None = None) -> list[str]:
    """Watch for so many looks, without waiting between them, and return what was said."""
    said: list[str] = []
    pipeline.watch(inbox, home=home or trust.home, say=said.append, looks=iter(range(looks)), form=".csv")
    return said


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_list_comes_back_with_its_worklist_and_a_message(trust, inbox):
    shutil.copy(trust.weekly, inbox / "week 49.parquet")
    said = looked(trust, inbox)
    assert names(inbox / "done") == ["week 49-worklist.csv", "week 49.parquet", "week 49.parquet.txt"]
    assert pa_csv.read_csv(inbox / "done" / "week 49-worklist.csv").num_rows == 400
    told = (inbox / "done" / "week 49.parquet.txt").read_text()
    assert "40 calls to make. Out of 400 appointments on the list." in told
    assert told.startswith(said[-1])
    assert names(inbox) == [".dnapredict-watch", "done", "failed"]


def test_a_bad_list_goes_to_failed_with_the_reason_and_the_next_is_scored(trust, inbox):
    (inbox / "bad.csv").write_text("colour,Surname\nblue,Marked-Surname\n")
    (inbox / "notes.docx").write_text("Marked-Surname")
    shutil.copy(trust.weekly, inbox / "good.parquet")
    said = looked(trust, inbox)
    assert "good.parquet" in names(inbox / "done")
    assert names(inbox / "failed") == ["bad.csv", "bad.csv.txt", "notes.docx", "notes.docx.txt"]
    why = (inbox / "failed" / "bad.csv.txt").read_text()
    assert "required column 'appointment_id' is missing" in why
    assert str(inbox) not in why
    assert "Marked-Surname" not in why + "".join(said) + (inbox / "failed" / "notes.docx.txt").read_text()


def test_a_list_without_a_header_is_refused_and_none_of_its_first_row_is_repeated(trust, inbox):
    (inbox / "list.csv").write_text(HEADERLESS)
    said = looked(trust, inbox)
    why = (inbox / "failed" / "list.csv.txt").read_text()
    assert "the first row looks like data" in why
    for told in (why, "".join(said)):
        assert not [cell for cell in HEADERLESS.split("\n")[0].split(",") if cell != "F" and cell in told]


def test_an_error_that_nobody_foresaw_stops_nothing_and_quotes_nothing(trust, inbox, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Marked-Surname")

    (inbox / "list.csv").write_text("a\n1\n")
    monkeypatch.setattr(watching, "score_list", broken)
    assert "An unexpected error (RuntimeError)" in looked(trust, inbox)[-1]
    assert "Marked" not in (inbox / "failed" / "list.csv.txt").read_text()


@pytest.mark.parametrize(
    "error", [ModelError("no champion"), GateFailedError("rejected"), StoreError("the disk is full")]
)
def test_where_the_list_is_not_at_fault_it_waits(trust, inbox, monkeypatch, error):
    def away(*_: object, **__: object) -> None:
        raise error

    shutil.copy(trust.weekly, inbox / "list.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(watching, "score_list", away)
        said = looked(trust, inbox, looks=4)
    assert said[1:] == [f"list.parquet waits: {error}"]  # said once, and tried again later
    looked(trust, inbox)
    assert "list.parquet" in names(inbox / "done")


def test_a_file_that_is_still_arriving_or_open_elsewhere_is_left_alone(tmp_path):
    box = Inbox.open(tmp_path)
    for name in ("~$week.xlsx", ".~lock.week.xlsx#", "week.xlsx.part", ".hidden.csv"):
        (tmp_path / name).write_text("a")
    growing = tmp_path / "week.csv"
    growing.write_text("")
    assert box.complete_lists() == box.complete_lists() == []  # nothing is in it yet
    growing.write_text("a")
    assert box.complete_lists() == []
    growing.write_text("a\n1")
    assert box.complete_lists() == []
    assert box.complete_lists() == [growing]
    os.utime(growing, (1, 1))  # a clock that is wrong says nothing
    assert box.complete_lists() == []
    assert box.complete_lists() == [growing]


def test_a_name_that_was_there_before_gets_a_number(trust, inbox):
    for _ in range(2):
        shutil.copy(trust.weekly, inbox / "week.parquet")
        looked(trust, inbox)
    assert [name for name in names(inbox / "done") if name.endswith((".parquet", ".csv"))] == [
        "week (2)-worklist.csv",
        "week (2).parquet",
        "week-worklist.csv",
        "week.parquet",
    ]


def test_two_watches_do_not_look_after_one_folder(trust, inbox):
    def again() -> Iterator[int]:
        with pytest.raises(StoreError, match="another watch looks after this folder"):
            looked(trust, inbox)
        yield 0

    pipeline.watch(inbox, home=trust.home, say=lambda _: None, looks=again())


def test_without_a_model_it_does_not_begin(trust, inbox, tmp_path):
    with pytest.raises(ModelError):
        looked(trust, inbox, home=tmp_path / "none")


@contextlib.contextmanager
def running(inbox: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "dnapredict.cli", "score", "--watch", str(inbox), "--home", str(home)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stderr
        while "Watching" not in watch.stderr.readline():
            assert watch.poll() is None
        yield watch
        watch.kill()


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.2)
    raise AssertionError(f"{path.name} did not come")


def test_a_real_process_is_killed_goes_on_after_a_restart_and_ends_at_ctrl_c(trust, inbox):
    pd.read_parquet(trust.weekly).to_excel(inbox / "week.xlsx", index=False)
    with running(inbox, trust.home) as watch:
        time.sleep(3)  # at whatever it is doing then
        watch.kill()
    with running(inbox, trust.home) as watch:
        wait_for(inbox / "done" / "week.xlsx")
        pq.write_table(pq.read_table(trust.weekly), inbox / "second.parquet")
        wait_for(inbox / "done" / "second.parquet")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(timeout=60) == 0
        assert watch.stderr
        assert "Stopped." in watch.stderr.read()
    assert len(pd.read_excel(inbox / "done" / "week-worklist.xlsx")) == 400
    assert [name for name in names(inbox / "done") if name.startswith(".")] == []


@pytest.mark.parametrize("folder", ["", "."])
def test_an_unset_variable_in_a_job_moves_no_file_of_the_working_folder(
    dnapredict, trust, tmp_path, monkeypatch, folder
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LICENSE").write_text("kept")
    done = dnapredict("score", "--watch", folder, "--home", trust.home)
    assert done.returncode == 2
    assert "name a folder for lists alone" in done.stderr
    assert names(tmp_path) == ["LICENSE"]
