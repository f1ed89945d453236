"""What clerks record about calls decides who is called next, at every door."""

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust, as_requests
from tests.service.conftest import TestClient, wait_until_ready

from dnapredict import pipeline
from dnapredict.config.loading import shipped
from dnapredict.service.app import build, champion_of
from dnapredict.service.logged_contacts import logged_contacts
from dnapredict.service.start import served_mapping

REACHED = "No call: the patient was already reached about this appointment"
OPTED_OUT = "No call: the patient asked not to be called. Send the usual reminder or a letter"

Lines = dict[str, dict[str, Any]]


@pytest.fixture
def home(trust: Trust, tmp_path: Path) -> Path:
    """A home of its own, in which nobody has called yet."""
    place = tmp_path / "home"
    shutil.copytree(trust.home, place)
    for name in ("lists", "scoring-log.secret", "scoring-log.db", "scoring-log.db.made"):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).unlink(missing_ok=True)
    return place


@pytest.fixture
def service(home: Path) -> Iterator[TestClient]:
    champion = champion_of(home)
    app = build(home, champion, mapping=served_mapping()).to_asgi()
    with TestClient(app, base_url="http://127.0.0.1") as client:
        wait_until_ready(client)
        yield client
    champion.stop()


@pytest.fixture(scope="module")
def weekly(trust: Trust) -> pa.Table:
    return pq.read_table(trust.weekly)


def as_csv(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pa_csv.write_csv(table, written)
    return written.getvalue()


def upload(service: TestClient, table: pa.Table) -> dict[str, Any]:
    answer = service.post("/v1/lists", files={"file": ("week.csv", as_csv(table))})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def lines(results: list[dict[str, Any]]) -> Lines:
    return {line["appointment_id"]: line for line in results}


def calls(answer: dict[str, Any]) -> list[str]:
    return [line["appointment_id"] for line in answer["results"] if line.get("selected")]


def record(service: TestClient, list_id: str, appointment: str, outcome: str) -> None:
    body = {"appointment_id": appointment, "outcome": outcome}
    assert service.post(f"/v1/lists/{list_id}/actions", json=body).status_code == 201


def patient_of(weekly: pa.Table, appointment: str) -> str:
    row = weekly.filter(pc.equal(weekly["appointment_id"], appointment)).to_pylist()[0]
    return str(row["patient_id"])


def test_a_list_that_is_exported_anew_the_next_day_has_its_calls_where_nobody_was_rung(service, weekly):
    first = calls(upload(service, weekly))
    again = calls(upload(service, weekly.slice(1)))
    assert len(first) == 40
    assert len(set(first) & set(again)) >= 39


def test_who_was_reached_is_passed_over_and_who_did_not_answer_is_called_again(service, weekly):
    answer = upload(service, weekly)
    reached, no_answer, *rest = calls(answer)
    record(service, answer["list_id"], reached, "confirmed")
    record(service, answer["list_id"], no_answer, "no_answer")
    again = upload(service, weekly)
    assert lines(again["results"])[reached]["action"].startswith(REACHED)
    assert no_answer in calls(again)
    assert len(calls(again)) == 40  # the call goes to the next
    record(service, answer["list_id"], reached, "withdrawn")
    assert calls(upload(service, weekly)) == [reached, no_answer, *rest]


def test_after_three_calls_without_an_answer_the_next_export_says_to_write(service, weekly):
    first, *rest = calls(upload(service, weekly))
    for attempt in range(3):
        answer = upload(service, weekly.slice(attempt % 2))  # each day's export is another list
        assert first in calls(answer)
        record(service, answer["list_id"], first, "no_answer" if attempt else "message_left")
    last = upload(service, weekly)
    assert lines(last["results"])[first]["action"].startswith("No call: nobody answered. Send a letter")
    assert calls(last)[: len(rest)] == rest
    assert len(calls(last)) == 40


def with_another_appointment(weekly: pa.Table, patient: str) -> pa.Table:
    """The list, and in it another appointment of the patient, of a clinic and a day far away."""
    rows = weekly.to_pylist()
    mine = next(row for row in rows if row["patient_id"] == patient)
    rows.append(mine | {"appointment_id": "another", "clinic_code": "ELSEWHERE"})
    return pa.Table.from_pylist(rows, schema=weekly.schema)


def written(out: Path) -> Lines:
    read: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".xlsx": pd.read_excel}
    table = pd.read_parquet(out) if out.suffix == ".parquet" else read[out.suffix](out)
    return lines(table.astype({"appointment_id": str}).to_dict("records"))


