"""What happened, recorded on the page: where it stood, what counts, who may, and in the workbook."""

import datetime
import io
import re
from pathlib import Path

import openpyxl
import pytest
from httpx import Response
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.browser.worklists import worklist
from tests.service.conftest import served_at
from tests.service.pages import MARK, record, shown, week
from tests.service.test_lists import upload

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.service.auth import api_keys
from dnapredict.service.call_outcomes import OFFERED_WORDS
from dnapredict.service.log.log_tables import ACTIONS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.latest_list import save_latest


def test_what_happened_is_recorded_and_shown_where_the_line_stood(client: TestClient, address: str, home: Path) -> None:
    answer = record(client, address, line=2, outcome="transport_arranged", sort="time", clinic="EYE2")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{address}?clinic=EYE2&sort=time&said=2#said"
    page = client.get(answer.headers["location"]).text
    assert "<title>Recorded for place 2: Transport arranged" in page
    assert re.search(r'id="said" tabindex="-1" role="status">Recorded for place 2: Transport arranged<', page)
    (entry,) = ScoringLog(home).query(select(ACTIONS))
    assert (entry.outcome, entry.clinic, "/lists/" + entry.list) == ("transport_arranged", "EYE2", address)


def test_the_last_word_counts_and_a_mistake_can_be_taken_back(client: TestClient, address: str, home: Path) -> None:
    record(client, address, outcome="wrong_number")
    record(client, address, outcome="rebooked")
    assert "<strong>Rebooked</strong>" in client.get(address).text
    assert "<strong>Wrong number</strong>" not in client.get(address).text
    back = record(client, address, outcome="withdrawn").headers["location"]
    assert "Place 1: nothing is recorded any more" in client.get(back).text
    assert "0 of 4 calls made" in client.get(address).text
    assert len(ScoringLog(home).query(select(ACTIONS))) == 3


def form_of(page: str, line: int) -> dict[str, str]:
    """What the form of a line sends, without the outcome."""
    return {
        "line": str(line),
        "seen": re.findall(rf'value="{line}">\s*<input[^>]* name="seen" value="([^"]*)"', page)[0],
    }


def send(client: TestClient, address: str, form: dict[str, str], outcome: str, **asked: str) -> Response:
    return client.post(f"{address}/outcomes", data=form | {"outcome": outcome}, params=asked, follow_redirects=False)


def outcomes(home: Path) -> list[str]:
    return [entry.outcome for entry in ScoringLog(home).query(select(ACTIONS).order_by(ACTIONS.c.number))]


def test_a_colleagues_outcome_is_not_replaced_before_it_was_seen(client: TestClient, address: str, home: Path) -> None:
    form = form_of(client.get(address).text, 2)  # both clerks have the list open
    assert send(client, address, form, "confirmed").status_code == 303
    answer = send(client, address, form, "no_answer", clinic="EYE2")
    assert answer.status_code == 409
    assert re.search(r"recorded ‘Confirmed’ at \d\d:\d\d\s*</h1>", answer.text)
    assert "‘No answer’ is not recorded yet. Record yours all the same?" in answer.text
    assert f'href="{address}?clinic=EYE2#line-2"' in answer.text
    assert outcomes(home) == ["confirmed"]
    again = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text))
    assert send(client, address, again, again.pop("outcome"), clinic="EYE2").status_code == 303
    assert outcomes(home) == ["confirmed", "no_answer"]
    page = client.get(address).text
    assert "<strong>No answer</strong>" in page
    assert re.findall(r'"dna-history__words">([^<]*)<', page) == ["No answer", "Confirmed"]


def test_a_second_click_records_once_and_shows_the_same(client: TestClient, address: str, home: Path) -> None:
    form = form_of(client.get(address).text, 1)
    first, second = (send(client, address, form, "confirmed") for _ in range(2))
    assert (first.status_code, first.headers["location"]) == (303, second.headers["location"])
    assert outcomes(home) == ["confirmed"]


