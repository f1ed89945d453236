"""The same rows through every door give the same numbers."""

import contextlib
import csv
import signal
import socket
import subprocess
import sys
import time

import httpx
import openpyxl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.test_serve_lock import serving_only
from tests.end_to_end.world import Trust, as_requests

from dnapredict import pipeline
from dnapredict.service.api.request_models import TableShapes, as_table
from dnapredict.worklist.files import latest_list, list_store


def by_id(rows):
    return {row["appointment_id"]: row for row in rows}


@pytest.fixture(scope="module")
def scored(trust: Trust, dnapredict, tmp_path_factory):
    """The weekly list scored to Parquet by the command."""
    out = tmp_path_factory.mktemp("scored") / "worklist.parquet"
    done = dnapredict("score", trust.weekly, "--out", out, "--home", trust.home)
    assert done.returncode == 0, done.stderr
    return by_id(pq.read_table(out).to_pylist())


def test_the_service_gives_the_numbers_of_the_file_with_no_more_packages_than_it_needs(trust, scored, tmp_path):
    asked = as_requests(pq.read_table(trust.weekly))
    (tmp_path / "service.toml").write_text("workers = 1\n")
    environment = serving_only(tmp_path) | {"DNAPREDICT_SERVICE": str(tmp_path / "service.toml")}
    answer = post(trust, {"appointments": asked, "reasons": True}, environment=environment)
    assert len(answer["results"]) == len(asked)
    for result in answer["results"]:
        row = scored[result["appointment_id"]]
        assert result["probability"] == pytest.approx(row["probability"], abs=1e-12)
        assert (result["rank"], result["band"], result["selected"]) == (
            row["rank"],
            row["band"],
            row["selected"],
        )
        told = [row[f"reason_{place}"] for place in (1, 2, 3) if row[f"reason_{place}"]]
        assert [reason["text"] for reason in result["reasons"]] == told


