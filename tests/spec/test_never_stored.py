"""Where a patient's values are kept once a list was scored, and where never: a specification for data protection.

A list is uploaded, scored, shown, and worked on; the service then stops. Each line is a column of the list, with the
marked value that the test puts there, and who may find the value: `kept list` is what the page needs again
(`lists/`), `scoring log` and `calls database` hold keyed hashes, `elsewhere` is every other file of the home, what
the service writes to its own log, and an error response. Contact columns are among those files, encrypted:
`tests/service/test_contact_details.py`.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.service.conftest import served_at

from dnapredict.worklist.files import list_store

COLUMNS = """
    column               | value             | kept list | scoring log | calls database | elsewhere
    appointment_id       | mark-appointment  | as sent   | hash        | hash           | never
    patient_id           | mark-patient      | never     | hash        | hash           | never
    age_years            | 77                |           |             |                |
    starts_at            | 2026-12-07 10:00  |           |             |                |
    clinic_code          | MARKCLINIC        | as sent   | as sent     |                | never
    lsoa_code            | MARKLSOA          | never     | never       | never          | never
    ethnic_category_code | MARKETHNICITY     | never     | never       | never          | never
    Surname              | Mark-Surname      | never     | never       | never          | never
    Telephone            | 07700MARK900123   | never     | never       | never          | never
    person_full_name     | Mark-Full-Name    | never     | never       | never          | never
    mobile_telephone     | 07700900987       | never     | never       | never          | never
"""


def table() -> list[dict[str, str]]:
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in COLUMNS.strip().splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def content_of(database: Path) -> str:
    """Every row of an SQLite database as text, with what is still in its write-ahead log."""
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The content of each place after a list of one appointment was worked on, and a damaged one was refused."""
    home = tmp_path_factory.mktemp("trust") / "home"
    columns, values = [row["column"] for row in table()], [row["value"] for row in table()]
    sent = ",".join(columns) + "\n" + ",".join(values) + "\n"
    log = logging.getLogger()
    written: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: written.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    with served_at(home) as client:
        list_id = client.post("/v1/lists", files={"file": ("week.csv", sent)}).json()["list_id"]
        assert "mark-appointment" in client.get(f"/lists/{list_id}?show=all").text
        action = {"appointment_id": "mark-appointment", "outcome": "no_calls_wished"}
        assert client.post(f"/v1/lists/{list_id}/actions", json=action).status_code == 201
        row = dict(zip(columns, values, strict=True))
        errors = [client.post("/v1/score", json={"appointments": [row]}).text]
        errors.append(client.post("/v1/lists", files={"file": ("week.xlsx", b"PK" + sent.encode())}).text)
    log.removeHandler(handler)
    kept = list_store.find(home, list_id)
    assert kept is not None
    latest = (home / "lists" / "latest.json").read_text(encoding="utf-8")
    read = ("scoring-log.db", "calls.db", "latest.json", f"{list_id}.parquet")
    rest = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith(read)]
    return {
        "kept list": str(kept.worklist.to_pylist()) + latest,
        "scoring log": content_of(home / "scoring-log.db"),
        "calls database": content_of(home / "lists" / "calls.db"),
        "elsewhere": "\n".join([*written, *errors, *(path.read_bytes().decode("latin-1") for path in rest)]),
    }


@pytest.mark.parametrize("row", table(), ids=lambda row: row["column"])
def test_a_value_is_kept_where_the_table_says_and_nowhere_else(row: dict[str, str], found: dict[str, str]):
    promised = {place: row[place] for place in found if row[place]}
    assert {place: row["value"] in found[place] for place in promised} == {
        place: answer == "as sent" for place, answer in promised.items()
    }


def test_with_the_secret_of_the_home_an_appointment_is_found_in_the_log(found: dict[str, str]):
    """Of a hash something is there: as many digits as an HMAC-SHA-256 has, in the log and in the calls database."""
    for place in ("scoring log", "calls database"):
        assert any(len(word) == 64 and set(word) <= set("0123456789abcdef") for word in found[place].split("'"))
