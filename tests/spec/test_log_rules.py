"""What the scoring log promises to whoever checks a decision later: a specification for information governance.

Each line of a table is one thing that somebody who can open the database (SQLite, past the triggers that refuse to
change an entry) does to a log of four entries: three answers and then an action about one of them. The seal of the
last entry, 4, was written down elsewhere beforehand, as `dnapredict log verify` advises. Row 5 means that the end was cut off or is not the end that was written.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dnapredict.errors import StoreError
from dnapredict.service.call_actions import Actions
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import COLUMNS, ScoringLog

TAMPERING = """
    what is done                                              | what `verify` finds
    nothing                                                   | 4 entries
    UPDATE scores SET probability = 0.9 WHERE number = 2      | row 2
    UPDATE scores SET action = 'No call' WHERE number = 3     | row 3
    UPDATE scores SET at = '2020-01-01' WHERE number = 1      | row 1
    UPDATE actions SET outcome = 'confirmed' WHERE number = 4 | row 4
    UPDATE actions SET asked_by = 'another key'               | row 4
    DELETE FROM scores WHERE number = 1                       | row 1
    DELETE FROM scores WHERE number = 2                       | row 2
    DELETE FROM actions WHERE number = 4                      | row 4
    DELETE FROM scores                                        | row 1
    UPDATE scores SET number = 9 WHERE number = 3             | row 3
    UPDATE head SET number = 3                                | row 5
    UPDATE head SET seal = 'f'                                | row 5
"""
# The database itself refuses what is not past its triggers.
REFUSED = """
    statement                                             | answer
    UPDATE scores SET probability = 0.9 WHERE number = 2  | the scoring log is only ever added to
    UPDATE actions SET outcome = 'confirmed'              | the scoring log is only ever added to
    DELETE FROM scores WHERE number = 1                   | the scoring log is only ever added to
    DELETE FROM actions                                   | the scoring log is only ever added to
"""
COMMAND = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[1:]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    log = ScoringLog(tmp_path)
    filled = dict.fromkeys(COLUMNS, "x") | {"probability": 0.1, "rank": 1, "selected": True, "error": None}
    log.write([filled | {"action": f"Call {number}"} for number in range(3)])
    Actions(log, Hashes(tmp_path)).record("0" * 16, {"appointment_id": "a"}, Outcome.NO_ANSWER)
    log.close()
    return tmp_path


def execute(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "scoring-log.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def triggers(home: Path) -> dict[str, str]:
    with closing(sqlite3.connect(home / "scoring-log.db")) as connection:
        return dict(connection.execute(COMMAND).fetchall())


def verified(home: Path) -> str:
    try:
        found = ScoringLog(home).verify()
    except StoreError as error:
        return str(error).partition(": ")[2].partition(" is not as it was written")[0]
    return f"{found.entries} entries"


@pytest.mark.parametrize(("done", "finding"), lines(TAMPERING))
def test_a_change_a_removal_and_a_cut_end_are_found(done: str, finding: str, home: Path):
    if done != "nothing":
        execute(home, *(f"DROP TRIGGER {name}" for name in triggers(home)), done)
    assert verified(home) == finding


@pytest.mark.parametrize(("statement", "answer"), lines(REFUSED))
def test_the_database_refuses_to_change_or_remove_an_entry(statement: str, answer: str, home: Path):
    with pytest.raises(sqlite3.IntegrityError, match=answer):
        execute(home, statement)
    assert verified(home) == "4 entries"


def test_a_log_that_was_built_anew_verifies_but_has_not_the_seal_that_was_written_down(home: Path):
    noted = ScoringLog(home).verify()
    rebuilt = ScoringLog(home / "another")
    filled = dict.fromkeys(COLUMNS, "x") | {"probability": 0.9, "rank": 1, "selected": True, "error": None}
    rebuilt.write([filled] * 4)
    forged = rebuilt.verify()
    assert (forged.entries, forged.last) == (noted.entries, noted.last)
    assert forged.seal != noted.seal
