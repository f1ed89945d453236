"""The scoring log: before the answer, only ever added to, sealed, and silent about whom it is on."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.service.process import ROOT

from dnapredict.errors import StoreError
from dnapredict.service import keys
from dnapredict.service.store import COLUMNS, ScoringLog

FILE = "scoring-log.db"


def row(**cells: Any) -> dict[str, Any]:
    filled = dict.fromkeys(COLUMNS, "x") | {"probability": 0.1, "rank": 1, "selected": True, "error": None}
    return filled | cells


def rows_of(home: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(home / FILE)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(found) for found in connection.execute("SELECT * FROM scores ORDER BY number")]


def tamper(home: Path, sql: str) -> None:
    with closing(sqlite3.connect(home / FILE, isolation_level=None)) as connection:
        for trigger in ("no_update", "no_delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        connection.execute(sql)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ScoringLog]:
    log = ScoringLog(tmp_path)
    log.write([row(action=str(number)) for number in range(3)])
    return log


def test_each_answer_leaves_one_row_that_names_nobody(client: TestClient, home: Path) -> None:
    asked = {"appointment_id": "zebra-4711", "patient_id": "okapi-0815", "age_years": 77}
    client.post("/v1/score", json={"appointments": [asked]})
    (written,) = rows_of(home)
    assert written["asked_by"] == "this machine"
    assert written["model_version"] == "7"
    assert written["model_sha256"] == "f" * 64
    assert written["probability"] == 0.77
    assert written["reasons"] == "lead_days past_dna_rate"
    content = b"".join(path.read_bytes() for path in home.glob(FILE + "*"))
    assert b"zebra" not in content
    assert b"okapi" not in content


def test_the_same_appointment_is_found_again_and_not_in_another_home(client: TestClient, home: Path) -> None:
    for _ in range(2):
        client.post("/v1/score", json={"appointments": [{"appointment_id": "a", "age_years": 1}]})
    first, second = rows_of(home)
    assert first["appointment"] == second["appointment"]
    assert first["request"] != second["request"]


def test_a_row_that_could_not_be_scored_is_on_record_too(client: TestClient, home: Path) -> None:
    client.post("/v1/score", json={"appointments": [{"appointment_id": "a"}, {}]})
    assert [bool(written["error"]) for written in rows_of(home)] == [True, True]


def test_it_says_which_key_asked(client: TestClient, home: Path) -> None:
    made = keys.create(home, name="x", scopes=(keys.Scope.SCORE,))
    answer = client.post(
        "/v1/score",
        json={"appointments": [{"appointment_id": "a", "age_years": 1}]},
        headers={"authorization": f"Bearer {made.token}"},
    )
    while answer.status_code == 200 and rows_of(home)[-1]["asked_by"] == "this machine":
        answer = client.post(  # until the worker knows of its first key
            "/v1/score",
            json={"appointments": [{"appointment_id": "a", "age_years": 1}]},
            headers={"authorization": f"Bearer {made.token}"},
        )
    assert rows_of(home)[-1]["asked_by"] == made.key.key_id


def test_what_cannot_be_put_on_record_is_not_answered(client: TestClient, home: Path) -> None:
    (home / FILE).mkdir(parents=True)
    answer = client.post("/v1/score", json={"appointments": [{"appointment_id": "a", "age_years": 1}]})
    assert answer.status_code == 503
    assert "the scoring log cannot be written" in answer.json()["error"]


def test_an_untouched_log_is_sound(log: ScoringLog) -> None:
    assert log.verify() == 3


def test_a_log_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert ScoringLog(tmp_path).verify() == 0
    assert not list(tmp_path.iterdir())


def test_reading_the_log_keeps_nobody_from_writing(log: ScoringLog, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM scores").fetchone()
        log.write([row()])
    assert log.verify() == 4


@pytest.mark.parametrize("sql", ["UPDATE scores SET action = 'other'", "DELETE FROM scores"])
def test_the_database_refuses_to_change_or_remove_a_row(log: ScoringLog, tmp_path: Path, sql: str) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(sql)
    assert log.verify() == 3


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("UPDATE scores SET probability = 0.9 WHERE number = 2", 2),
        ("UPDATE scores SET error = '' WHERE number = 1", 1),
        ("DELETE FROM scores WHERE number = 2", 2),
        ("DELETE FROM scores WHERE number = 1", 1),
        ("UPDATE scores SET number = number + 10 WHERE number = 3", 3),
    ],
)
def test_a_row_that_somebody_changed_or_removed_is_found(
    log: ScoringLog, tmp_path: Path, sql: str, first: int
) -> None:
    tamper(tmp_path, sql)
    with pytest.raises(StoreError, match=f"row {first} is not as it was written"):
        log.verify()


CELL = {"probability": st.floats(0, 1) | st.none(), "action": st.text(max_size=20) | st.none()}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.fixed_dictionaries(CELL), max_size=4), max_size=4))
def test_whatever_is_written_is_sound_when_read(
    tmp_path_factory: pytest.TempPathFactory, answers: list[list[dict[str, Any]]]
) -> None:
    log = ScoringLog(tmp_path_factory.mktemp("home"))
    for answer in answers:
        log.write([row(**cells) for cells in answer])
    assert log.verify() == sum(len(answer) for answer in answers)


WRITER = """
import sys
from pathlib import Path
from dnapredict.service.store import ScoringLog
from tests.service.test_scoring_log import row
log = ScoringLog(Path(sys.argv[1]))
for number in range(200):
    log.write([row(request=f"{sys.argv[2]}-{number}")])
    print(f"{sys.argv[2]}-{number}", flush=True)
"""


def test_writers_take_turns_and_one_that_is_killed_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, env=env, text=True) for name in "abc"
    ]
    acknowledged = [writers[0].stdout.readline().strip() for _ in range(20)]
    writers[0].kill()
    acknowledged += [line.strip() for writer in writers for line in writer.stdout]
    for writer in writers:
        writer.wait(timeout=60)
    written = [found["request"] for found in rows_of(tmp_path)]
    assert len(written) == len(set(written))
    assert set(acknowledged) <= set(written)
    assert len(written) - len(acknowledged) <= 1
    assert ScoringLog(tmp_path).verify() == len(written)


def test_seals_are_made_of_plain_json_so_that_others_can_check_them(log: ScoringLog, tmp_path: Path) -> None:
    import hashlib

    before = "0" * 64
    for found in rows_of(tmp_path):
        values = [found["number"]] + [found[name] for name in COLUMNS]
        values[COLUMNS.index("selected") + 1] = bool(found["selected"])
        before = hashlib.sha256((before + json.dumps(values)).encode()).hexdigest()
        assert found["seal"] == before
    assert log.verify() == 3