def test_the_history_says_who_recorded_what_and_when(home: Path) -> None:
    ears, eyes = (
        api_keys.create(home, name=name, scopes=(api_keys.KeyScope.LIST,)) for name in ("Ear desk", "Eye desk")
    )
    with served_at(home) as client:
        signed = {"authorization": f"Bearer {ears.token}"}
        list_id = client.post("/v1/lists", files={"file": ("w.csv", week())}, headers=signed).json()["list_id"]
        act, asked = f"/v1/lists/{list_id}/actions", {"appointment_id": "apt-059"}
        client.post(act, json=asked | {"outcome": "no_answer"}, headers=signed)
        signed = {"authorization": f"Bearer {eyes.token}"}
        client.post(act, json=asked | {"outcome": "confirmed"}, headers=signed)
        page = client.get(f"/lists/{list_id}", headers=signed).text
        form = form_of(page, 1) | {"seen": ""}
        answer = client.post(
            f"/lists/{list_id}/outcomes",
            data=form | {"outcome": "rebooked"},
            headers={"authorization": f"Bearer {ears.token}"},
        )
    history = re.findall(r'"dna-history__words">([^<]*)</span><br>([^<]*)<', page)
    assert [(words, by.rsplit(", ", 1)[1]) for words, by in history] == [
        ("Confirmed", "Eye desk"),
        ("No answer", "Ear desk"),
    ]
    assert "Eye desk recorded ‘Confirmed’ at" in answer.text
    assert "Recorded by: Eye desk." in answer.text


def test_who_was_not_reached_is_still_to_call(client: TestClient, address: str) -> None:
    record(client, address, line=1, outcome="no_answer")
    record(client, address, line=2, outcome="confirmed")
    page = client.get(address).text
    assert "2 of 4 calls made, 1 reached nobody" in page
    assert "Call again at another time of day" in page
    assert shown(client.get(address, params={"progress": "open"}).text) == ["apt-059", "apt-057", "apt-056"]
    assert shown(client.get(address, params={"progress": "done"}).text) == ["apt-058"]


def test_a_line_that_leaves_the_part_that_is_shown_is_still_announced(client: TestClient, address: str) -> None:
    back = record(client, address, line=1, progress="open").headers["location"]
    page = client.get(back).text
    assert "Recorded for place 1: Confirmed. It is not on this part of the list." in page
    assert page.count('id="said"') == 1


@pytest.mark.parametrize("outcome", ["", MARK, "CONFIRMED"])
def test_an_outcome_that_is_none_is_asked_for_again(client: TestClient, address: str, outcome: str) -> None:
    answer = record(client, address, line=3, outcome=outcome)
    assert answer.status_code == 400
    assert "<title>Error: " in answer.text
    assert '<a href="#outcome-3">Choose what happened, then record it.</a>' in answer.text
    assert 'aria-describedby="outcome-3-error"' in answer.text
    assert MARK not in answer.text


@pytest.mark.parametrize("line", [0, 41, -1, "1e3", MARK, "٣", 10**30])
def test_a_line_that_is_not_on_the_list_is_not_recorded(
    client: TestClient, address: str, home: Path, line: object
) -> None:
    answer = record(client, address, line=line)
    assert answer.status_code == 404
    assert MARK not in answer.text
    assert ScoringLog(home).query(select(ACTIONS)) == []


def test_a_row_that_could_not_be_scored_takes_no_outcome(client: TestClient) -> None:
    upload(client, week(2) + "\nbad,2026-01-05,2026-02-02,old,ENT1", to="/upload")
    page = client.get("/", params={"show": "not-scored"}).text
    assert "holds an age that is not a number" in page
    assert "/outcomes" not in page
    assert record(client, re.findall(r"/lists/[0-9a-f]{16}", page)[0], line=3).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
    ],
)
def test_a_form_on_a_page_of_another_site_records_nothing(
    client: TestClient, address: str, home: Path, headers: dict[str, str]
) -> None:
    sent = {"line": "1", "outcome": "confirmed"}
    answer = client.post(f"{address}/outcomes", data=sent, headers=headers, follow_redirects=False)
    assert answer.status_code == 403
    assert client.post("/upload", files={"file": ("w.csv", week())}, headers=headers).status_code == 403
    assert ScoringLog(home).query(select(ACTIONS)) == []


