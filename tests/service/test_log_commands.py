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
