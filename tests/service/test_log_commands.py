"""`dnapredict log`: verify, upgrade and prune, as operations type them."""

import re
from pathlib import Path

import pytest
from tests.end_to_end.conftest import command
from tests.service.test_log_databases import row

from dnapredict.service.log.scoring_log import ScoringLog

OLD = "2020-01-01T00:00:00+00:00"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    place = tmp_path / "service.toml"
    place.write_text("[retention]\nlog_days = 30\n", encoding="utf-8")
    return place


def test_a_sound_log_is_told_with_what_to_note(tmp_path: Path) -> None:
    ScoringLog(tmp_path).write([row(), row()])
    done = command("log", "verify", "--home", tmp_path)
    assert done.returncode == 0
    assert re.match(r"2 rows, each as it was written\. The last: 2, seal [0-9a-f]{64}$", done.stdout)
    assert "Write down the last number and its seal" in done.stderr


def test_a_log_in_postgresql_is_upgraded_verified_and_pruned(
    tmp_path: Path, postgres_database: str, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNAPREDICT_DATABASE", postgres_database)
    where = ("--home", tmp_path / "home", "--settings", settings)
    refused = command("log", "verify", *where)
    assert (refused.returncode, "Run `dnapredict log upgrade`" in refused.stderr) == (14, True)
    assert command("log", "upgrade", *where).stdout == "The scoring log is of form r0005.\n"
    log = ScoringLog(tmp_path)
    log.write([row(at=OLD), row(at=OLD)])
    log.close()
    pruned = command("log", "prune", *where)
    assert pruned.stdout == "Retention run: deleted 2 log entries.\n"
    assert command("log", "verify", *where).stdout.startswith("1 rows, each as it was written.")


def test_settings_that_hold_something_unknown_are_refused(tmp_path: Path, settings: Path) -> None:
    settings.write_text("[retention]\nlog_dayz = 30\n", encoding="utf-8")
    done = command("log", "prune", "--home", tmp_path, "--settings", settings)
    assert done.returncode == 11
    assert "unknown key 'log_dayz' in 'retention'. Did you mean 'log_days'?" in done.stderr


@pytest.mark.parametrize("verb", ["verify", "prune"])
def test_of_a_folder_that_is_no_home_nothing_is_called_sound_or_deleted(verb: str, tmp_path: Path) -> None:
    done = command("log", verb, "--home", tmp_path)
    assert (done.returncode, done.stdout) == (14, "")
    assert "this folder is no home" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_decision_that_was_written_down_is_missed_where_the_ledger_is_gone(tmp_path: Path) -> None:
    ScoringLog(tmp_path).write([row()])
    done = command("log", "verify", "--home", tmp_path, "--kept", f"1:{'0' * 64}")
    assert (done.returncode, "is not in this ledger" in done.stderr) == (14, True)


def test_a_damaged_log_keeps_nothing_else_beyond_its_days(tmp_path: Path, settings: Path) -> None:
    scored = tmp_path / "outcomes" / "scored" / "20200101T000000000000-0123456789abcdef.parquet"
    scored.parent.mkdir(parents=True)
    scored.write_bytes(b"")
    (tmp_path / "scoring-log.db").write_text("x" * 9_999)
    done = command("log", "prune", "--home", tmp_path, "--settings", settings)
    assert (done.returncode, done.stdout) == (14, "Retention run: deleted 1 scored lists.\n"), done.stderr
    assert "scoring-log.db" in done.stderr
    assert not scored.exists()
