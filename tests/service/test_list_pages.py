"""The lists as pages: recent ones, filters and order, what happened, how far the calls have come."""

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
from tests.service.test_lists import upload

from dnapredict.config.loading import load, shipped
from dnapredict.config.worklist import WorklistConfig
from dnapredict.lists import latest
from dnapredict.lists.sheet import Note
from dnapredict.service import keys
from dnapredict.service.outcomes import OFFERED_WORDS
from dnapredict.service.record.tables import ACTIONS
from dnapredict.service.store import ScoringLog

MARK = "zebra-4711"
CLINICS, DAYS = ("ENT1", "EYE2"), ("2026-12-07", "2026-12-08")


def week(appointments: int = 40, *, mark: str = "apt") -> str:
    """A list in which the oldest is called first; a tenth is called."""
    lines = [
        f"{mark}-{age:03d},2026-09-01,{DAYS[age % 2]} {9 + age % 8:02d}:00,{age},{CLINICS[age % 4 // 2]}"
        for age in range(20, 20 + appointments)
    ]
    return "\n".join(["appointment_id,booked_at,starts_at,age_years,clinic_code", *lines])


@pytest.fixture
def address(client: TestClient) -> str:
    """Where the page of a list of 40 appointments is, of which four are called: 059, 058, 057, 056."""
    answer = upload(client, week(), to="/upload")
    assert answer.status_code == 303
    return str(re.findall(r'action="(/lists/[0-9a-f]{16})', client.get("/").text)[0])


def shown(page: str) -> list[str]:
    """The appointments on a page, in its order."""
    return re.findall(r'dna-appointment">.*?(apt-\d+)</th>', page)


def record(
    client: TestClient, address: str, *, line: object = 1, outcome: str = "confirmed", **asked: str
) -> Response:
    return client.post(
        f"{address}/outcomes", data={"line": line, "outcome": outcome}, params=asked, follow_redirects=False
    )


def test_recent_lists_are_offered_the_newest_first(client: TestClient) -> None:
    for name in ("week 48.csv", "week 49.csv"):
        upload(client, week(), name=name, to="/upload")
    page = client.get("/lists").text
    assert page.index("week 49.csv") < page.index("week 48.csv")
    newest, older = re.findall(r'href="(/lists/[0-9a-f]{16})"', page)
    assert "week 48.csv" in client.get(older).text
    assert "This is not the newest list." in client.get(older).text
    assert "This is not the newest list." not in client.get(newest).text
    assert page.count("0 of 4 calls made") == 2 + 1  # and the week, in which each appointment counts once


@pytest.mark.parametrize("list_id", ["0" * 16, "x", "..%2f..", "0" * 15 + "%00"])
def test_a_list_that_is_not_there_is_a_page_that_says_so(client: TestClient, list_id: str) -> None:
    for answer in (client.get(f"/lists/{list_id}"), client.get(f"/lists/{list_id}/file")):
        assert answer.status_code == 404
    assert record(client, "/lists/" + "0" * 16).status_code == 404
    assert "There is no such list" in client.get("/lists/" + "0" * 16).text


@pytest.mark.parametrize(
    ("asked", "appointments"),
    [
        ({}, ["apt-059", "apt-058", "apt-057", "apt-056"]),
        ({"clinic": "ENT1"}, ["apt-057", "apt-056"]),
        ({"day": "2026-12-07"}, ["apt-058", "apt-056"]),
        ({"clinic": "EYE2", "day": "2026-12-08"}, ["apt-059"]),
        ({"sort": "time"}, ["apt-056", "apt-058", "apt-057", "apt-059"]),
        ({"sort": "clinic"}, ["apt-057", "apt-056", "apt-059", "apt-058"]),
        (
            {"clinic": "nowhere", "sort": "name", "page": "99999"},
            ["apt-059", "apt-058", "apt-057", "apt-056"],
        ),
    ],
)
def test_the_list_is_filtered_and_put_in_order(
    client: TestClient, address: str, asked: dict[str, str], appointments: list[str]
) -> None:
    assert shown(client.get(address, params=asked).text) == appointments
    assert shown(client.get("/", params=asked).text) == appointments


