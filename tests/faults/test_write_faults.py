"""Verbs and routes that are killed at a write: old or new, mended by running again, nothing lost.

These are some kills of some verbs; `python -m benchmarks.write_faults` does every point of every one.
"""

import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from benchmarks.write_faults import evenly
from tests.end_to_end.conftest import must_succeed
from tests.end_to_end.conftest import trust as trust
from tests.end_to_end.world import Trust
from tests.examples import ALL, examples
from tests.faults.home_readings import half, lost
from tests.faults.interposed_process import interposer

ROOT = Path(__file__).parents[2]
# What a kill did not leave old or new, or lost, in earlier releases; and what must never be lost.
KILLS = {"score": examples(2), "opt-out": 1, "append": 1}
if examples(ALL) == ALL:
    # With --part: test_a_sign_that_is_killed_at_any_write_leaves_the_decision_before_or_the_whole_new_one, and
    # test_a_promotion_that_was_killed_counts_at_once_and_is_completed_when_it_is_run_again.
    KILLS |= {"reject": 1, "promote-again": 1}
EVERY_STEP = """
import ctypes, os, pathlib, shutil, sqlite3, sys
folder = pathlib.Path(sys.argv[1])
interpose = ctypes.CDLL(None).interpose
interpose(str(folder).encode(), ctypes.c_long(int(sys.argv[2])), 1, -1)
(folder / "a").write_text("0123456789")
os.chmod(folder / "a", 0o600)
os.link(folder / "a", folder / "b")
os.replace(folder / "a", folder / "c")
os.truncate(folder / "c", 4)
with (folder / "c").open("ab") as file:
    os.fsync(file.fileno())
(folder / "d").mkdir()
(folder / "d").rmdir()
(folder / "b").unlink()
(folder.parent / "outside").write_text("not counted")
connection = sqlite3.connect(folder / "x.db")
connection.execute("CREATE TABLE t (a)")
connection.commit()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library. Without a compiler, or beyond Linux, the tests are skipped; in CI that is a failure."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no gcc on Linux, with which the library that kills is compiled")
        pytest.skip("the library that kills needs gcc and Linux")
    return interposer(tmp_path_factory.mktemp("library"))


def steps(library: Path, folder: Path, *, at: int = 0) -> tuple[int, list[list[str]]]:
    """The steps of `EVERY_STEP` up to the one at which it is killed: kind and name of the file."""
    folder.mkdir()
    environment = os.environ | {"LD_PRELOAD": str(library)}
    command = [sys.executable, "-c", EVERY_STEP, str(folder), str(at)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line.split("\t")[1:] for line in done.stdout.splitlines()]
    return done.returncode, [[kind, path.removeprefix(f"{folder}/")] for kind, path in lines]


def test_each_kind_of_step_is_seen_and_none_outside_the_folder(library: Path, tmp_path: Path) -> None:
    code, found = steps(library, tmp_path / "home")
    assert code == 0
    by_python = [each for each in found if not each[1].startswith("x.db") and each[1] != str(tmp_path / "home")]
    assert by_python == [
        *(["open", "a"], ["write", "a"], ["half", "a"], ["chmod", "a"], ["link", "b"], ["rename", "c"]),
        *(["truncate", "c"], ["open", "c"], ["fsync", "c"], ["mkdir", "d"], ["rmdir", "d"], ["unlink", "b"]),
    ]
    of_commit = {kind for kind, name in found if name.startswith("x.db")}
    assert of_commit == {"open", "write", "half", "fsync", "unlink"}  # the journal and the database


def test_a_kill_at_half_of_a_write_leaves_half_of_its_bytes(library: Path, tmp_path: Path) -> None:
    code, found = steps(library, tmp_path / "home", at=3)
    assert (code, found[-1]) == (-9, ["half", "a"])
    assert (tmp_path / "home" / "a").read_text() == "01234"


def test_states_are_judged_in_an_order_of_which_every_beginning_is_spread_evenly() -> None:
    assert evenly(list("abcdefgh")) == list("aecgbfdh")
    assert sorted(evenly(list("abcdefghijk"))) == list("abcdefghijk")
    assert (evenly([]), evenly(["a"])) == ([], ["a"])


DELETIONS = """
    old                        | new      | after a kill       | lost | half
    week 1, week 2, week 3     | week 3   | week 2, week 3     |      |
    week 1, week 2, week 3     | week 3   | week 1             | week 3 |
    week 1: 9 rows             | week 1: 8 rows | week 1: 0 rows |  | week 1: 0 rows
    week 1                     | week 1, week 2 | week 1, week 2, week 2 | | week 2
"""


def test_a_run_that_deletes_or_writes_several_files_is_judged_file_by_file() -> None:
    for line in DELETIONS.strip().splitlines()[1:]:
        old, new, now, gone, strange = ([each.strip() for each in cell.split(",")] for cell in line.split("|"))
        readings = [{"lists": [each for each in cell if each]} for cell in (old, new, now)]
        assert lost(*readings).get("lists", [""]) == gone, line
        assert half(*readings).get("lists", [""]) == strange, line


@pytest.fixture(scope="module")
def small_world(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trust's home, a list of 40 appointments, an extract to append, and a report to sign."""
    place = tmp_path_factory.mktemp("faults") / "world"
    shutil.copytree(trust.home, place / "home")
    table = pq.read_table(trust.extract)
    is_open = pc.is_null(table["outcome_code"])
    later = table.filter(is_open).slice(0, 500)
    later = later.set_column(later.column_names.index("outcome_code"), "outcome_code", pa.array(["5"] * later.num_rows))
    recorded = pc.add(later["starts_at"], pa.scalar(datetime.timedelta(hours=2)))
    later = later.set_column(later.column_names.index("recorded_at"), "recorded_at", recorded)
    pq.write_table(later, place / "append.parquet")
    pq.write_table(pq.read_table(trust.weekly).slice(0, 40), place / "next.parquet")
    (place / "home" / "lists").mkdir(mode=0o700, exist_ok=True)
    (place / "home" / "lists" / "calls.secret").write_text("ab" * 32, encoding="ascii")  # the same hashes in each run
    signing = place / "work" / "bases" / "audit"  # where `reject` begins
    shutil.copytree(trust.home, signing / "home")
    audited = ("--home", signing / "home", "--out", signing / "out" / "report")
    must_succeed("audit", trust.extract, "--model", "1", *audited)
    (place / "made").touch()
    return place


@pytest.mark.usefixtures("library")
def test_a_kill_leaves_the_old_or_the_new_and_running_again_mends_it(small_world: Path) -> None:
    """One process for all verbs: it takes longer to begin than to run one."""
    named = [f"{name}={kills}" for name, kills in KILLS.items()]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.write_faults", "--world", str(small_world), "--killed", *named],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"verb"')]
    assert {row["verb"]: row["killed"] for row in rows} == KILLS, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
