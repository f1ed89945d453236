"""How a scoring log comes to its newest form: by itself in a home, by a command in PostgreSQL."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import select
from tests.service.test_log_databases import action, row

from dnapredict.data.files.digests import FIRST_SEAL, entry_seal
from dnapredict.errors import ConfigurationError, StoreError
from dnapredict.service.log import log_database
from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog

FIRST_RELEASE = Path(__file__).with_name("scoring-log-of-the-first-release.sql")


def of_the_first_release(home: Path) -> None:
    with closing(sqlite3.connect(home / log_database.FILE)) as connection:
        connection.executescript(FIRST_RELEASE.read_text(encoding="utf-8"))


def test_a_log_of_the_first_release_is_upgraded_and_every_answer_in_it_is_still_sound(tmp_path: Path) -> None:
    of_the_first_release(tmp_path)
    log = ScoringLog(tmp_path)
    assert log.verify().entries == 3
    log.write([row(list="0" * 16)])
    assert log.verify().entries == 4
    assert [answer.form for answer in log.query(select(ANSWERS.c.form))] == [1, 1, 1, 2]
    assert log.upgrade() == log_database.REVISION


def test_an_answer_of_the_first_release_that_was_changed_is_found_after_the_upgrade(tmp_path: Path) -> None:
    of_the_first_release(tmp_path)
    with closing(sqlite3.connect(tmp_path / log_database.FILE)) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE scores SET probability = 0.5 WHERE number = 2")
        connection.commit()
    with pytest.raises(StoreError, match="row 2 is not as it was written"):
        ScoringLog(tmp_path).verify()


def test_a_list_slipped_into_an_answer_of_the_first_release_is_found(tmp_path: Path) -> None:
    of_the_first_release(tmp_path)
    ScoringLog(tmp_path).verify()
    with closing(sqlite3.connect(tmp_path / log_database.FILE)) as connection:
        connection.execute("DROP TRIGGER scores_no_update")
        connection.execute("UPDATE scores SET list = 'x' WHERE number = 2")
        connection.commit()
    with pytest.raises(StoreError, match="row 2 is not as it was written"):
        ScoringLog(tmp_path).verify()


def of_the_release_before_call_details(home: Path) -> None:
    """A log with an answer and an action, as the release before the columns of `DETAIL_COLUMNS` wrote it."""
    path = home / log_database.FILE
    connection = sqlite3.connect(path)
    engine = log_database._sqlite_engine(path)
    with engine.execution_options(dnapredict_writes=True).begin() as migrating:
        config = Config(attributes={"connection": migrating})
        config.set_main_option("script_location", str(Path(log_database.__file__).with_name("migrations")))
        command.upgrade(config, "r0003")
    engine.dispose()
    entry = {"at": "2026-01-06T09:00:00+00:00", "asked_by": "k", "list": "l", "appointment": "a", "patient": None}
    entry |= {"clinic": "ENT1", "site": None, "outcome": "no_answer"}
    seal = entry_seal(["action", 1, *entry.values()], previous=FIRST_SEAL)
    with closing(connection):
        marks = ", ".join("?" * 10)
        connection.execute(f"INSERT INTO actions VALUES ({marks})", (1, *entry.values(), seal))
        connection.execute("UPDATE head SET number = 1, seal = ?", (seal,))
        connection.commit()


def test_an_action_without_details_keeps_its_seal_after_the_upgrade(tmp_path: Path) -> None:
    of_the_release_before_call_details(tmp_path)
    log = ScoringLog(tmp_path)
    assert log.verify().entries == 1
    log.write_action(action(barrier="work", offered=None, call_back_at=None))
    assert log.verify().entries == 2
    assert [tuple(each) for each in log.query(select(ACTIONS.c.form, ACTIONS.c.barrier))] == [(1, None), (2, "work")]


@pytest.mark.parametrize(
    "change", ["barrier = 'work' WHERE number = 1", "form = 1 WHERE number = 2", "barrier = NULL WHERE number = 2"]
)
def test_details_that_were_changed_or_slipped_into_an_older_action_are_found(tmp_path: Path, change: str) -> None:
    of_the_release_before_call_details(tmp_path)
    ScoringLog(tmp_path).write_action(action(barrier="work", offered=None, call_back_at=None))
    with closing(sqlite3.connect(tmp_path / log_database.FILE)) as connection:
        connection.execute("DROP TRIGGER actions_no_update")
        connection.execute(f"UPDATE actions SET {change}")
        connection.commit()
    with pytest.raises(StoreError, match=f"row {change[-1]} is not as it was written"):
        ScoringLog(tmp_path).verify()


def test_the_program_knows_its_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(log_database.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == log_database.REVISION


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_migrations_make_exactly_the_tables_that_the_program_works_with(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    address = request.getfixturevalue("postgres_database") if where == "postgresql" else None
    opened = log_database.Database(tmp_path, address)
    opened.upgrade()
    with opened.reading() as connection:
        ours = {"version_table": log_database.VERSION_TABLE}
        found = compare_metadata(MigrationContext.configure(connection, opts=ours), ANSWERS.metadata)
    assert [difference for difference in found if difference[0] != "remove_index"] == []
    opened.close()


def test_a_log_in_postgresql_is_upgraded_by_command_alone(tmp_path: Path, postgres_database: str) -> None:
    log = ScoringLog(tmp_path, postgres_database)
    with pytest.raises(StoreError, match=r"holds no scoring log.* Run `dnapredict log upgrade`"):
        log.write([row()])
    assert log.upgrade() == ""
    log.write([row()])
    assert log.verify().entries == 1
    assert [path.name for path in tmp_path.iterdir()] == ["newest"]
    log.close()


def test_a_log_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    ScoringLog(tmp_path).write([row()])
    with closing(sqlite3.connect(tmp_path / log_database.FILE)) as connection:
        connection.execute(f"UPDATE {log_database.VERSION_TABLE} SET version_num = 'r9999'")
        connection.commit()
    with pytest.raises(StoreError, match=r"is of form 'r9999'.* Install the newer dnapredict"):
        ScoringLog(tmp_path).verify()


def test_an_address_of_another_kind_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for address in ("mysql://log:hunter2@db/x", "hunter2"):
        with pytest.raises(ConfigurationError) as refused:
            ScoringLog(tmp_path, address)
        assert "hunter2" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    log = ScoringLog(tmp_path, "postgresql://log:hunter2@127.0.0.1:1/x")
    with pytest.raises(StoreError, match=r"postgresql\+psycopg://log:\*\*\*@127.0.0.1:1/x") as refused:
        log.write([row()])
    assert "hunter2" not in str(refused.value)
