"""Files of a home that were deleted: a lost file is refused and named, and never taken for one that never was."""

import datetime
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.test_outcome_store import rows_of
from tests.unit.test_scored_rows import hashed, record

from dnapredict.config.trial_config import TrialConfig
from dnapredict.data.files.loss_marks import mark_of
from dnapredict.errors import StoreError
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls.stated_opt_outs import StatedOptOuts
from dnapredict.worklist.calls.trial_register import TrialRegister, verify_register
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles

TODAY = datetime.date(2026, 12, 1)
TRIAL = TrialConfig(
    name="Calls",
    start=TODAY,
    end=TODAY + datetime.timedelta(days=100),
    approved_by="The committee",
    why_ethical="Nobody knows yet whether these calls help, and everybody keeps the usual reminder letter.",
)


def opened_log(home: Path) -> None:
    log = ScoringLog(home)
    log.open()
    log.close()


def opted_out(home: Path) -> frozenset[str]:
    return StatedOptOuts(home, hashed).patients()


def state_opt_out(home: Path) -> None:
    listed = pa.table({"patient_id": pa.chunked_array([["P1", "P2"]]), "opt_out": pa.chunked_array([[True, False]])})
    StatedOptOuts(home, hashed).remember(listed)


def allocate(home: Path) -> None:
    TrialRegister(home, TRIAL, TODAY).add({"P1": "low", "P2": "low"})


def places(home: Path) -> object:
    return TrialRegister(home, TRIAL, TODAY).known(["P1"])


# What was written, the file that is deleted, how it is read, and what is said.
LOST = [
    (opened_log, "scoring-log.db", opened_log, "the scoring log is missing, and it was written in this home before"),
    (state_opt_out, "lists/opt-outs.json", opted_out, "the file of those who asked not to be called is missing"),
    (
        lambda home: OutcomeStore(home).write(rows_of("a")),
        "outcomes/outcomes.parquet",
        lambda home: OutcomeStore(home).exists and OutcomeStore(home).read(),
        "the outcome store is missing, and it was written in this home before",
    ),
    (allocate, "trial/register.db", places, "the register of the trial is missing or empty"),
    (allocate, "trial/register.db", verify_register, "the register of the trial is missing or empty"),
]


@pytest.mark.parametrize(("write", "name", "read", "says"), LOST, ids=[f"{row[1]}-{n}" for n, row in enumerate(LOST)])
def test_a_lost_file_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], name: str, read: Callable[[Path], object], says: str
) -> None:
    read(tmp_path) if read is not places else None  # nothing was written yet: nothing is lost
    write(tmp_path)
    read(tmp_path)
    for path in tmp_path.glob(f"{name}*"):
        if path != mark_of(tmp_path / name):
            path.unlink()
    with pytest.raises(StoreError, match=says) as refused:
        read(tmp_path)
    assert str(tmp_path / name) in str(refused.value)


def test_once_the_mark_is_removed_too_the_home_begins_anew(tmp_path: Path) -> None:
    state_opt_out(tmp_path)
    path = tmp_path / "lists" / "opt-outs.json"
    path.unlink()
    mark_of(path).unlink()
    assert opted_out(tmp_path) == frozenset()


def test_a_file_of_an_earlier_release_is_marked_when_it_is_written_again(tmp_path: Path) -> None:
    state_opt_out(tmp_path)
    path = tmp_path / "lists" / "opt-outs.json"
    mark_of(path).unlink()
    assert len(opted_out(tmp_path)) == 1
    stated = StatedOptOuts(tmp_path, hashed)
    stated.take_back(*opted_out(tmp_path))
    assert mark_of(path).exists()


def test_a_lost_scored_list_is_known_and_one_past_its_retention_is_not_lost(tmp_path: Path) -> None:
    assert record(tmp_path) == ()
    files = ScoredFiles(tmp_path)
    (path,) = files.lists()
    assert files.lost() == []
    path.rename(tmp_path / "elsewhere")
    assert files.lost() == [path]
    (tmp_path / "elsewhere").rename(path)
    assert files.remove_before(datetime.date(2100, 1, 1)) == 1
    assert files.lost() == []
    assert list(path.parent.iterdir()) == []


def test_a_register_that_a_full_disk_refuses_is_not_to_be_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocate(tmp_path)

    def connect(path: object, **options: object) -> sqlite3.Connection:
        connection = real(path, **options)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    real = sqlite3.connect
    patients = {f"P{number}": "low" for number in range(5_000)}
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", connect)
        with pytest.raises(
            StoreError, match=r"cannot be written: the disk is full\. Mend that, and run the same"
        ) as full:
            TrialRegister(tmp_path, TRIAL, TODAY).add(patients)
    assert "backup" not in str(full.value)
    TrialRegister(tmp_path, TRIAL, TODAY).add(patients)
    assert len(TrialRegister(tmp_path, TRIAL, TODAY).known(list(patients))) == len(patients)