def test_a_form_of_another_kind_is_refused(client: TestClient, address: str) -> None:
    assert client.post(f"{address}/outcomes", json={"line": 1}).status_code == 415
    kind = {"content-type": "application/x-www-form-urlencoded"}
    when = client.post(f"{address}/outcomes", content=f"line=1&outcome=confirmed&seen={MARK}", headers=kind)
    assert (when.status_code, MARK in when.text) == (400, False)
    many = "&".join(f"f{number}=1" for number in range(100))
    answer = client.post(f"{address}/outcomes", content=many, headers=kind)
    assert (answer.status_code, "The form could not be read." in answer.text) == (400, True)


def test_a_list_of_another_system_that_is_worked_on_outlives_the_next_one(client: TestClient) -> None:
    """Of those nothing is kept but the last, until a team works on one."""
    rows = [{"appointment_id": f"apt-{age}", "age_years": age} for age in (30, 40)]
    client.post("/v1/score", json={"appointments": rows})
    older = re.findall(r"/lists/[0-9a-f]{16}", client.get("/").text)[0]
    assert record(client, older).status_code == 303
    assert "1 of 1 call made" in client.get(older).text
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{older}/file").content))
    assert book["Worklist"]["A2"].value == "apt-40"
    assert book["Worklist"]["L2"].value == "Confirmed"
    client.post("/v1/score", json={"appointments": rows})
    unused = re.findall(r'href="(/lists/[0-9a-f]{16})"', client.get("/lists").text)[0]
    client.post("/v1/score", json={"appointments": rows[::-1]})
    assert record(client, older, outcome="rebooked").status_code == 303
    assert "<strong>Rebooked</strong>" in client.get(older).text
    refused = record(client, unused)
    assert refused.status_code == 404
    assert "This was not recorded" in refused.text


def test_the_workbook_holds_what_was_recorded_and_offers_the_rest(client: TestClient, address: str) -> None:
    record(client, address, line=2, outcome="no_calls_wished")
    for place in (f"{address}/file?form=xlsx", f"/v1{address}?form=xlsx"):
        answer = client.get(place)
        named = answer.headers["content-disposition"]
        assert re.match(r'attachment; filename="week-49 scored 20..-..-.. ..\...\.xlsx"; ', named)
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        sheet = book["Worklist"]
        assert [sheet["L1"].value, sheet["L2"].value, sheet["L3"].value] == [
            "outcome", None, "Does not wish to be called",
        ]  # fmt: skip
        (rule,) = sheet.data_validations.dataValidation
        assert (str(rule.sqref), rule.type) == ("L2:L41", "list")
        assert rule.formula1 == '"' + ",".join(OFFERED_WORDS) + '"'
        assert sheet.freeze_panes == "B2"
        about = [row[0] for row in book["About"].iter_rows(values_only=True)]
        assert "Never for overbooking, discharge, delaying or withholding care." in about
        assert any("The list lacks columns for: distance_km." in str(words) for words in about)
    csv = client.get(f"{address}/file?form=csv").text.splitlines()
    assert csv[0].endswith('"error","outcome"')
    assert csv[2].endswith('"Does not wish to be called"')
    assert client.get(f"{address}/file?form=pdf").status_code == 400


def test_page_and_workbook_offer_the_same_words() -> None:
    assert load(shipped("serving/worklist.toml"), WorklistConfig).outcomes == OFFERED_WORDS


