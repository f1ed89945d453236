"""What was kept long enough goes; a clock that jumps does not empty the log."""

import datetime
import logging
import os
import time
from pathlib import Path

import pytest
from tests.service.test_log_databases import row

from dnapredict.config.service import Retention
from dnapredict.service.retention import Keeper, forget_entries, forget_lists
from dnapredict.service.store import ScoringLog

TODAY = datetime.datetime.now(datetime.UTC)


def days_ago(days: int) -> str:
    return (TODAY - datetime.timedelta(days=days)).isoformat()


def test_entries_go_after_their_days_and_the_chain_is_sound(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(400)), row(at=days_ago(20)), row(at=days_ago(1))])
    assert forget_entries(log, Retention()) == 0
    assert forget_entries(log, Retention(log_days=30)) == 1
    assert log.verify().entries == 3  # two answers, and the anchor


def test_a_clock_that_jumped_ahead_does_not_empty_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(10_000)), row(at=days_ago(9_990))])  # to a clock 27 years ahead of them
    with caplog.at_level(logging.ERROR):
        Keeper(tmp_path, log, Retention(log_days=30)).look()
    assert "If this machine's clock is right, run `dnapredict log prune`" in caplog.text
    assert log.verify().entries == 2
    assert forget_entries(log, Retention(log_days=30)) == 2  # as a person says


def test_a_clock_that_jumped_back_leaves_a_chain_that_is_sound(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(0)), row(at=days_ago(3_000)), row(at=days_ago(0))])
    assert forget_entries(log, Retention(log_days=30)) == 0
    assert log.verify().entries == 3


def test_the_keeper_does_by_itself_what_is_due(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path)
    log.write([row(at=days_ago(50)), row(at=days_ago(1))])
    Keeper(tmp_path, log, Retention(log_days=30)).look()
    assert log.verify().entries == 2
    assert log.oldest_day() == (TODAY - datetime.timedelta(days=1)).date()


def test_lists_go_after_their_days_and_the_newest_stay_within_their_number(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for age, name in enumerate(["new.parquet", "b.parquet", "c.parquet", "old.parquet", "latest.json"]):
        (folder / name).write_text("x")
        at = time.time() - (100 if name == "old.parquet" else age) * 86_400
        os.utime(folder / name, (at, at))
    assert forget_lists(tmp_path, Retention(list_days=90, lists=3)) == 1
    assert forget_lists(tmp_path, Retention(list_days=90, lists=2)) == 1
    assert forget_lists(tmp_path, Retention(list_days=3)) == 1  # the page's own, of four days ago
    assert {place.name for place in folder.iterdir()} == {"new.parquet", "b.parquet"}


def test_a_home_without_lists_has_none_to_remove(tmp_path: Path) -> None:
    assert forget_lists(tmp_path, Retention()) == 0
