"""What was kept long enough goes; a clock that jumps does not empty the log."""

import datetime
import logging
import os
import re
import time
from pathlib import Path

import pyarrow as pa
import pytest
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import record, week
from tests.service.test_lists import upload
from tests.service.test_log_databases import row

from dnapredict.config.service_config import Retention, ServiceConfig
from dnapredict.data.retention_clock import confirm_clock
from dnapredict.errors import StoreError
from dnapredict.service.call_actions import Actions
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.home_checks.file_checks import remove_leftovers
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.retention import RetentionThread, remove_entries, remove_lists, require_room
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files import list_store
from dnapredict.worklist.files.kept_list import Counts, Heading, KeptList


def in_days(days: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


def days_ago(days: int) -> str:
    return in_days(-days).isoformat()


def test_entries_go_after_their_days_and_the_chain_is_sound(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(400)), row(at=days_ago(20)), row(at=days_ago(1))])
    assert remove_entries(log, Retention()) == 0
    assert remove_entries(log, Retention(log_days=30)) == 1
    assert log.verify().entries == 3  # two answers, and the anchor


def test_a_clock_that_jumped_ahead_does_not_empty_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(10_000)), row(at=days_ago(9_990))])  # to a clock 27 years ahead of them
    with caplog.at_level(logging.ERROR):
        confirm_clock(tmp_path)
        RetentionThread(tmp_path, log, Retention(log_days=30)).run_once()
    assert "If this machine's clock is right, run `dnapredict log prune`" in caplog.text
    assert log.verify().entries == 2
    assert remove_entries(log, Retention(log_days=30)) == 2  # as a person says


def test_a_clock_that_jumped_back_leaves_a_chain_that_is_sound(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(0)), row(at=days_ago(3_000)), row(at=days_ago(0))])
    assert remove_entries(log, Retention(log_days=30)) == 0
    assert log.verify().entries == 3


def test_what_a_killed_process_left_in_a_home_is_removed_once_it_is_an_hour_old(tmp_path: Path) -> None:
    lists, log = tmp_path / "lists", ScoringLog(tmp_path)
    half_written = [tmp_path / ".mlruns-abcdefgh", *(lists / f".{n * 16}-{n}.parquet" for n in "01")]
    kept = lists / "calling.json"
    lists.mkdir()
    half_written[0].mkdir()
    for path in (half_written[0] / "rows.parquet", *half_written[1:], kept):
        path.write_text("rows")
    thread = RetentionThread(tmp_path, log, Retention(), remove_leftovers=remove_leftovers)
    thread.remove_leftovers()
    assert all(path.exists() for path in half_written)  # their process may still be writing
    hour = time.time() - 3_601
    for path in (half_written[0] / "rows.parquet", *half_written, kept):
        os.utime(path, (hour, hour))
    thread.remove_leftovers()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


def test_the_keeper_does_by_itself_what_is_due(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(50)), row(at=days_ago(1))])
    confirm_clock(tmp_path)
    RetentionThread(tmp_path, log, Retention(log_days=30)).run_once()
    assert log.verify().entries == 2
    assert log.oldest_day() == in_days(-1).date()


