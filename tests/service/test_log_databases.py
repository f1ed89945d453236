"""The scoring log's chain on both databases: what is written, what is refused, what is found, what goes."""

import datetime
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError
from tests.service.postgres import Server
from tests.service.process import ROOT

from dnapredict.errors import StoreError
from dnapredict.service.log.log_tables import ACTIONS, ANCHORS, ANSWERS
from dnapredict.service.log.scoring_log import COLUMNS, ScoringLog

GUARDS = {
    "sqlite": "DROP TRIGGER {table}_no_{verb}",
    "postgresql": "ALTER TABLE {table} DISABLE TRIGGER ALL",
}


def row(**cells: Any) -> dict[str, Any]:
    filled = dict.fromkeys(COLUMNS, "x") | {"probability": 0.1, "rank": 1, "selected": True, "error": None}
    return filled | {"at": "2026-01-05T09:00:00+00:00"} | cells


def action(**cells: Any) -> dict[str, Any]:
    columns = ("asked_by", "list", "appointment", "patient", "clinic", "site", "outcome")
    return dict.fromkeys(columns, "x") | {"at": "2026-01-06T09:00:00+00:00"} | cells


class Home:
    """A home and the address of its log's database, to write and to tamper with."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self.folder, self.database = folder, database
        self.log = ScoringLog(folder, database)
        if database:
            self.log.upgrade()

    def run(self, *statements: str) -> None:
        address = self.database or f"sqlite:///{self.folder / 'scoring-log.db'}"
        engine = create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def tamper(self, sql: str) -> None:
        """As somebody would who owns the database."""
        template = GUARDS["postgresql" if self.database else "sqlite"]
        table = next(table for table in ("scores", "actions", "anchors", "head") if table in sql)
        verb = sql.split()[0].lower()
        off = [] if table == "head" else [template.format(table=table, verb=verb)]
        self.run(*off, sql)


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    database = request.getfixturevalue("postgres_database") if request.param == "postgresql" else None
    home = Home(tmp_path, database)
    home.log.write([row(request=str(number)) for number in range(3)])
    home.log.write_action(action())
    home.log.write([row(request="after")])
    yield home
    home.log.close()


def test_answers_and_actions_share_one_chain(home: Home) -> None:
    found = home.log.verify()
    assert (found.entries, found.last) == (5, 5)
    assert [taken.number for taken in home.log.query(select(ACTIONS))] == [4]


@pytest.mark.parametrize("table", ["scores", "actions"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET asked_by = 'me'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_or_remove_an_entry(home: Home, table: str, verb: str) -> None:
    with pytest.raises(DBAPIError, match="only ever added to"):
        home.run(verb.format(table))
    assert home.log.verify().entries == 5


def test_postgresql_refuses_to_empty_a_table(postgres_database: str, tmp_path: Path) -> None:
    home = Home(tmp_path, postgres_database)
    home.log.write([row()])
    with pytest.raises(DBAPIError, match="only ever added to"):
        home.run("TRUNCATE scores")
    home.log.close()


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("UPDATE scores SET probability = 0.9 WHERE number = 2", 2),
        ("UPDATE scores SET error = '' WHERE number = 1", 1),
        ("UPDATE scores SET form = 1, list = NULL WHERE number = 3", 3),
        ("UPDATE actions SET outcome = 'confirmed' WHERE number = 4", 4),
        ("DELETE FROM scores WHERE number = 2", 2),
        ("DELETE FROM scores WHERE number = 1", 1),
        ("DELETE FROM actions WHERE number = 4", 4),
        ("UPDATE scores SET number = number + 10 WHERE number = 5", 5),
        ("DELETE FROM scores WHERE number = 5", 5),
        ("UPDATE head SET seal = 'x'", 6),
    ],
)
def test_an_entry_that_somebody_changed_or_removed_is_found(home: Home, sql: str, first: int) -> None:
    home.tamper(sql)
    with pytest.raises(StoreError, match=f"row {first} is not as it was written"):
        home.log.verify()


def test_what_is_wrong_with_an_answer_is_written_as_little_as_the_answer(home: Home) -> None:
    with pytest.raises(StoreError, match=r"cannot be written \(") as refused:
        home.log.write([row(), row(inputs=None, patient="zebra-4711")])
    assert "zebra" not in str(refused.value)
    assert home.log.verify().entries == 5


def test_entries_whose_time_is_up_go_and_what_is_left_is_still_sound(home: Home) -> None:
    home.log.write([row(at="2026-03-01T09:00:00+00:00")])
    assert home.log.remove_before(datetime.date(2026, 2, 1)) == 5
    found = home.log.verify()
    assert (found.entries, found.last) == (2, 7)
    assert [answer.number for answer in home.log.query(select(ANSWERS.c.number))] == [6]
    assert home.log.remove_before(datetime.date(2026, 2, 1)) == 0


def test_forgetting_up_to_a_day_in_the_future_comes_to_an_end(home: Home) -> None:
    assert home.log.remove_before(datetime.date(9999, 1, 1)) == 5
    assert home.log.verify().entries == 1  # the anchor of today


def test_an_entry_that_goes_without_an_anchor_is_missed(home: Home) -> None:
    home.log.remove_before(datetime.date(2026, 1, 6))  # the first three
    assert home.log.verify().entries == 3
    home.tamper("DELETE FROM actions WHERE number = 4")
    with pytest.raises(StoreError, match="row 4 is not as it was written"):
        home.log.verify()


def test_all_may_go_but_the_anchor(home: Home) -> None:
    assert home.log.remove_before(datetime.date(2026, 2, 1)) == 5
    (anchor,) = home.log.query(select(ANCHORS))
    assert (anchor.number, anchor.kept_from, anchor.asked_by) == (6, 6, "retention")
    home.log.write([row()])
    assert home.log.verify().entries == 2


def test_a_young_entry_keeps_those_behind_it(home: Home) -> None:
    """A clock that was wrong once must not let a gap into the chain."""
    home.log.write([row(at="2031-01-01T00:00:00+00:00"), row()])
    assert home.log.remove_before(datetime.date(2026, 2, 1)) == 5
    assert home.log.verify().entries == 3


WRITER = """
import sys
from pathlib import Path
from dnapredict.service.log.scoring_log import ScoringLog
from tests.service.test_log_databases import row
log = ScoringLog(Path(sys.argv[1]), sys.argv[2] or None)
for number in range(100):
    log.write([row(request=f"{sys.argv[3]}-{number}")])
    print(f"{sys.argv[3]}-{number}", flush=True)
