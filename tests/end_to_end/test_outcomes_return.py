"""Calls that are recorded on the page come back: in the outcome store, in the next audit and in the next training."""

import datetime
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.test_calls import calls, record, upload
from tests.end_to_end.world import Trust, as_requests
from tests.service.conftest import TestClient, wait_until_ready

from dnapredict.data.files.loss_marks import mark_of
from dnapredict.pipeline.comparison.challenger_scoring import open_challenger
from dnapredict.service.app import build, champion_of
from dnapredict.service.start import served_mapping
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import ScoredFiles

Run = Callable[..., object]
TIMES = ("booked_at", "starts_at")


def in_the_future(weekly: pa.Table) -> pa.Table:
    """The list as it would be today: calls count only if they are recorded before the appointment."""
    first = pc.min(weekly["starts_at"]).as_py().replace(tzinfo=None)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    later = datetime.timedelta(weeks=(now - first).days // 7 + 2)
    for name in TIMES:
        moved = pc.add(weekly[name], pa.scalar(later, pa.duration("us")))
        weekly = weekly.set_column(weekly.column_names.index(name), name, moved)
    return weekly


def with_outcomes(weekly: pa.Table, extract: pa.Table) -> pa.Table:
    """The extract, and the rows of the list with what became of them: those with the highest numbers missed."""
    missed = np.arange(weekly.num_rows) % 4 == 0
    later = pc.add(weekly["starts_at"], pa.scalar(datetime.timedelta(days=2), pa.duration("us")))
    done = weekly.append_column("outcome_code", pa.array(np.where(missed, "3", "5"), pa.string()))
    done = done.append_column("recorded_at", later)
    known = pc.is_in(extract["appointment_id"], weekly["appointment_id"].combine_chunks())
    return pa.concat_tables([extract.filter(pc.invert(known)), done.select(extract.column_names).cast(extract.schema)])


@pytest.fixture(scope="module")
def home(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own, in which nobody has called yet."""
    place = tmp_path_factory.mktemp("outcomes") / "home"
    shutil.copytree(trust.home, place)
    for name in ("lists", "outcomes"):
        shutil.rmtree(place / name, ignore_errors=True)
    for left in place.glob("scoring-log.*"):  # with the -wal and -shm of a service that another test stopped
        left.unlink()
    return place


@pytest.fixture(scope="module")
def weekly(trust: Trust) -> pa.Table:
    return in_the_future(pq.read_table(trust.weekly))


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[TestClient]:
    champion = champion_of(home)
    with TestClient(build(home, champion, mapping=served_mapping()).to_asgi(), base_url="http://127.0.0.1") as client:
        wait_until_ready(client)
        yield client
    champion.stop()


@pytest.fixture(scope="module")
def called(service: TestClient, weekly: pa.Table) -> dict[str, list[str]]:
    """The calls of an uploaded list: the first is not reached, the second opts out, the others confirm."""
    answer = upload(service, weekly)
    first, second, *others = calls(answer)
    record(service, answer["list_id"], first, "no_answer")
    record(service, answer["list_id"], second, "no_calls_wished")
    for each in others:
        record(service, answer["list_id"], each, "confirmed")
    return {"no_answer": [first], "opted_out": [second], "confirmed": others, "list": [answer["list_id"]]}


@pytest.fixture(scope="module")
def extract(trust: Trust, weekly: pa.Table, called: dict[str, list[str]]) -> Path:  # noqa: ARG001 - calls come first
    path = trust.home.parent / "extract-with-outcomes.parquet"
    table = pq.read_table(trust.extract)
    pq.write_table(with_outcomes(weekly, table), path)
    return path


@pytest.fixture(scope="module")
def returned(home: Path, extract: Path, dnapredict: Run) -> str:
    done = dnapredict("outcomes", extract, "--home", home)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_the_store_has_a_row_for_each_appointment_of_the_list(
    home: Path, weekly: pa.Table, called: dict[str, list[str]], returned: str
) -> None:
    rows = OutcomeStore(home).read().to_pylist()
    assert len(rows) == weekly.num_rows
    assert {row["list_id"] for row in rows} == set(called["list"])
    assert all(row["outcome_code"] in {"3", "5"} and row["age_years"] is not None for row in rows)
    assert sum(row["selected"] for row in rows) == sum(len(called[n]) for n in ("no_answer", "opted_out", "confirmed"))
    assert sum(row["attempts"] for row in rows) == sum(row["selected"] for row in rows)
    assert sum(row["call_outcome"] == "confirmed" for row in rows) == len(called["confirmed"])
    assert sum(bool(row["contacted"]) for row in rows) == len(called["confirmed"]) + len(called["opted_out"])
    assert {row["contacted_source"] for row in rows} == {"calls"}
    assert "holds 400 scored appointments; of 400 the outcome is known" in returned
    assert "New outcomes: 400. Outcomes that are another now: 0." in returned


def test_the_same_extract_gives_the_same_bytes(home: Path, extract: Path, returned: str, dnapredict: Run) -> None:  # noqa: ARG001
    before = OutcomeStore(home).path.read_bytes()
    done = dnapredict("outcomes", extract, "--home", home, "--json")
    assert OutcomeStore(home).path.read_bytes() == before
    figures = json.loads(done.stdout)
    assert (figures["rows"], figures["new"], figures["changed"]) == (400, 0, 0)


def test_refresh_brings_outcomes_back_too(home: Path, extract: Path, returned: str, dnapredict: Run) -> None:  # noqa: ARG001
    before = OutcomeStore(home).path.read_bytes()
    for deleted in (OutcomeStore(home).path, mark_of(OutcomeStore(home).path)):  # the mark too: on purpose
        deleted.unlink()
    done = dnapredict("refresh", extract, "--home", home)
    assert done.returncode == 0, done.stderr
    assert "The outcome store holds 400 scored appointments" in done.stdout
    assert OutcomeStore(home).path.read_bytes() == before


@pytest.fixture(scope="module")
def trained(home: Path, extract: Path, returned: str, dnapredict: Run) -> str:  # noqa: ARG001
    """What the training of a second version says, which becomes the challenger."""
    config = home.parent / "config.toml"
    config.write_text(f"[split]\ntest_from = 2026-03-02\n{QUICK}", encoding="utf-8")
    done = dnapredict("train", extract, "--home", home, "--config", config)
    assert done.returncode == 0, done.stderr
    return str(done.stderr)


def test_the_next_audit_and_training_know_who_was_called(
    home: Path,
    extract: Path,
    returned: str,  # noqa: ARG001
    trained: str,
    called: dict[str, list[str]],
    dnapredict: Run,
    tmp_path: Path,
) -> None:
    sentence = "The calls recorded in this home say of 400 appointments whether the patient was reached"
    audited = dnapredict("audit", extract, "--model", "1", "--home", home, "--out", tmp_path / "report")
    assert audited.returncode in {0, 13}, audited.stderr
    assert sentence in audited.stderr
    figures = json.loads((tmp_path / "report" / "audit.json").read_text(encoding="utf-8"))
    reached = len(called["confirmed"]) + len(called["opted_out"])
    assert "reached" in " ".join(figures["outcomes"]), (figures["outcomes"], reached)
    assert sentence in trained


def test_the_service_and_score_leave_the_same_kind_of_row(
    home: Path, service: TestClient, weekly: pa.Table, dnapredict: Run, tmp_path: Path
) -> None:
    files = ScoredFiles(home)
    before = set(files.lists())
    pq.write_table(weekly, tmp_path / "weekly.parquet")
    done = dnapredict("score", tmp_path / "weekly.parquet", "--out", tmp_path / "w.csv", "--home", home)
    assert done.returncode == 0, done.stderr
    answer = service.post("/v1/score", json={"appointments": as_requests(weekly.slice(0, 3))})
    assert answer.status_code == 200
    by_file, by_request = sorted(set(files.lists()) - before)
    one, other = pq.read_table(by_file), pq.read_table(by_request)
    assert (one.num_rows, other.num_rows) == (weekly.num_rows, 3)
    assert one.schema.remove_metadata().equals(other.schema.remove_metadata())
    both = one.join(other, "appointment", right_suffix=" asked", join_type="inner")
    assert both.num_rows == 3
    for name in ("patient", "starts_at", "booked_at", "model_version", "call_by"):
        assert both[name].to_pylist() == both[f"{name} asked"].to_pylist()


def test_the_challenger_scores_the_same_list_and_both_are_compared_on_it(
    home: Path,
    extract: Path,
    weekly: pa.Table,
    trained: str,  # noqa: ARG001
    dnapredict: Run,
    tmp_path: Path,
) -> None:
    pq.write_table(weekly, tmp_path / "weekly.parquet")
    before = len(ScoredFiles(home).challenger())
    done = dnapredict("score", tmp_path / "weekly.parquet", "--out", tmp_path / "again.csv", "--home", home)
    assert (done.returncode, "challenger" in done.stderr) == (0, False), done.stderr
    by_challenger = ScoredFiles(home).challenger()[-1]
    assert len(ScoredFiles(home).challenger()) == before + 1
    challenger = open_challenger(home, "2")
    risks = challenger.risks(weekly)
    expected = dict(zip(risks["appointment_id"].to_pylist(), risks["probability"].to_pylist(), strict=True))
    kept = pq.read_table(by_challenger).to_pylist()
    by_hash = {row["appointment"]: row["challenger_probability"] for row in kept}
    for appointment, risk in expected.items():
        assert by_hash[challenger.scored_rows.hashed("appointment", appointment)] == pytest.approx(risk, abs=1e-12)
    assert dnapredict("outcomes", extract, "--home", home).returncode == 0
    rows = OutcomeStore(home).read().to_pylist()
    both = [row for row in rows if row["challenger_version"] == "2"]
    assert len(both) == sum(row["attempts"] == 0 for row in rows)
    compared = dnapredict("compare", "2", "1", "--home", home)
    assert compared.returncode == 0, compared.stderr
    assert "Live, on 360 appointments that both scored at the same moment" in compared.stdout
    assert "Version 2 learned from appointments up to" in compared.stdout
    figures = json.loads(dnapredict("compare", "2", "1", "--home", home, "--json").stdout)
    assert figures["live"]["populations"]["all"]["one"]["n"] == 360
    assert len(figures["knowledge"]) >= 1


def test_no_patient_and_no_appointment_is_named_in_any_file(home: Path, weekly: pa.Table, returned: str) -> None:  # noqa: ARG001
    names = [str(each).encode() for column in ("appointment_id", "patient_id") for each in weekly[column].to_pylist()]
    files = [path for path in (home / "outcomes").rglob("*.parquet") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        assert path.stat().st_mode & 0o077 == 0
        content = repr(pq.read_table(path).to_pylist()).encode()
        assert not any(name in content for name in names)