def test_lists_go_after_their_days_and_the_newest_stay_within_their_number(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for age, name in enumerate(["new.parquet", "b.parquet", "c.parquet", "old.parquet", "latest.json"]):
        (folder / name).write_text("x")
        at = time.time() - (100 if name == "old.parquet" else age) * 86_400
        os.utime(folder / name, (at, at))
    assert remove_lists(tmp_path, Retention(list_days=90, lists=3)) == 1
    assert remove_lists(tmp_path, Retention(list_days=90, lists=2)) == 1
    assert remove_lists(tmp_path, Retention(list_days=3)) == 1  # the page's own, of four days ago
    assert {place.name for place in folder.iterdir()} == {"new.parquet", "b.parquet"}


FUTURE, PAST = in_days(3), in_days(-3)


def keep(home: Path, list_id: str, *starts: datetime.datetime, days_old: float = 0) -> str:
    """A kept list with appointments at these moments, written so many days ago."""
    columns = {
        "appointment_id": [f"apt-{n}" for n in range(len(starts))],
        "selected": [True] * len(starts),
        "error": pa.nulls(len(starts), pa.string()),
        "starts_at": pa.array([each.replace(tzinfo=None) for each in starts], pa.timestamp("us")),
    }
    worklist = pa.table(columns)
    heading = Heading(
        list_id=list_id * 16,
        name="w",
        created_at=in_days(0),
        model_version="7",
        synthetic=True,
        counts=Counts.of(worklist),
    )
    list_store.keep(home, KeptList(heading, worklist))
    at = time.time() - days_old * 86_400
    os.utime(home / "lists" / f"{heading.list_id}.parquet", (at, at))
    return heading.list_id


def there(home: Path) -> set[str]:
    return {path.stem[0] for path in list_store.kept_files(home)}


def test_beyond_their_number_no_list_goes_that_a_team_works_on(tmp_path: Path) -> None:
    keep(tmp_path, "a", PAST, FUTURE, days_old=4)  # appointments to come
    worked_on = keep(tmp_path, "b", PAST, days_old=3)
    keep(tmp_path, "c", PAST, days_old=2)
    keep(tmp_path, "d", PAST, days_old=1)
    log = ScoringLog(tmp_path)
    actions = Actions(log, Hashes(tmp_path))
    actions.record(worked_on, {"appointment_id": "apt-0"}, Outcome.NO_ANSWER)
    assert remove_lists(tmp_path, Retention(lists=1), log) == 1
    assert there(tmp_path) == {"a", "b", "d"}
    confirm_clock(tmp_path)
    RetentionThread(tmp_path, log, Retention(lists=1, list_days=2)).run_once()  # what is too old goes all the same
    assert there(tmp_path) == {"d"}


def test_while_it_cannot_be_known_what_is_worked_on_nothing_goes(tmp_path: Path) -> None:
    for name in "abc":
        keep(tmp_path, name, PAST)
    (tmp_path / "scoring-log.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError):
        remove_lists(tmp_path, Retention(lists=1), ScoringLog(tmp_path))
    assert there(tmp_path) == {"a", "b", "c"}


def test_where_lists_take_too_much_room_those_go_first_that_nobody_works_on(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    for age, name in enumerate("dcba"):
        keep(tmp_path, name, PAST, days_old=age)
    size = sum(path.stat().st_size for path in list_store.kept_files(tmp_path)) / 1_048_576
    require_room(tmp_path, Retention(list_mb=2 * size), log)
    assert there(tmp_path) == {"a", "b", "c", "d"}
    confirm_clock(tmp_path)
    require_room(tmp_path, Retention(list_mb=0.6 * size), log)
    assert there(tmp_path) == {"c", "d"}
    keep(tmp_path, "e", FUTURE)
    with pytest.raises(StoreError, match=r"This list was not scored, and none that is worked on was removed"):
        require_room(tmp_path, Retention(list_mb=0.1 * size), log)
    assert there(tmp_path) == {"e"}


def test_an_uploader_is_told_where_there_is_no_room_and_others_go_on(home: Path) -> None:
    config = ServiceConfig(retention=Retention(list_mb=0.005))
    with served_at(home, config) as client:
        first = upload(client, week()).json()["list_id"]
        refused = upload(client, week())
        assert refused.status_code == 503
        assert refused.json()["error"].startswith("The lists that are kept take 0 MB of 0, and teams still")
        assert record(client, f"/lists/{first}").status_code == 303
        page = upload(client, week(), to="/upload")
        assert (page.status_code, "This list was not scored" in page.text) == (503, True)


def test_another_teams_upload_removes_no_list_and_takes_no_ones_place(home: Path) -> None:
    config = ServiceConfig(retention=Retention(lists=1))
    with served_at(home, config) as client:
        mine = upload(client, week(), name="ear clinic.csv", to="/upload").headers["location"]
        record(client, mine)
        clerk = dict(client.cookies)
        client.cookies.clear()
        for number in range(3):
            upload(client, week(mark=f"b{number}"), name="eye clinic.csv", to="/upload")
        assert "eye clinic.csv" in client.get("/").text
        client.cookies.clear()
        client.cookies.update(clerk)
        page = client.get("/").text
        assert "ear clinic.csv" in page.split("</h1>")[0].split("<h1>")[1]
        assert "This is not the newest list." in page
        newest = re.findall(r'<a href="(/lists/[0-9a-f]{16})">Go to the newest list, eye clinic.csv', page)[0]
        assert "This is not the newest list." not in client.get(newest).text
        assert record(client, mine, outcome="rebooked").status_code == 303
        assert client.get("/lists").text.count("eye clinic.csv") == 3


def test_a_list_whose_appointments_are_over_is_not_shown_first(client: TestClient) -> None:
    last_year = week().replace("2026-12-0", "2025-12-0").replace("2026-09-01", "2025-09-01")
    old = upload(client, last_year, name="last year.csv", to="/upload").headers["location"]
    record(client, old)
    clerk = dict(client.cookies)
    client.cookies.clear()
    upload(client, week(), name="next week.csv")
    client.cookies.update(clerk)
    assert "next week.csv" in client.get("/").text.split("</h1>")[0]
    client.cookies.update({"dnapredict_list": "../../etc"})
    assert "next week.csv" in client.get("/").text.split("</h1>")[0]


def test_a_home_without_lists_has_none_to_remove(tmp_path: Path) -> None:
    assert remove_lists(tmp_path, Retention()) == 0
