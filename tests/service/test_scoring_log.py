"""The scoring log: before the answer, only ever added to, sealed, and silent about whom it is on."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.examples import examples
from tests.service.pages import week

from dnapredict.errors import StoreError
from dnapredict.service.auth import api_keys
from dnapredict.service.log.log_tables import ANSWERS
from dnapredict.service.log.scoring_log import COLUMNS, ScoringLog

FILE = "scoring-log.db"


def row(**cells: Any) -> dict[str, Any]:
    filled = dict.fromkeys(COLUMNS, "x") | {"probability": 0.1, "rank": 1, "selected": True, "error": None}
    return filled | cells


def rows_of(home: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(home / FILE)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(found) for found in connection.execute("SELECT * FROM scores ORDER BY number")]


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
    made = api_keys.create(home, name="x", scopes=(api_keys.KeyScope.SCORE,))
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


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("POST", "/v1/score", "application/json"),
        ("POST", "/v1/lists", "application/json"),
        ("POST", "/upload", "text/html"),
        ("GET", "/lists", "text/html"),
    ],
)
def test_a_failure_of_the_log_is_answered_without_the_folder_of_the_home_which_the_services_own_log_names(
    client: TestClient, home: Path, caplog: pytest.LogCaptureFixture, method: str, path: str, accept: str
) -> None:
    (home / FILE).mkdir(parents=True)
    sent: dict[str, Any] = {"files": {"file": ("week-49.csv", week())}} if method == "POST" else {}
    if path == "/v1/score":
        sent = {"json": {"appointments": [{"appointment_id": "a", "age_years": 1}]}}
    answer = client.request(method, path, headers={"accept": accept}, **sent)
    assert answer.status_code == 503
    assert "scoring-log.db: the scoring log cannot be" in answer.text
    assert str(home) not in answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert f"{home / FILE}: the scoring log cannot be" in caplog.text


def test_an_untouched_log_is_sound(log: ScoringLog) -> None:
    assert log.verify().entries == 3


def test_a_log_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert ScoringLog(tmp_path).verify().entries == 0
    assert not list(tmp_path.iterdir())


def test_reading_the_log_keeps_nobody_from_writing(log: ScoringLog, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM scores").fetchone()
        log.write([row()])
    assert log.verify().entries == 4


CELL = {"probability": st.floats(0, 1) | st.none(), "action": st.text(max_size=20) | st.none()}


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.fixed_dictionaries(CELL), max_size=4), max_size=4))
def test_whatever_is_written_is_sound_when_read(
    tmp_path_factory: pytest.TempPathFactory, answers: list[list[dict[str, Any]]]
) -> None:
    log = ScoringLog(tmp_path_factory.mktemp("home"))
    for answer in answers:
        log.write([row(**cells) for cells in answer])
    assert log.verify().entries == sum(len(answer) for answer in answers)


def test_seals_are_made_of_plain_json_so_that_others_can_check_them(log: ScoringLog, tmp_path: Path) -> None:
    before = "0" * 64
    for found in rows_of(tmp_path):
        values = ["answer", found["number"], *(found[name] for name in COLUMNS)]
        values[COLUMNS.index("selected") + 2] = bool(found["selected"])
        before = hashlib.sha256((before + json.dumps(values)).encode()).hexdigest()
        assert found["seal"] == before
    assert log.verify().seal == before


def test_a_log_that_was_removed_while_it_is_in_use_is_not_written_to(log: ScoringLog, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (tmp_path / FILE).rename(kept)
    with pytest.raises(StoreError, match="removed or replaced while it was in use"):
        log.write([row()])
    with pytest.raises(StoreError, match="removed or replaced while it was in use"):
        log.query(select(ANSWERS.c.number))
    kept.rename(tmp_path / FILE)
    log.write([row()])
    assert log.verify().entries == 4


@pytest.mark.parametrize("ends", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_entries_survive_the_loss_of_the_files_beside_the_log(
    log: ScoringLog, tmp_path: Path, ends: tuple[str, ...]
) -> None:
    for end in ends:
        (tmp_path / (FILE + end)).unlink()
    log.write([row()])
    another = ScoringLog(tmp_path)
    another.write([row()])
    log.write([row()])
    assert ScoringLog(tmp_path).verify().entries == 6


def test_a_log_that_took_the_place_of_another_is_not_mixed_with_it(log: ScoringLog, tmp_path: Path) -> None:
    other = ScoringLog(tmp_path / "other")
    other.write([row()])
    other.close()
    (tmp_path / "other" / FILE).replace(tmp_path / FILE)
    with pytest.raises(StoreError, match="removed or replaced while it was in use"):
        log.write([row()])


def test_no_log_is_begun_beside_the_rest_of_a_lost_one(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}-wal").write_bytes(b"the rest")
    with pytest.raises(StoreError, match=r"is missing.*remove scoring-log\.db-wal and"):
        ScoringLog(tmp_path).write([row()])
    assert not (tmp_path / FILE).exists()


def test_a_full_disk_and_a_damaged_log_are_told_by_their_cause(log: ScoringLog, tmp_path: Path) -> None:
    log.write([row(action="x" * 5_000) for _ in range(20)])
    pages = "PRAGMA max_page_count = 1"  # SQLite's own measure of a full disk
    with log._database.reading() as connection:
        connection.exec_driver_sql(pages)
    with pytest.raises(StoreError, match="the disk is full: make room on it"):
        log.write([row(action="x" * 500_000)])
    log.close()
    (tmp_path / FILE).write_bytes(b"no database" * 1_000)
    with pytest.raises(StoreError, match="damaged: restore it from a backup"):
        log.write([row()])