def post(trust: Trust, body: dict, *, environment: dict[str, str]) -> dict:
    """Ask a service that runs as operations run it."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "dnapredict.cli",
        "serve",
        "--home",
        str(trust.home),
        "--port",
        str(port),
    ]
    service = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client)
            response = client.post("/v1/score", json=body)
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(client: httpx.Client) -> None:
    for _ in range(240):
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.5)
    raise AssertionError("the service did not become ready")


@pytest.fixture(scope="module")
def in_need(trust: Trust, tmp_path_factory):
    """The weekly list of patients of whom a third each need an interpreter, have transport, are children."""
    table = pq.read_table(trust.weekly)
    thirds = [place % 3 for place in range(table.num_rows)]
    changed = {
        "interpreter_needed": pa.array([third == 0 for third in thirds]),
        "transport_booked": pa.array([third == 1 for third in thirds]),
        "age_years": pa.array([7 if third == 2 else 50 for third in thirds]),
    }
    for name, values in changed.items():
        there = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, values) if there is None else table.set_column(there, name, values)
    path = tmp_path_factory.mktemp("needs") / "needs.parquet"
    pq.write_table(table, path)
    return path


def test_what_a_patient_needs_shapes_the_action_through_every_door(trust, in_need, dnapredict, tmp_path):
    offers = {0: "Book an interpreter", 1: "confirm the transport that is booked", 2: "the parent or carer"}
    table = pq.read_table(in_need)
    third = {each: place % 3 for place, each in enumerate(table["appointment_id"].to_pylist())}
    scorer = pipeline.open_scorer(trust.home)
    by_request = by_id(scorer.score(as_table(as_requests(table))).to_pylist())
    called = [row for row in by_request.values() if row["selected"]]
    assert {third[row["appointment_id"]] for row in called} == {0, 1, 2}
    for row in called:
        assert offers[third[row["appointment_id"]]] in row["action"]
    told = [row[f"reason_{n}"] or "" for row in by_request.values() for n in (1, 2, 3)]
    assert any(text.startswith("Was not brought to ") for text in told)
    for row in by_request.values():
        child = third[row["appointment_id"]] == 2
        assert not any((row[f"reason_{n}"] or "").startswith("Missed") for n in (1, 2, 3) if child)
        assert not any((row[f"reason_{n}"] or "").startswith("Was not") for n in (1, 2, 3) if not child)
    for form in ("parquet", "csv"):
        out = tmp_path / f"worklist.{form}"
        assert dnapredict("score", in_need, "--out", out, "--home", trust.home).returncode == 0
        read = pq.read_table(out) if form == "parquet" else pa_csv.read_csv(out)
        for row in read.to_pylist():
            words = [row[name] or None for name in ("action", "reason_1", "reason_2", "reason_3")]
            asked = by_request[row["appointment_id"]]
            assert words == [asked[name] for name in ("action", "reason_1", "reason_2", "reason_3")]


def test_a_list_that_a_team_works_on_is_there_after_the_next_one_is_scored(trust, dnapredict, tmp_path):
    lists = []
    for name in ("ears.csv", "eyes.csv"):
        pa_csv.write_csv(pq.read_table(trust.weekly).slice(0, 40), tmp_path / name)
        out = tmp_path / f"done-{name}"
        assert dnapredict("score", tmp_path / name, "--out", out, "--home", trust.home).returncode == 0
        lists.append(latest_list.latest(trust.home))
    found = [list_store.find(trust.home, last.heading.list_id) for last in lists]
    assert [each.heading.name for each in found] == ["ears.csv", "eyes.csv"]
    assert found[0].worklist.num_rows == 40


def test_one_row_at_a_time_gives_the_numbers_of_the_whole_list(trust, scored):
    scorer = pipeline.open_scorer(trust.home)
    table = pq.read_table(trust.weekly)
    for place in range(0, table.num_rows, 80):
        (row,) = scorer.score(table.slice(place, 1), reasons=False).to_pylist()
        assert row["probability"] == pytest.approx(scored[row["appointment_id"]]["probability"], abs=1e-12)


def test_few_rows_as_requests_give_the_same(trust, scored):
    scorer = pipeline.open_scorer(trust.home)
    table = pq.read_table(trust.weekly)
    for part in (as_table(as_requests(table.slice(0, 1))), as_table(as_requests(table.slice(5, 30)))):
        for row in scorer.score(part).to_pylist():
            whole = scored[row["appointment_id"]]
            assert row["probability"] == pytest.approx(whole["probability"], abs=1e-12)
            assert [row[f"reason_{place}"] for place in (1, 2, 3)] == [whole[f"reason_{place}"] for place in (1, 2, 3)]


def test_a_request_is_answered_alike_whichever_columns_its_table_has(trust):
    scorer = pipeline.open_scorer(trust.home)
    table, shapes, all_columns = pq.read_table(trust.weekly), TableShapes(most=3), TableShapes(most=0)
    optional = [name for name in table.column_names if name not in {"appointment_id", "booked_at", "starts_at"}]
    for number in range(0, len(optional), 3):
        left_out = optional[number : number + 3] if number else ["patient_id"]
        rows = as_requests(table.slice(2 * number, 2).drop_columns(left_out))
        narrow, wide = as_table(rows, shapes=shapes), as_table(rows, shapes=all_columns)
        assert len(narrow.column_names) < len(wide.column_names)
        assert scorer.score(narrow).to_pylist() == scorer.score(wide).to_pylist()


def test_csv_and_xlsx_give_the_numbers_of_parquet(trust, scored, dnapredict, tmp_path):
    as_csv, as_xlsx = tmp_path / "list.csv", tmp_path / "list.xlsx"
    table = pq.read_table(trust.weekly)
    pa_csv.write_csv(table, as_csv)
    book = openpyxl.Workbook()
    book.active.append(table.column_names)
    for row in table.to_pylist():
        book.active.append(list(row.values()))
    book.save(as_xlsx)
    for source in (as_csv, as_xlsx):
        out = tmp_path / f"{source.suffix[1:]}-worklist.csv"
        done = dnapredict("score", source, "--out", out, "--home", trust.home)
        assert done.returncode == 0, done.stderr
        with out.open(encoding="utf-8") as file:
            rows = by_id(csv.DictReader(file))
        assert set(rows) == set(scored)
        for name, row in rows.items():
            assert float(row["probability"]) == pytest.approx(scored[name]["probability"], abs=1e-12)


def test_the_extract_as_history_gives_the_numbers_of_the_refreshed_home(trust, scored, dnapredict, tmp_path):
    out = tmp_path / "worklist.parquet"
    done = dnapredict("score", trust.weekly, "--history", trust.extract, "--out", out, "--home", trust.home)
    assert done.returncode == 0, done.stderr
    for row in pq.read_table(out).to_pylist():
        assert row["probability"] == pytest.approx(scored[row["appointment_id"]]["probability"], abs=1e-12)