"""


def test_writers_take_turns_and_one_that_is_killed_loses_nothing_it_acknowledged(home: Home) -> None:
    command = [sys.executable, "-c", WRITER, str(home.folder), home.database or ""]
    writers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, cwd=ROOT, text=True) for name in "abc"]
    acknowledged = [writers[0].stdout.readline().strip() for _ in range(20)]
    writers[0].kill()
    acknowledged += [line.strip() for writer in writers for line in writer.stdout]
    for writer in writers:
        writer.wait(timeout=60)
    written = [answer.request for answer in home.log.query(select(ANSWERS.c.request)) if "-" in answer.request]
    assert len(written) == len(set(written))
    assert set(acknowledged) <= set(written)
    assert len(written) - len(acknowledged) <= 1
    assert home.log.verify().entries == 5 + len(written)


def test_a_database_that_stops_is_said_and_one_that_is_back_is_used(tmp_path: Path) -> None:
    from tests.service import postgres

    server = postgres.start()
    try:
        _stops_and_is_back(Home(tmp_path, server.new_database("log")), server)
    finally:
        server.remove()


def _stops_and_is_back(home: Home, server: Server) -> None:
    home.log.write([row()])
    server.stop()
    with pytest.raises(StoreError, match=r"scoring log cannot be written \(OperationalError\)"):
        home.log.write([row()])
    server.start()
    home.log.write([row()])
    assert home.log.verify().entries == 2
    home.log.close()