def test_nothing_of_a_patient_stands_in_an_address_a_log_or_a_refusal(
    client: TestClient, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upload(client, week(mark=MARK), to="/upload")
    page = client.get("/").text
    assert MARK in page
    addresses = re.findall(r'(?:href|action)="([^"]*)"', page)
    assert not [address for address in addresses if "zebra" in address]
    list_page = re.findall(r"/lists/[0-9a-f]{16}", page)[0]
    back = record(client, list_page, line=1)
    assert "zebra" not in str(back.headers)
    for refused in (record(client, list_page, line=0), client.get(f"{list_page}/{MARK}")):
        assert "zebra" not in refused.text
    assert "zebra" not in caplog.text
    assert "zebra" not in client.get("/metrics").text
    assert b"zebra" not in b"".join(place.read_bytes() for place in home.glob("scoring-log*"))


def test_a_log_that_cannot_be_written_is_said_and_nothing_is_acknowledged(
    client: TestClient, address: str, home: Path
) -> None:
    for place in home.glob("scoring-log.db*"):
        place.write_bytes(b"not a database" * 100)
    answer = record(client, address)
    assert answer.status_code == 503
    assert "This was not recorded" in answer.text


def test_a_list_that_was_scored_as_a_file_is_worked_on_the_page_too(client: TestClient, home: Path) -> None:
    note = Note(("Worklist for week 51.csv.",), day=datetime.date(2026, 12, 14), outcomes=("Confirmed", "Rang"))
    kept = KeptList.new(worklist(), name="week 51.csv", model_version="7", synthetic=True, note=note)
    address = f"/lists/{save_latest(home, kept).heading.list_id}"
    assert "week 51.csv" in client.get("/lists").text
    record(client, address, outcome="confirmed")
    assert "1 of 12 calls made" in client.get("/").text
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{address}/file").content))
    (rule,) = book["Worklist"].data_validations.dataValidation
    assert (rule.formula1, book["Worklist"]["L2"].value) == ('"Confirmed,Rang"', "Confirmed")
    assert client.get(f"/v1{address}").status_code == 404  # of these nothing is kept for programs


def test_who_was_signed_out_is_told_that_nothing_was_recorded(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, week(), to="/upload")
    address = re.findall(r"/lists/[0-9a-f]{16}", client.get("/").text)[0]
    api_keys.create(home, name="booking team", scopes=(api_keys.KeyScope.LIST,))
    monkeypatch.setattr(api_keys, "_SECONDS_REMEMBERED", 0.0)
    sent = {"line": "1", "outcome": "confirmed"}
    answer = client.post(f"{address}/outcomes", data=sent, headers={"accept": "text/html"})
    assert "<title>Not recorded: Sign in" in answer.text
    assert client.post(f"{address}/outcomes", data=sent).status_code == 401
    assert ScoringLog(home).query(select(ACTIONS)) == []


def test_teams_see_how_far_they_are_by_specialty(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log knows clinics alone; of which specialty one is, the list says that was uploaded."""
    config = load(shipped("serving/worklist.toml"), WorklistConfig)
    team = {"name": "Eye clinic desk", "capacity": 40, "specialties": ("130",)}
    changed = WorklistConfig.model_validate(config.model_dump() | {"teams": [team], "capacity_per": ("week",)})
    monkeypatch.setattr("dnapredict.service.app.worklist_config", lambda: changed)
    with served_at(home) as client:
        rows = [line.split(",") for line in week().splitlines()[1:]]
        specialty = {"ENT1": "120", "EYE2": "130"}
        lines = [",".join([*row, specialty[row[4]]]) for row in rows]
        named = "appointment_id,booked_at,starts_at,age_years,clinic_code,treatment_function_code"
        upload(client, "\n".join([named, *lines]), to="/upload")
        address = re.findall(r"/lists/[0-9a-f]{16}", client.get("/").text)[0]
        record(client, address, line=1, outcome="confirmed")
        page = client.get("/lists").text
    assert "This week by team" in page
    table = page.split("This week by team")[1].split("</table>")[0]
    cells = re.findall(r"</span>([^<]*)</t[hd]>", table)
    assert cells[:4] == ["Eye clinic desk", "1", "0", "40"]
    assert cells[4:6] == ["No team named", "0"]
