"""What retention deletes besides lists and the log: watched folders, interrupted scorings, replaced histories."""

import datetime
import json
import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.test_log_databases import row
from tests.service.test_retention import days_ago, in_days, keep, there

from dnapredict.config.service_config import Retention
from dnapredict.data.retention_clock import confirm_clock
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.pipeline.watching import Inbox
from dnapredict.service.api import pending_uploads
from dnapredict.service.app import remove_left_files
from dnapredict.service.home_checks.examination import examine
from dnapredict.service.log.retention import RetentionThread, remove_histories, remove_lists
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist import checkpoints
from dnapredict.worklist.files.output_folders import FolderUse, note_folder, remove_moved, remove_staging, when_moved

HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def moved(folder: Path, name: str, *, days: int | None, worklists: tuple[str, ...] = ()) -> None:
    """A list in `done` or `failed` with its message, and worklists; without days, as earlier releases told of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in (name, *worklists):
        (folder / each).write_text("rows")
    said = f"{name} could not be scored: a reason.\n" + (f"{when_moved(in_days(-days))}\n" if days is not None else "")
    (folder / f"{name}.txt").write_text(said)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_list_goes_from_a_watched_folder_after_its_days_with_its_worklists_and_its_message(tmp_path: Path) -> None:
    home, watched = tmp_path / "home", tmp_path / "lists"
    old = ("week 1-worklist.xlsx", "week 1-worklist.kept-2026-11-01.xlsx")
    moved(watched / "done", "week 1.csv", days=31, worklists=(*old, "week 1-worklist of a person.xlsx"))
    moved(watched / "done", "week 2.csv.gz", days=29, worklists=("week 2-worklist.csv",))
    moved(watched / "failed", "notes.txt", days=31)
    moved(watched / "failed", "bad.csv", days=2)
    (watched / "done" / "of a person.txt").write_text("call back")
    note_folder(home, watched, FolderUse.WATCHED)
    assert remove_moved(home, Retention(done_days=30, failed_days=30)) == {"done": 1, "failed": 1}
    assert names(watched / "done") == [
        *("of a person.txt", "week 1-worklist of a person.xlsx", "week 2-worklist.csv", "week 2.csv.gz"),
        "week 2.csv.gz.txt",
    ]
    assert names(watched / "failed") == ["bad.csv", "bad.csv.txt"]
    assert remove_moved(home, Retention(failed_days=1)) == {"done": 0, "failed": 1}


def test_its_message_says_since_when_whatever_the_times_of_a_copy(tmp_path: Path) -> None:
    home, watched = tmp_path / "home", tmp_path / "lists"
    moved(watched / "done", "copied.csv", days=40)  # its files are of now
    moved(watched / "done", "touched.csv", days=2)
    moved(watched / "done", "earlier release.csv", days=None)
    long_ago = time.time() - 60 * DAY
    for name in ("touched.csv", "touched.csv.txt", "earlier release.csv.txt"):
        os.utime(watched / "done" / name, (long_ago, long_ago))
    note_folder(home, watched, FolderUse.WATCHED)
    assert remove_moved(home, Retention(done_days=30))["done"] == 2
    assert names(watched / "done") == ["touched.csv", "touched.csv.txt"]


def test_what_is_moved_is_its_owners_alone_and_tells_when(tmp_path: Path) -> None:
    watched = tmp_path / "lists"
    watched.mkdir()
    for name in ("done", "failed"):
        (watched / name).mkdir()  # as an earlier release made them
    (watched / "week.csv").write_text("rows")
    inbox = Inbox.open(watched)
    inbox.destination("week.csv", folder="done").move(watched / "week.csv", "week.csv: 1 call.")
    found = {path.name: oct(mode(path)) for path in watched.rglob("*")}
    assert found == {"done": "0o700", "failed": "0o700", "week.csv": "0o600", "week.csv.txt": "0o600"}
    said = (watched / "done" / "week.csv.txt").read_text().splitlines()
    assert said[0] == "week.csv: 1 call."
    told = datetime.datetime.strptime(said[1], "Moved here on %Y-%m-%d at %H:%M UTC.").replace(tzinfo=datetime.UTC)
    assert abs(in_days(0) - told) < datetime.timedelta(minutes=2)


def test_where_a_group_may_write_to_the_watched_folder_it_may_read_what_is_moved(tmp_path: Path) -> None:
    watched = tmp_path / "lists"
    watched.mkdir()
    watched.chmod(0o2775)
    (watched / "week.csv").write_text("rows")
    Inbox.open(watched).destination("week.csv", folder="done").move(watched / "week.csv", "week.csv: 1 call.")
    found = {path.name: oct(mode(path)) for path in watched.rglob("*")}
    assert found == {"done": "0o2770", "failed": "0o2770", "week.csv": "0o660", "week.csv.txt": "0o660"}


def interrupted(folder: Path, name: str, *, days: int, seconds: float = HOUR) -> Path:
    """A scoring that began so many days ago, and was killed so many seconds ago."""
    staging = folder / f".{name}.scoring"
    (staging / "overflow" / "dnapredict-abcdefgh").mkdir(parents=True)
    begun = (in_days(-days)).date().isoformat()
    (staging / "about.json").write_text(json.dumps({"form": 2, "question": "q", "begun": begun, "seal": "s"}))
    for each in ("lock", "part-000000.parquet", "overflow/dnapredict-abcdefgh/0.block", f".{'0a' * 8}-{name}"):
        (staging / each).write_text("rows")
    at = time.time() - seconds
    for path in (staging, *staging.rglob("*")):
        os.utime(path, (at, at))
    return staging


def test_rows_of_a_killed_scoring_go_at_once_and_its_risks_after_their_days(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    week, old = interrupted(out, "week.csv", days=6), interrupted(out, "old.csv", days=8)
    running = interrupted(out, "running.csv", days=8, seconds=1)
    note_folder(home, out, FolderUse.SCORING)
    assert remove_staging(home, Retention(staging_days=7)) == 1
    assert names(week) == ["about.json", "lock", "part-000000.parquet"]
    assert not old.exists()
    assert len(names(running)) == 5
    assert names(home / "output-folders")


def test_a_scoring_that_runs_is_not_touched_and_the_note_goes_with_the_last_one(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    note_folder(home, out, FolderUse.SCORING)
    with checkpoints.staged(out / "week.csv", "q") as staging:
        (staging.overflow / "rows").write_text("rows")
        ago = time.time() - 30 * DAY
        for path in (staging.folder, *staging.folder.rglob("*")):
            os.utime(path, (ago, ago))
        assert remove_staging(home, Retention()) == 0
        assert (staging.overflow / "rows").exists()
        assert names(home / "output-folders")
    assert remove_staging(home, Retention()) == 0
    assert names(home / "output-folders") == []


def test_another_scoring_in_the_same_folder_removes_what_a_killed_one_has_put_on_the_disk(tmp_path: Path) -> None:
    week = interrupted(tmp_path, "week.csv", days=1)
    with checkpoints.staged(tmp_path / "other.csv", "q"):
        assert names(week) == ["about.json", "lock", "part-000000.parquet"]


def histories(home: Path, *, refreshed: int) -> Path:
    """Three histories of which one is in use, which replaced the others so many days ago."""
    root = home / "history"
    for name in ("history-a", "history-b", "history-c"):
        (root / name).mkdir(parents=True)
        (root / name / "appointments.arrow").write_text("rows")
        os.utime(root / name, (time.time() - 2 * HOUR,) * 2)
    (home / "history.json").write_text(json.dumps({"refreshed_at": days_ago(refreshed)}))
    (root / "CURRENT").write_text(f"history-b\n{'0' * 64}\n")
    return root


def test_a_history_that_was_replaced_goes_after_its_days_counted_from_the_refresh(tmp_path: Path) -> None:
    root = histories(tmp_path, refreshed=8)
    assert remove_histories(tmp_path, Retention(old_history_days=9)) == 0
    (root / "history-d").mkdir()  # a refresh that is just ending has put it there and not named it yet
    assert remove_histories(tmp_path, Retention(old_history_days=7)) == 2
    assert names(root) == ["CURRENT", "history-b", "history-d"]
    current = HistoryStore.current(root)
    assert current is not None
    assert current.folder == root / "history-b"


def test_a_list_that_was_put_back_from_a_backup_goes_by_its_mark_and_not_its_times(
    tmp_path: Path,
) -> None:
    old, new = keep(tmp_path, "a", in_days(1)), keep(tmp_path, "b", in_days(1))
    (tmp_path / "lists" / f"{old}.kept").write_text(f"{in_days(-92):%Y-%m-%d}")
    assert there(tmp_path) == {"a", "b"}
    assert remove_lists(tmp_path, Retention(list_days=90)) == 1
    assert there(tmp_path) == {new[0]}


def test_a_run_says_what_it_deleted_in_one_line_without_a_value_and_nothing_while_the_clock_is_doubted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home, watched = tmp_path / "Qzxname", tmp_path / "lists"
    log = ScoringLog(home)
    log.write([row(at=days_ago(50)), row(at=days_ago(1))])
    moved(watched / "done", "Qzxname.csv", days=31)
    note_folder(home, watched, FolderUse.WATCHED)
    note_folder(home, tmp_path / "out", FolderUse.SCORING)
    interrupted(tmp_path / "out", "Qzxname.csv", days=31)
    histories(home, refreshed=8)
    thread = RetentionThread(home, log, Retention(log_days=30))
    with caplog.at_level(logging.INFO):
        assert thread.run_once()  # the first reading of a home: in doubt
        assert "Retention run" not in caplog.text
        assert (watched / "done" / "Qzxname.csv").exists()
        confirm_clock(home)
        assert thread.run_once()
        assert thread.run_once()
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Retention run")]
    assert lines == [
        "Retention run: deleted 1 log entries, 2 old histories, 1 interrupted scorings, 1 watched lists.",
        "Retention run: deleted nothing.",
    ]
    assert "Qzxname" not in caplog.text


def test_a_damaged_note_of_a_folder_is_named_and_hinders_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    (home / "lists").mkdir(parents=True)  # of a home
    for name in ("one", "two"):
        moved(tmp_path / name / "done", "week.csv", days=31)
        note_folder(home, tmp_path / name, FolderUse.WATCHED)
    damaged = sorted((home / "output-folders").iterdir())[0]
    damaged.write_text("{")
    assert remove_moved(home, Retention())["done"] == 1
    assert f"{damaged}: is damaged. Remove it" in caplog.text
    assert [str(found) for found in examine(home).findings if "output-folders" in str(found)]


def test_an_upload_that_nobody_came_back_to_goes_without_another_one(tmp_path: Path) -> None:
    for _ in range(2):
        pending_uploads.keep(tmp_path, pending_uploads.PendingUpload("week.csv", b"a,b\n1,2\n"))
    waiting, old = sorted((tmp_path / "uploads").iterdir())
    os.utime(old, (time.time() - 1_801,) * 2)
    thread = RetentionThread(tmp_path, ScoringLog(tmp_path), Retention(), remove_leftovers=remove_left_files)
    thread.remove_leftovers()
    assert list((tmp_path / "uploads").iterdir()) == [waiting]


def test_the_service_removes_rows_of_a_killed_scoring_within_the_hour_wherever_it_was(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    week = interrupted(out, "week.csv", days=0)
    note_folder(home, out, FolderUse.SCORING)
    RetentionThread(home, ScoringLog(home), Retention()).remove_leftovers()  # what it does every quarter of an hour
    assert names(week) == ["about.json", "lock", "part-000000.parquet"]
