"""Scoring that was killed: run again it writes what an undisturbed run writes, and leaves nothing behind."""

import contextlib
import datetime
import os
import random
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.home_faults import DAMAGES, damaged
from tests.end_to_end.world import Trust

from dnapredict import pipeline
from dnapredict.data.system_clock import set_back
from dnapredict.errors import DataError, StoreError
from dnapredict.worklist import batch
from dnapredict.worklist.checkpoints import Staging, remove_abandoned, staged
from dnapredict.worklist.predictions import PREDICTION_SCHEMA

# Parts of 250 rows, so that there is a moment between any two of them.
RUN = """
import sys
from pathlib import Path
from dnapredict import pipeline
from dnapredict.worklist import batch
batch.PART_ROWS = 250
path, out, home = map(Path, sys.argv[1:])
tell = lambda done, of: print(done, flush=True) if of else None
pipeline.score_list(path, out=out, home=home, progress=tell)
"""


@pytest.fixture(scope="module")
def long_list(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 appointments, some with an outcome that the history does not hold, some refused."""
    table = pq.read_table(trust.extract).slice(30_000, 3_000)
    out = tmp_path_factory.mktemp("long") / "long.parquet"
    pq.write_table(pa.concat_tables([table, table.slice(0, 30)]), out)
    return out


@pytest.fixture(scope="module", params=[".csv", ".xlsx", ".parquet"])
def undisturbed(request, trust: Trust, long_list: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / f"out{request.param}"
    pipeline.score_list(long_list, out=out, home=trust.home)
    return out


def killed(after: float, *words: object) -> bool:
    """Run it and kill it so many seconds after it began to score, unless it is done before."""
    command = [sys.executable, "-c", RUN, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        first = run.stdout.readline()
        assert first == "0\n", run.stderr and run.stderr.read()
        time.sleep(after)
        run.kill()
        return run.wait() != 0


def hidden(place: Path) -> list[str]:
    return [path.name for path in place.iterdir() if path.name.startswith(".")]


@pytest.mark.cases(1)
def test_killed_at_any_moment_and_run_again_it_writes_the_same_bytes(
    trust, long_list, undisturbed, tmp_path, monkeypatch
):
    out = tmp_path / undisturbed.name
    chance = random.Random(out.suffix)  # noqa: S311 - any moment will do
    for _ in range(2):
        if not killed(chance.uniform(0, 1.2), long_list, out, trust.home):
            break
        assert not out.exists() or out.read_bytes() == undisturbed.read_bytes()
    monkeypatch.setattr(batch, "PART_ROWS", 250)
    pipeline.score_list(long_list, out=out, home=trust.home)
    assert out.read_bytes() == undisturbed.read_bytes()
    assert hidden(tmp_path) == []


def interrupted(trust: Trust, path: Path, out: Path, *, at: int = 1_500) -> None:
    """Stop as Ctrl-C does once so many rows are done."""

    def stop(done: int, _: int) -> None:
        if done >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.score_list(path, out=out, home=trust.home, progress=stop)


def judged_anew(trust: Trust, path: Path, out: Path, monkeypatch, **how: object) -> int:
    """How many parts are judged when the list is scored now."""
    kept: list[int] = []
    keep = Staging.keep
    monkeypatch.setattr(Staging, "keep", lambda *given: (kept.append(1), keep(*given)))
    pipeline.score_list(path, out=out, home=trust.home, **how)
    return len(kept)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "PART_ROWS", 250)


@pytest.mark.usefixtures("in_parts")
def test_what_was_done_is_not_done_again(trust, long_list, tmp_path, monkeypatch):
    interrupted(trust, long_list, tmp_path / "out.csv")
    assert judged_anew(trust, long_list, tmp_path / "out.csv", monkeypatch) == 6


@pytest.mark.cases(2)
@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_part_that_was_damaged_meanwhile_is_done_again(trust, long_list, tmp_path, monkeypatch, damage):
    interrupted(trust, long_list, tmp_path / "out.csv")
    staging = tmp_path / ".out.csv.scoring"
    damaged(staging / "part-000002.parquet", damage, random.Random(3), home=staging)  # noqa: S311
    assert judged_anew(trust, long_list, tmp_path / "out.csv", monkeypatch) == 7


@pytest.mark.usefixtures("in_parts")
def test_a_day_that_was_changed_meanwhile_begins_anew(trust, long_list, tmp_path, monkeypatch):
    interrupted(trust, long_list, tmp_path / "out.csv")
    about = tmp_path / ".out.csv.scoring" / "about.json"
    about.write_text(re.sub(r'"begun": "\d{4}', '"begun": "2001', about.read_text()))
    assert judged_anew(trust, long_list, tmp_path / "out.csv", monkeypatch) == 12


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("change", ["list", "capacity", "history"])
def test_another_question_takes_up_nothing(trust, long_list, tmp_path, monkeypatch, change):
    out = tmp_path / "out.csv"
    interrupted(trust, long_list, out)
    path, how = long_list, {}
    if change == "list":
        path = tmp_path / "other.parquet"
        pq.write_table(pq.read_table(long_list).slice(0, 2_999), path)
    elif change == "capacity":
        how = {"capacity": 7}
    else:
        how = {"history": trust.extract}
    assert judged_anew(trust, path, out, monkeypatch, **how) == 12
    assert hidden(tmp_path) == []


@pytest.mark.usefixtures("in_parts")
def test_what_lies_there_meanwhile_is_private_and_names_nobody(trust, long_list, tmp_path):
    interrupted(trust, long_list, tmp_path / "out.csv")
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted({re.sub(r"\d+", "", path.name) for path in folder.iterdir()}) == [
        "about.json",
        "lock",
        "part-.parquet",
    ]
    columns = pq.read_schema(folder / "part-000000.parquet").names
    assert set(columns) == set(PREDICTION_SCHEMA.names)
    assert not {"appointment_id", "patient_id"} & set(columns)


def test_a_list_that_is_refused_leaves_no_folder(trust, tmp_path):
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError):
        pipeline.score_list(tmp_path / "bad.csv", out=tmp_path / "out.csv", home=trust.home)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv"]


def test_two_runs_cannot_write_one_output(tmp_path):
    with (
        staged(tmp_path / "out.csv", "q"),
        pytest.raises(StoreError, match=r"another run of dnapredict is writing"),
        staged(tmp_path / "out.csv", "q"),
    ):
        pass


def interrupted_at_once(out: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), staged(out, "q") as staging:
        staging.keep(0, PREDICTION_SCHEMA.empty_table())
        raise KeyboardInterrupt


def test_what_nobody_took_up_goes_by_the_day_on_which_it_began(tmp_path):
    today = datetime.datetime.now(datetime.UTC).date()
    for name, days in (("old.csv", 8), ("new.csv", 7)):
        with set_back(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)):
            interrupted_at_once(tmp_path / name)
        for path in (tmp_path / f".{name}.scoring").iterdir():
            os.utime(path, (time.time() - 120,) * 2)
        os.utime(tmp_path / f".{name}.scoring", (time.time() - 120,) * 2)
    assert remove_abandoned(tmp_path, begun_before=today - datetime.timedelta(days=7)) == 1
    assert hidden(tmp_path) == [".new.csv.scoring"]