def answers_of_doors(
    service, home: Path, asked: pa.Table, dnapredict, folder: Path, *, forms: Sequence[str] = ("csv",)
) -> Iterator[Lines]:
    """What page, API, command and watched folder answer about a list, in which an appointment is called "another"."""
    path = folder / "list.parquet"
    pq.write_table(asked, path)
    uploaded = upload(service, asked)
    yield lines(uploaded["results"])
    alone = as_requests(asked.filter(pc.equal(asked["appointment_id"], "another")))
    for rows in (alone, as_requests(asked)):
        found = service.post("/v1/score", json={"appointments": rows}).json()["results"]
        yield lines(found)
    for form in forms:
        out = folder / f"worklist.{form}"
        done = dnapredict("score", path, "--out", out, "--home", home)
        assert done.returncode == 0, done.stderr
        yield written(out)
    inbox = folder / "inbox"
    inbox.mkdir(exist_ok=True)
    shutil.copy(path, inbox / "week.parquet")
    said: list[str] = []
    pipeline.watch(inbox, home=home, say=said.append, looks=iter(range(2)), form=".csv")
    yield written(inbox / "done" / "week-worklist.csv")
    shutil.rmtree(inbox)


def rows_of(patient: str, asked: pa.Table) -> set[str]:
    return {row["appointment_id"] for row in asked.to_pylist() if row["patient_id"] == patient}


@pytest.mark.cases(1)
@pytest.mark.parametrize("taken_back_by", ["withdrawn", "calls_wished_again"])
def test_a_wish_not_to_be_called_holds_at_every_door_until_it_is_withdrawn(
    service, home, weekly, dnapredict, tmp_path, taken_back_by
):
    answer = upload(service, weekly)
    mine = calls(answer)[0]
    patient = patient_of(weekly, mine)
    asked = with_another_appointment(weekly, patient)
    record(service, answer["list_id"], mine, "no_calls_wished")
    every_form = ("csv", "xlsx", "parquet")
    for found in answers_of_doors(service, home, asked, dnapredict, tmp_path, forms=every_form):
        for each in rows_of(patient, asked) & set(found):
            assert not found[each]["selected"]
            assert found[each]["action"].startswith(OPTED_OUT)
        assert len(found) == 1 or sum(line["selected"] in (True, "True") for line in found.values()) == 41
    page = service.get("/lists/" + upload(service, asked)["list_id"], params={"show": "all"}).text
    assert OPTED_OUT in page
    record(service, answer["list_id"], mine, taken_back_by)
    for found in answers_of_doors(service, home, asked, dnapredict, tmp_path):
        assert not any(line["action"].startswith(OPTED_OUT) for line in found.values())


@pytest.mark.cases(1)
@pytest.mark.parametrize("taken_back_by", ["the column", "calls_wished_again"])
def test_a_wish_that_a_column_stated_once_holds_at_every_door_until_it_is_withdrawn(
    service, home, weekly, dnapredict, tmp_path, taken_back_by
):
    answer = upload(service, weekly)
    mine = calls(answer)[0]
    patient = patient_of(weekly, mine)
    asked = with_another_appointment(weekly, patient)
    said = pa.array(["Y" if name == mine else None for name in weekly["appointment_id"].to_pylist()])
    upload(service, weekly.append_column("opt_out", said))
    # The list from before says so too, from then on.
    earlier = lines(service.get(f"/v1/lists/{answer['list_id']}").json()["results"])[mine]
    assert (earlier["selected"], earlier["action"]) == (False, OPTED_OUT)
    for found in answers_of_doors(service, home, asked, dnapredict, tmp_path):
        for each in rows_of(patient, asked) & set(found):
            assert found[each]["action"].startswith(OPTED_OUT)
    if taken_back_by == "the column":
        no = pa.array(["N"] * weekly.num_rows)
        upload(service, weekly.append_column("opt_out", no))
    else:
        record(service, answer["list_id"], mine, taken_back_by)
    for found in answers_of_doors(service, home, asked, dnapredict, tmp_path):
        assert not any(line["action"].startswith(OPTED_OUT) for line in found.values())


