"""Where the values of an extract are kept by the weekly routine: training, audit, monitor, trial and their runs.

`tests/spec/test_never_stored.py` says it of a list that the service scores. Here an extract and a list have marked
values in what names a patient, an appointment or a place, in free text and in codes that are not known. Every verb of
the routine then runs, and every file that it leaves is read: the values inside of databases, Parquet files and
archives, too. The table says who may find them.
"""

import io
import json
import logging
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import QUICK, SIGNED, command
from tests.end_to_end.test_outcomes_return import with_outcomes
from tests.end_to_end.test_trial_lists import written
from tests.end_to_end.world import weekly_list
from tests.nasty_lists import MARK

from dnapredict.config.loading import shipped

pytestmark = pytest.mark.usefixtures("drawn")  # a chart could name a group by a value

# "as sent": it must be there, or the search would find nothing anywhere. The worked list is what a team works on
# (`lists/`, and the file of `score`), the history what `score` looks patients and areas up in, and the outcome store
# keeps groups, which trials and audits compare, by hashes of appointments and patients. `elsewhere` is everything that
# is not named: the ledger, cards, reports, pages, what the home remembers of them, and what the verbs print and log.
COLUMNS = """
    column               | worked list | history | outcome store | MLflow | databases | elsewhere
    appointment_id       | as sent     | as sent | never         | never  | never     | never
    patient_id           | never       | as sent | never         | never  | never     | never
    lsoa_code            | never       | as sent | never         | never  | never     | never
    ethnic_category_code | never       | never   | as sent       | never  | never     | never
    language_code        | never       | never   | never         | never  | never     | never
    person_full_name     | never       | never   | never         | never  | never     | never
    mobile_telephone     | never       | never   | never         | never  | never     | never
    Postcode             | never       | never   | never         | never  | never     | never
    Comments             | never       | never   | never         | never  | never     | never
"""
# A value of each column; numbers of rows are added to those that name something.
VALUES = {
    "appointment_id": f"{MARK}-A",
    "patient_id": f"{MARK}-P",
    "lsoa_code": f"{MARK}-L",
    "ethnic_category_code": f"{MARK}-E",
    "language_code": f"{MARK}-G",
    "person_full_name": f"{MARK}-N Smith",
    "mobile_telephone": "07700900987",
    "Postcode": f"{MARK}-S1 4AP",
    "Comments": f"{MARK}-C ring after six",
}
CALLS = 200


@dataclass
class Kept:
    """The text of all that a place holds."""

    texts: dict[str, str] = field(default_factory=dict)

    def has(self, value: str) -> list[str]:
        """The files in which a value is found, in its letters, or as UTF-16."""
        wide = value.encode("utf-16-le").decode("latin-1")
        return [name for name, text in self.texts.items() if value in text or wide in text]


def table() -> list[dict[str, str]]:
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in COLUMNS.strip().splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def marked(rows: pa.Table) -> pa.Table:
    """The rows with marked names, places and free text, and in one row in fifty codes that nobody knows."""
    number = np.char.array(np.arange(rows.num_rows).astype(str))
    unknown = np.arange(rows.num_rows) % 50 == 7
    made = {
        "appointment_id": [f"{VALUES['appointment_id']}{name}" for name in rows["appointment_id"].to_pylist()],
        "patient_id": [f"{VALUES['patient_id']}{name}" for name in rows["patient_id"].to_pylist()],
        "person_full_name": [f"{VALUES['person_full_name']} {each}" for each in number],
        **{name: [VALUES[name]] * rows.num_rows for name in ("mobile_telephone", "Postcode", "Comments")},
        **{
            name: np.where(unknown, VALUES[name], rows[name].to_pylist()).tolist()
            for name in ("lsoa_code", "ethnic_category_code", "language_code")
        },
    }
    for name, values in made.items():
        column = pa.array(values, pa.string())
        at = rows.schema.get_field_index(name)
        rows = rows.append_column(name, column) if at < 0 else rows.set_column(at, name, column)
    return rows