def test_a_filter_stays_when_another_part_or_order_is_chosen(client: TestClient, address: str) -> None:
    page = client.get(address, params={"clinic": "ENT1", "band": "Medium", "sort": "time"}).text
    assert f'href="{address}?show=all&amp;clinic=ENT1&amp;band=Medium&amp;sort=time"' in page
    assert f'href="{address}?clinic=ENT1&amp;band=Medium&amp;sort=clinic"' in page
    assert re.findall('aria-sort="ascending"><a [^>]*>(.*?)</a>', page) == ["When"]


def test_filters_that_nothing_matches_can_be_cleared(client: TestClient, address: str) -> None:
    page = client.get(address, params={"clinic": "ENT1", "progress": "done", "sort": "time"}).text
    assert "No appointment matches these filters." in page
    assert f'<a href="{address}?sort=time">Clear the filters</a>' in page


def test_a_filter_is_kept_on_a_part_that_has_nothing_for_it(client: TestClient) -> None:
    upload(client, week(), to="/upload")
    client.post("/upload", files={"file": ("w.csv", week() + "\nlate,2026-09-01,2026-12-24 09:00,1,SKIN3")})
    page = client.get("/", params={"clinic": "SKIN3", "day": "2026-12-24"}).text
    assert "No appointment matches these filters." in page
    assert '<option value="SKIN3" selected>SKIN3</option>' in page
    assert '<option value="2026-12-24" selected>Thu 24 Dec 2026</option>' in page


def test_what_is_mistyped_in_an_address_is_not_repeated(client: TestClient, address: str) -> None:
    asked = dict.fromkeys(("show", "clinic", "day", "band", "progress", "sort", "page", "said"), MARK)
    assert MARK not in client.get(address, params=asked).text


def test_what_happened_is_recorded_and_shown_where_the_line_stood(
    client: TestClient, address: str, home: Path
) -> None:
    answer = record(client, address, line=2, outcome="transport_arranged", sort="time", clinic="EYE2")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{address}?clinic=EYE2&sort=time&said=2#said"
    page = client.get(answer.headers["location"]).text
    assert "<title>Recorded for place 2: Transport arranged" in page
    assert re.search(r'id="said" tabindex="-1" role="status">Recorded for place 2: Transport arranged<', page)
    (entry,) = ScoringLog(home).ask(select(ACTIONS))
    assert (entry.outcome, entry.clinic, "/lists/" + entry.list) == ("transport_arranged", "EYE2", address)


def test_the_last_word_counts_and_a_mistake_can_be_taken_back(
    client: TestClient, address: str, home: Path
) -> None:
    record(client, address, outcome="wrong_number")
    record(client, address, outcome="rebooked")
    assert "<strong>Rebooked</strong>" in client.get(address).text
    assert "<strong>Wrong number</strong>" not in client.get(address).text
    back = record(client, address, outcome="withdrawn").headers["location"]
    assert "Recorded for place 1: nothing any more" in client.get(back).text
    assert "0 of 4 calls made" in client.get(address).text
    assert len(ScoringLog(home).ask(select(ACTIONS))) == 3


def test_who_was_not_reached_is_still_to_call(client: TestClient, address: str) -> None:
    record(client, address, line=1, outcome="no_answer")
    record(client, address, line=2, outcome="confirmed")
    page = client.get(address).text
    assert "2 of 4 calls made, 1 reached nobody" in page
    assert "Call again at another time of day" in page
    assert shown(client.get(address, params={"progress": "open"}).text) == ["apt-059", "apt-057", "apt-056"]
    assert shown(client.get(address, params={"progress": "done"}).text) == ["apt-058"]


def test_a_line_that_leaves_the_part_that_is_shown_is_still_announced(
    client: TestClient, address: str
) -> None:
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
    assert ScoringLog(home).ask(select(ACTIONS)) == []


