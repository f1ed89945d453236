"""What is kept of a scored list: hashes only, private, whole, and no longer than retention says."""

import datetime
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnapredict.config.service_config import Retention
from dnapredict.data.files.digests import keyed_hash
from dnapredict.errors import StoreError
from dnapredict.service.log.retention import remove_scored
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import SCORED_SCHEMA, ScoredFiles, ScoredRows
from dnapredict.worklist.plan.call_plan import CallPlan

SECRET = b"s" * 64
MARK = "MARKED-"


def hashed(kind: str, value: str) -> str:
    return keyed_hash(SECRET, kind, value)


def inputs(rows: int = 2) -> pa.Table:
    starts = pa.array([datetime.datetime(2030, 1, 1, 9, each) for each in range(rows)], pa.timestamp("us"))
    return pa.table(
        {
            "appointment_id": [f"{MARK}appointment-{each}" for each in range(rows)],
            "patient_id": [f"{MARK}patient-{each}" for each in range(rows - 1)] + [None],
            "starts_at": starts,
            "booked_at": starts,
            "probability": np.linspace(0.1, 0.2, rows),
            "clinic_code": [f"{MARK}clinic"] * rows,
        }
    )


def plan(rows: int = 2, **more: list[str]) -> CallPlan:
    table = {"rank": np.arange(1, rows + 1), "selected": [True] + [False] * (rows - 1)}
    return CallPlan(pa.table(table | more), np.full(rows, np.datetime64("2029-12-30")))


def record(home: Path, identity: ListIdentity | None = None, **more: list[str]) -> tuple[str, ...]:
    identity = identity or ListIdentity.new()
    return ScoredRows(home, hashed).record(inputs(), plan(**more), identity=identity, model_version="7")


def test_a_row_holds_the_plan_and_hashes(tmp_path: Path) -> None:
    identity = ListIdentity.new()
    assert record(tmp_path, identity, trial=["t", "t"], stratum=["a", "b"], trial_arm=["control", "treatment"]) == ()
    (path,) = ScoredFiles(tmp_path).lists()
    table = pq.read_table(path)
    assert table.schema.remove_metadata().equals(SCORED_SCHEMA)
    first = table.to_pylist()[0]
    assert first["appointment"] == hashed("appointment", f"{MARK}appointment-0")
    assert (first["list_id"], first["model_version"], first["rank"]) == (identity.list_id, "7", 1)
    assert (first["selected"], first["call_by"], first["trial_arm"]) == (True, datetime.date(2029, 12, 30), "control")
    assert table["patient"].to_pylist()[1] is None


def test_without_a_trial_its_columns_are_null(tmp_path: Path) -> None:
    record(tmp_path)
    (path,) = ScoredFiles(tmp_path).lists()
    rows = pq.read_table(path).select(["trial", "stratum", "trial_arm"]).to_pylist()
    assert rows == [{"trial": None, "stratum": None, "trial_arm": None}] * 2


def test_no_value_of_a_patient_is_in_a_file_or_its_name(tmp_path: Path) -> None:
    record(tmp_path)
    ScoredRows(tmp_path, hashed).record_challenger([(inputs(), ListIdentity.new())], version="8")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    tables = [path for path in files if path.suffix == ".parquet"]
    assert (len(tables), len(files)) == (2, 4)  # each with the mark that tells when it is lost
    for path in files:
        assert MARK not in path.name
        assert MARK.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
    for path in tables:
        assert MARK not in repr(pq.read_table(path).to_pydict()) + repr(pq.read_schema(path).metadata)


def test_a_list_is_delivered_with_a_notice_where_its_rows_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "outcomes").write_text("no folder", encoding="utf-8")
    (notice,) = record(tmp_path)
    assert notice.startswith("What was scored on this list is not recorded, so that its outcomes will not be known.")
    assert MARK not in notice


def test_a_row_that_is_scored_alone_has_no_rank_and_its_own_file(tmp_path: Path) -> None:
    identity = ListIdentity.new()
    record(tmp_path, identity)
    later = identity.scored_at + datetime.timedelta(minutes=5)
    record(tmp_path, ListIdentity(identity.list_id, later, row_called=False))
    whole, alone = ScoredFiles(tmp_path).lists()
    assert pq.read_table(whole)["rank"].to_pylist() == [1, 2]
    assert pq.read_table(alone).select(["rank", "selected"]).to_pylist() == [{"rank": None, "selected": False}] * 2


def test_a_changed_file_is_damaged_and_one_of_another_secret_is_told(tmp_path: Path) -> None:
    record(tmp_path)
    files = ScoredFiles(tmp_path)
    (path,) = files.lists()
    assert files.damaged() == []
    assert files.is_hashed_with(path, hashed("secret", "check"))
    assert not files.is_hashed_with(path, keyed_hash(b"o" * 64, "secret", "check"))
    content = bytearray(path.read_bytes())
    content[12] ^= 1
    path.write_bytes(content)
    assert files.damaged() == [path]


RETENTION = """
    days ago         | kept
    0, 399, 400      | 0, 399, 400
    0, 401           | 0
    0, 401, 430      | 0
"""


@pytest.mark.parametrize("row", RETENTION.strip().splitlines()[1:])
def test_scored_rows_are_kept_for_400_days(tmp_path: Path, row: str) -> None:
    ages, left = ([int(each) for each in cell.split(",")] for cell in row.split("|"))
    now = datetime.datetime.now(datetime.UTC)
    for days in ages:
        record(tmp_path, ListIdentity(f"{days:016x}", now - datetime.timedelta(days=days)))
    remove_scored(tmp_path, Retention(), most_days=31)
    assert sorted(int(path.stem.split("-")[1], 16) for path in ScoredFiles(tmp_path).lists()) == left


def test_a_clock_that_jumped_ahead_removes_nothing_unasked(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    record(tmp_path, ListIdentity("0" * 16, now - datetime.timedelta(days=1_000)))
    with pytest.raises(StoreError, match="too much to remove unasked"):
        remove_scored(tmp_path, Retention(), most_days=31)
    assert remove_scored(tmp_path, Retention()) == 1


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import pyarrow as pa
    from dnapredict.worklist.follow_up import outcome_store
    from dnapredict.data.files import atomic_write

    step, home = sys.argv[1], Path(sys.argv[2])
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    if step == "before the seal":
        outcome_store.seal = die
    elif step == "before the flush":
        atomic_write.flush = die
    elif step == "before the rename":
        atomic_write.os.replace = die
    rows = pa.Table.from_pylist([{"appointment": "new"}], schema=outcome_store.OUTCOME_SCHEMA)
    outcome_store.OutcomeStore(home).write(rows)
"""


@pytest.mark.parametrize(
    ("step", "expected"),
    [("before the seal", "old"), ("before the flush", "old"), ("before the rename", "old"), ("", "new")],
)
def test_a_process_that_is_killed_leaves_the_old_store_or_the_new_one(tmp_path: Path, step: str, expected: str) -> None:
    store = OutcomeStore(tmp_path)
    store.write(pa.Table.from_pylist([{"appointment": "old"}], schema=OUTCOME_SCHEMA))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), step, str(tmp_path)], check=False, env=dict(os.environ)
    )
    assert done.returncode == (-signal.SIGKILL if step else 0)
    assert store.read(["appointment"]).to_pydict() == {"appointment": [expected]}