@pytest.fixture
def opt_out_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of opt-outs of a trust, empty so far."""
    (tmp_path / "serving").mkdir()
    file = tmp_path / "serving" / "opt-outs.csv"
    file.write_text("patient_id\n")
    configuration = shipped("serving/worklist.toml").read_text()
    line = 'opt_out_file = "opt-outs.csv"'
    assert f"# {line}" in configuration
    (tmp_path / "serving" / "worklist.toml").write_text(configuration.replace(f"# {line}", line))
    monkeypatch.chdir(tmp_path)
    return file


def test_a_file_of_opt_outs_holds_at_every_door_as_long_as_the_patient_is_in_it(
    opt_out_file, service, home, weekly, dnapredict, tmp_path
):
    mine = calls(upload(service, weekly))[0]
    patient = patient_of(weekly, mine)
    asked = with_another_appointment(weekly, patient)
    opt_out_file.write_text(f"patient_id\n{patient}\nnobody here\n")
    for found in answers_of_doors(service, home, asked, dnapredict, tmp_path):
        for each in rows_of(patient, asked) & set(found):
            assert found[each]["action"].startswith(OPTED_OUT)
    opt_out_file.write_text("patient_id\nnobody here\n")
    for found in answers_of_doors(service, home, asked, dnapredict, tmp_path):
        assert not any(line["action"].startswith(OPTED_OUT) for line in found.values())


def test_without_its_file_of_opt_outs_no_list_is_scored(
    opt_out_file, service, home, trust, weekly, dnapredict, tmp_path
):
    opt_out_file.unlink()
    refused = service.post("/v1/lists", files={"file": ("week.csv", as_csv(weekly))})
    assert refused.status_code >= 400
    assert "No list is scored without it" in refused.text
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 11
    assert "opt_out_file" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_wish_that_was_recorded_on_a_list_that_was_a_file_is_known_to_be_the_patients(
    service, home, trust, weekly, dnapredict, tmp_path
):
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 0, done.stderr
    shown = json.loads((home / "lists" / "latest.json").read_text())
    mine = shown["rows"][0]["appointment_id"]
    sent = service.post(f"/lists/{shown['list_id']}/outcomes", data={"line": 1, "outcome": "no_calls_wished"})
    assert sent.status_code == 200
    asked = with_another_appointment(weekly, patient_of(weekly, mine))
    assert lines(upload(service, asked)["results"])["another"]["action"].startswith(OPTED_OUT)


def test_a_wish_is_known_though_the_patients_number_came_with_blanks_or_as_a_decimal(service, weekly):
    """As other systems fill up numbers, and as a spreadsheet leaves them in a column with gaps."""
    people = dict.fromkeys(weekly["patient_id"].to_pylist())
    numbers = {patient: f"{880_000 + place}.0" for place, patient in enumerate(people)}
    odd = with_patients(weekly, lambda patient: f" {numbers[patient]} ")
    answer = upload(service, odd)
    mine = calls(answer)[0]
    record(service, answer["list_id"], mine, "no_calls_wished")
    plain = with_patients(weekly, lambda patient: numbers[patient].removesuffix(".0"))
    again = with_another_appointment(plain, patient_of(plain, mine)).slice(1)
    assert lines(upload(service, again)["results"])["another"]["action"].startswith(OPTED_OUT)


def with_patients(weekly: pa.Table, changed: Callable[[str], str]) -> pa.Table:
    place = weekly.column_names.index("patient_id")
    return weekly.set_column(place, "patient_id", pa.array(list(map(changed, weekly["patient_id"].to_pylist()))))


def test_a_list_that_was_scored_before_a_wish_says_it_from_then_on(service, weekly):
    """Two teams, one patient: what one of them is told in the morning the other sees before it calls."""
    mine = calls(upload(service, weekly))[0]
    theirs = upload(service, with_another_appointment(weekly, patient_of(weekly, mine)))
    first = upload(service, weekly)["list_id"]
    record(service, first, mine, "no_calls_wished")
    address = theirs["list_id"]
    found = lines(service.get(f"/v1/lists/{address}").json()["results"])["another"]
    assert (found["selected"], found["action"]) == (False, OPTED_OUT)
    page = next(
        text
        for number in range(1, 10)
        if "appointment another<" in (text := service.get(f"/lists/{address}?show=all&page={number}").text)
    )
    (row,) = (row for row in page.split("<tr ") if "appointment another<" in row)
    assert OPTED_OUT in row
    book = pd.read_excel(io.BytesIO(service.get(f"/lists/{address}/file").content)).set_index("appointment_id")
    assert book.loc["another", "action"].startswith(OPTED_OUT)
    assert not book.loc["another", "selected"]


def test_a_list_of_another_system_takes_outcomes_after_the_next_one(service, weekly):
    """Who opened a list and rang can say what happened, though another list came in the meantime."""
    sent = as_requests(weekly.slice(0, 60))
    service.post("/v1/score", json={"appointments": sent})
    (address,) = set(re.findall(r'action="(/lists/[0-9a-f]{16})/outcomes', service.get("/").text))
    service.post("/v1/score", json={"appointments": sent[1:]})
    form = {"line": "1", "seen": "", "outcome": "no_calls_wished"}
    assert service.post(f"{address}/outcomes", data=form, follow_redirects=False).status_code == 303


@pytest.mark.cases(2)
@pytest.mark.parametrize("header", ["Opt-out", "Opted out", "Do not call", "OptOut", "Opt out?"])
def test_a_column_of_wishes_is_recognised_by_other_names(service, weekly, header):
    mine = calls(upload(service, weekly))[0]
    wishes = pa.array(["Y" if each == mine else None for each in weekly["appointment_id"].to_pylist()])
    assert lines(upload(service, weekly.append_column(header, wishes))["results"])[mine]["action"].startswith(OPTED_OUT)


@pytest.mark.parametrize("fault", ["the same appointment twice", "no time", "a wish in other words"])
def test_a_wish_counts_though_its_row_cannot_be_scored(service, home, weekly, dnapredict, tmp_path, fault):
    mine = calls(upload(service, weekly))[0]
    rows = [{name: None if value is None else str(value) for name, value in row.items()} for row in weekly.to_pylist()]
    refused = {**next(row for row in rows if row["appointment_id"] == mine), "opt_out": "Y"}
    refused |= {
        "the same appointment twice": {},
        "no time": {"appointment_id": "refused", "starts_at": "soon"},
        "a wish in other words": {"appointment_id": "refused", "opt_out": "asked us not to"},
    }[fault]
    asked = pa.Table.from_pylist([*({**row, "opt_out": None} for row in rows), refused])
    asked = asked.set_column(asked.column_names.index("opt_out"), "opt_out", asked["opt_out"].cast(pa.string()))
    found = next(line for line in upload(service, asked)["results"] if line["appointment_id"] == mine)
    assert found["action"].startswith(OPTED_OUT)
    (tmp_path / "list.csv").write_bytes(as_csv(asked))
    done = dnapredict("score", tmp_path / "list.csv", "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 0, done.stderr
    out = pd.read_csv(tmp_path / "out.csv").drop_duplicates("appointment_id").set_index("appointment_id")
    assert out.loc[mine, "action"].startswith(OPTED_OUT)


def test_the_column_opt_out_is_a_wish_for_all_of_the_patients_rows(service, weekly):
    mine = calls(upload(service, weekly))[0]
    asked = with_another_appointment(weekly, patient_of(weekly, mine))
    said = ["yes" if name == mine else None for name in asked["appointment_id"].to_pylist()]
    found = lines(upload(service, asked.append_column("opt_out", pa.array(said, pa.string())))["results"])
    for name in (mine, "another"):
        assert not found[name]["selected"]
        assert found[name]["action"].startswith(OPTED_OUT)
    alone = {**as_requests(asked.slice(0, 1))[0], "opt_out": True}
    (result,) = service.post("/v1/score", json={"appointments": [alone]}).json()["results"]
    assert not result["selected"]
    assert result["action"].startswith(OPTED_OUT)


def test_a_damaged_calls_database_stops_no_list_and_is_said_on_it(service, home, trust, weekly, dnapredict, tmp_path):
    answer = upload(service, weekly)
    mine = calls(answer)[0]
    record(service, answer["list_id"], mine, "no_calls_wished")
    (home / "lists" / "calls.db").write_bytes(b"no database" * 1_000)
    again = upload(service, weekly)
    assert lines(again["results"])[mine]["action"].startswith(OPTED_OUT)
    (notice,) = again["notices"]
    assert "was damaged" in notice
    page = service.get(f"/lists/{again['list_id']}").text
    assert notice in page
    book = openpyxl.load_workbook(io.BytesIO(service.get(f"/lists/{again['list_id']}/file?form=xlsx").content))
    assert book["About"]["A1"].value == notice
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 0
    assert "lists/calls.db" in done.stderr
    assert written(tmp_path / "out.csv")[mine]["action"].startswith(OPTED_OUT)


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    ("name", "held"),
    [("lists/calls.secret", ""), ("scoring-log.secret", None), ("scoring-log.secret", "0" * 64)],
)
def test_an_emptied_changed_or_lost_secret_is_refused_by_the_command(
    home, trust, weekly, dnapredict, tmp_path, name, held
):
    with TestClient(build(home, champion := champion_of(home)).to_asgi(), base_url="http://127.0.0.1") as service:
        wait_until_ready(service)
        answer = upload(service, weekly)
        record(service, answer["list_id"], calls(answer)[0], "no_calls_wished")
    champion.stop()
    (home / name).unlink() if held is None else (home / name).write_text(held)
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 14
    assert name in done.stderr
    assert "backup" in done.stderr
    assert not (tmp_path / "out.csv").exists()
    with TestClient(build(home, champion := champion_of(home)).to_asgi(), base_url="http://127.0.0.1") as service:
        assert service.get("/readyz").status_code == 503
        assert service.post("/v1/lists", files={"file": ("a.csv", as_csv(weekly))}).status_code == 503
    champion.stop()


def test_a_log_that_cannot_be_read_stops_no_list_that_is_scored_as_a_file(home, trust, dnapredict, tmp_path):
    (home / "scoring-log.db").write_bytes(b"no database" * 1_000)
    done = dnapredict("score", trust.weekly, "--out", tmp_path / "out.csv", "--home", home)
    assert done.returncode == 0, done.stderr
    assert "The scoring log cannot be read" in done.stderr
    assert list(logged_contacts(tmp_path / "no home").after(0, "")) == []