def test_a_row_that_could_not_be_scored_takes_no_outcome(client: TestClient) -> None:
    upload(client, week(2) + "\nbad,2026-01-05,2026-02-02,old,ENT1", to="/upload")
    page = client.get("/", params={"show": "not-scored"}).text
    assert "holds an age_years that is not a number" in page
    assert "<form" not in page.split("<main", 1)[1]
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
    assert ScoringLog(home).ask(select(ACTIONS)) == []


def test_a_form_of_another_kind_is_refused(client: TestClient, address: str) -> None:
    assert client.post(f"{address}/outcomes", json={"line": 1}).status_code == 415
    many = "&".join(f"f{number}=1" for number in range(100))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post(f"{address}/outcomes", content=many, headers=kind)
    assert (answer.status_code, "The form could not be read." in answer.text) == (400, True)


def test_a_list_of_another_system_is_worked_until_the_next_one_comes(client: TestClient) -> None:
    """Of those nothing is kept but the last, so an older page must not record on a newer list's line."""
    rows = [{"appointment_id": f"apt-{age}", "age_years": age} for age in (30, 40)]
    client.post("/v1/score", json={"appointments": rows})
    older = re.findall(r"/lists/[0-9a-f]{16}", client.get("/").text)[0]
    assert record(client, older).status_code == 303
    assert "1 of 1 call made" in client.get(older).text
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{older}/file").content))
    assert book["Worklist"]["A2"].value == "apt-40"
    assert book["Worklist"]["L2"].value == "Confirmed"
    client.post("/v1/score", json={"appointments": rows})
    assert record(client, older).status_code == 404


def test_the_workbook_holds_what_was_recorded_and_offers_the_rest(client: TestClient, address: str) -> None:
    record(client, address, line=2, outcome="no_calls_wished")
    for place in (f"{address}/file?form=xlsx", f"/v1{address}?form=xlsx"):
        answer = client.get(place)
        assert answer.headers["content-disposition"].startswith('attachment; filename="worklist-2')
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


def test_a_file_that_is_no_list_is_said_beside_the_form(client: TestClient) -> None:
    answer = upload(client, b"x", name="a.pdf", to="/upload")
    assert answer.status_code == 400
    assert "<title>Error: Score a list" in answer.text
    assert '<a href="#file">a.pdf: a file of this kind cannot be read. Send CSV or XLSX.</a>' in answer.text
    assert 'aria-describedby="file-hint file-error"' in answer.text


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


def test_many_pages_are_reached_by_a_few_links(client: TestClient) -> None:
    lines = [f"apt-{n:04d},2026-09-01,2026-12-07,{n % 100},ENT1" for n in range(1_000)]
    upload(
        client, "\n".join(["appointment_id,booked_at,starts_at,age_years,clinic_code", *lines]), to="/upload"
    )
    page = client.get("/", params={"show": "all", "page": 10}).text
    links = re.findall(r'aria-label="Page (\d+)"', page)
    assert links == ["1", "8", "9", "10", "11", "12", "20"]
    assert "(451 to 500 of 1,000)" in page


def test_a_list_that_was_scored_as_a_file_is_worked_on_the_page_too(client: TestClient, home: Path) -> None:
    note = Note(
        ("Worklist for week 51.csv.",), day=datetime.date(2026, 12, 14), outcomes=("Confirmed", "Rang")
    )
    last = latest.save(home, worklist(), name="week 51.csv", model_version="7", synthetic=True, note=note)
    address = f"/lists/{last.list_id}"
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
    keys.create(home, name="booking team", scopes=(keys.Scope.LIST,))
    monkeypatch.setattr(keys, "_SECONDS_REMEMBERED", 0.0)
    sent = {"line": "1", "outcome": "confirmed"}
    answer = client.post(f"{address}/outcomes", data=sent, headers={"accept": "text/html"})
    assert "what you sent last was <strong>not</strong> recorded" in answer.text
    assert "<title>Not recorded: Sign in" in answer.text
    assert client.post(f"{address}/outcomes", data=sent).status_code == 401
    assert ScoringLog(home).ask(select(ACTIONS)) == []