def text_of(path: Path) -> str:
    """All that a file holds, as text; one character for each byte where it is not a known kind of file."""
    content = path.read_bytes()
    if content[:4] == b"PAR1":
        read = pq.read_table(path)
        return f"{read.schema.metadata} {read.to_pydict()}"
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return "\n".join(archive.read(name).decode("latin-1") for name in archive.namelist())
    if content[:15] == b"SQLite format 3":
        with closing(sqlite3.connect(path)) as connection:
            dumped = "\n".join(connection.iterdump())
        # Also what was deleted and not overwritten yet.
        return dumped + content.decode("latin-1")
    return content.decode("latin-1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a trial in its worklist.toml, in which dnapredict runs."""
    place = tmp_path_factory.mktemp("marked")
    (place / "serving").mkdir()
    text = shipped("serving/worklist.toml").read_text(encoding="utf-8")
    (place / "serving" / "worklist.toml").write_text(written(text), encoding="utf-8")
    (place / "config.toml").write_text(QUICK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield place


def routine(place: Path) -> Iterator[str]:
    """What each verb of the routine prints."""
    home, extract, later = place / "home", place / "extract.parquet", place / "later.parquet"

    def run(*words: object, codes: tuple[int, ...] = (0,)) -> str:
        done = command(*words, "--home", home)
        assert done.returncode in codes, (words, done.returncode, done.stderr)
        return done.stdout + done.stderr

    assert command("simulate", extract, "--appointments", 20_000, "--seed", 5, "--upcoming").returncode == 0
    pq.write_table(marked(pq.read_table(extract)), extract)
    weekly_list(extract, place / "weekly.parquet", rows=1_000)
    yield run("train", extract, "--config", place / "config.toml")
    yield run("audit", extract, "--model", "1", "--out", place / "report", codes=(0, 13))
    words = [*SIGNED, "--until", "2099-01-01"] if "FAIL" in run("versions") else SIGNED
    yield run("sign", place / "report", *words)
    yield run("promote", "1")
    yield run("refresh", extract)
    yield run("trial", "plan", "--calls-a-week", 80, "--share-missed", 0.25)
    yield run("score", place / "weekly.parquet", "--out", place / "worklist.csv", "--capacity", CALLS)
    weekly = pq.read_table(place / "weekly.parquet")
    pq.write_table(with_outcomes(weekly, pq.read_table(extract)), later)
    yield run("outcomes", later)
    yield run("monitor", extract, "--out", place / "monitor", codes=(0, 13))
    yield run("trial", "report", "--out", place / "trial")
    yield run("versions")


@pytest.fixture(scope="module")
def found(place: Path) -> dict[str, Kept]:
    """The content of each place after the routine."""
    written_to_log: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: written_to_log.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    printed = list(routine(place))
    logging.getLogger().removeHandler(handler)
    kept = {name: Kept() for name in table()[0] if name != "column"}
    kept["elsewhere"].texts |= {"printed": "\n".join(printed), "logged": "\n".join(written_to_log)}
    given = {place / name for name in ("extract.parquet", "later.parquet", "weekly.parquet")}
    for path in sorted(each for each in place.rglob("*") if each.is_file() and each not in given):
        name = path.relative_to(place).as_posix()
        kept[where(name)].texts[name] = text_of(path)
    return kept


def where(name: str) -> str:
    """The place of the table in which a file is."""
    if name.startswith(("home/mlruns/", "home/mlflow.db")):
        return "MLflow"
    if name.endswith((".db", "-wal", "-shm")):
        return "databases"
    if name.startswith("home/history/"):
        return "history"
    if name.startswith("home/outcomes/"):
        return "outcome store"
    return "worked list" if name.startswith(("home/lists/", "worklist.csv")) else "elsewhere"


@pytest.mark.parametrize("row", table(), ids=lambda row: row["column"])
def test_a_value_is_kept_where_the_table_says_and_nowhere_else(row: dict[str, str], found: dict[str, Kept]) -> None:
    value = VALUES[row["column"]]
    holds = {name: files for name, kept in found.items() if (files := kept.has(value))}
    assert set(holds) == {name for name in found if row[name] == "as sent"}, holds


def test_all_verbs_left_something_to_search(found: dict[str, Kept], place: Path) -> None:
    assert {"report/audit.json", "monitor/monitor.html", "trial/trial.json"} <= set(found["elsewhere"].texts)
    assert {"home/monitor/latest.json", "home/trial/reports/latest.json"} <= set(found["elsewhere"].texts)
    runs = found["MLflow"].texts
    assert sum(name.endswith("artifacts/monitor.html") for name in runs) == 1
    assert sum(name.endswith("artifacts/report.html") for name in runs) >= 1
    assert all(words in runs["home/mlflow.db"] for words in ("Audit of version 1", "Monitor of version 1", "Trial '"))
    assert "  trial 'Calls 2027', " in found["elsewhere"].texts["printed"]
    figures = json.loads((place / "trial" / "trial.json").read_text(encoding="utf-8"))
    assert figures["counts"]["treated"], "the trial has an arm that is called"
    assert found["databases"].texts, "no database of calls was searched"
