"""Weekly lists by upload: scored, kept, put on record and given back."""

import io
import re
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path

import openpyxl
import pytest
from httpx import Response
from starlette.testclient import TestClient
from tests.service.conftest import served_at

from dnapredict.config.service_config import Retention, ServiceConfig
from dnapredict.data.retention_clock import confirm_clock
from dnapredict.service.api import uploaded_files

ADDRESS = "http://127.0.0.1"
CSV = (
    "appointment_id,booked_at,starts_at,age_years\n"
    "young,2026-01-05,2026-02-02,20\n"
    "old,2026-01-05,2026-02-02,80\n"
    "bad,2026-01-05,2026-02-02,old\n"
)


def upload(client: TestClient, content: bytes | str, *, name: str = "week-49.csv", to: str = "/v1/lists") -> Response:
    return client.post(to, files={"file": (name, content)}, follow_redirects=False)


def workbook(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_a_list_comes_back_in_rank_order_each_row_once(client: TestClient) -> None:
    answer = upload(client, CSV).json()
    assert [line["appointment_id"] for line in answer["results"]] == ["old", "young", "bad"]
    assert set(answer) == {"list_id", "model_version", "scored_at", "results"}


def test_the_same_rows_give_the_same_numbers_by_upload_as_csv_as_xlsx_and_as_json(
    client: TestClient,
) -> None:
    rows = [line.split(",") for line in CSV.splitlines()]
    asked = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    by_json = client.post("/v1/score", json={"appointments": asked}).json()["results"]
    assert upload(client, CSV).json()["results"] == by_json
    assert upload(client, workbook(rows), name="w.xlsx").json()["results"] == by_json


def test_a_list_is_found_again_and_downloaded_as_a_spreadsheet(client: TestClient) -> None:
    scored = upload(client, CSV).json()
    address = f"/v1/lists/{scored['list_id']}"
    assert client.get(address).json()["results"] == scored["results"]
    csv = client.get(address, params={"form": "csv"})
    assert csv.text.splitlines()[1].startswith('"old",0.8,')
    xlsx = client.get(address, params={"form": "xlsx"})
    named = xlsx.headers["content-disposition"]
    assert re.match(r'attachment; filename="week-49 scored 20..-..-.. ..\...\.xlsx"; ', named)
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx.content)).worksheets[0]
    assert sheet["A2"].value == "old"


@pytest.mark.parametrize("list_id", ["0" * 16, "..%2f..%2fetc", "%2e%2e", "x", "0" * 15 + "%00"])
def test_a_list_that_is_not_there_is_not_found(client: TestClient, list_id: str) -> None:
    assert client.get(f"/v1/lists/{list_id}").status_code == 404


def test_an_unknown_form_is_refused(client: TestClient) -> None:
    list_id = upload(client, CSV).json()["list_id"]
    assert client.get(f"/v1/lists/{list_id}?form=pdf").status_code == 400


def test_a_person_who_uploads_is_shown_the_list_by_its_name(client: TestClient) -> None:
    answer = upload(client, CSV, name="C:\\lists\\Week 49 (ENT).csv", to="/upload")
    assert answer.status_code == 303
    for address in (answer.headers["location"], "/"):
        assert "Week 49 (ENT).csv" in client.get(address).text


def test_a_file_that_is_no_list_is_a_page_with_one_sentence(client: TestClient) -> None:
    answer = upload(client, "", to="/upload")
    assert answer.status_code == 400
    assert "week-49.csv: the file is empty." in answer.text
    assert tempfile.gettempdir() not in answer.text


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.pdf", b"x", "a.pdf: a file of this kind cannot be read. Open it in Excel, save it as .xlsx or .csv"),
        ("a.xls", b"<html>", "a.xls: a workbook of the old form cannot be read. Open it in Excel, save it as .xlsx"),
        ("a.xlsx", b"zebra", "a.xlsx: is not an XLSX workbook, or it is damaged."),
        ("../../a.csv", b"", "a.csv: the file is empty."),
    ],
)
def test_other_files_are_refused_in_one_sentence(client: TestClient, name: str, content: bytes, sentence: str) -> None:
    answer = upload(client, content, name=name)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


def test_a_form_without_a_file_is_told_what_to_send(client: TestClient) -> None:
    answer = client.post("/v1/lists", files={"other": ("a.csv", CSV)})
    assert answer.status_code == 400
    assert "a form with one file, named 'file'" in answer.json()["error"]


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_unopened(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    answer = upload(client, packed.getvalue(), name="bomb.xlsx")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("bomb.xlsx: unpacks to more than")


# The page of a long upload has begun when the file is found to be unreadable, so that it says so at its end.
@pytest.mark.parametrize(("to", "status"), [("/v1/lists", 400), ("/upload", 200)])
def test_a_workbook_of_very_many_parts_is_refused_before_they_are_looked_at(
    client: TestClient, to: str, status: int
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(10_000):
            archive.writestr(f"xl/{number}", b"")
    answer = upload(client, packed.getvalue(), name="bomb.xlsx", to=to)
    assert answer.status_code == status
    assert "bomb.xlsx: has more than 1,000 parts, which no list of appointments has." in answer.text


@pytest.mark.parametrize("to", ["/v1/lists", "/upload"])
def test_a_workbook_whose_text_grows_when_it_is_read_is_refused(client: TestClient, to: str) -> None:
    entities = '<!ENTITY e0 "zebra">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    cell = '<row r="1"><c r="A1" t="inlineStr"><is><t>&e8;</t></is></c></row>'
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<!DOCTYPE w [{entities}]><worksheet xmlns="{space}"><sheetData>{cell}</sheetData></worksheet>'
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([["a", "b"]]))) as sound,
        zipfile.ZipFile(packed, "w") as archive,
    ):
        for name in sound.namelist():
            archive.writestr(name, sheet if name.endswith("sheet1.xml") else sound.read(name))
    answer = upload(client, packed.getvalue(), name="bomb.xlsx", to=to)
    assert answer.status_code == 400
    assert "bomb.xlsx: declares a document type, which no workbook does. Export it again." in answer.text
    assert "zebra" not in answer.text


def test_a_list_with_too_many_rows_is_refused_with_a_way_out(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploaded_files, "MOST_ROWS", 2)
    assert "has 3 rows" in upload(client, CSV).json()["error"]


def test_an_uploaded_list_is_on_record_by_its_own_row_numbers(client: TestClient, home: Path) -> None:
    upload(client, CSV)
    with closing(sqlite3.connect(home / "scoring-log.db")) as connection:
        assert connection.execute("SELECT count(*), count(error) FROM scores").fetchone() == (3, 1)


def test_of_the_lists_the_newest_are_kept(home: Path) -> None:
    config = ServiceConfig(retention=Retention(lists=2))
    confirm_clock(home)  # the clock of a new home is believed after two days
    with served_at(home, config) as client:
        last = [upload(client, CSV).json()["list_id"] for _ in range(4)][-1]
        assert len(list((home / "lists").glob("*.parquet"))) == 2
        assert client.get(f"/v1/lists/{last}").status_code == 200
