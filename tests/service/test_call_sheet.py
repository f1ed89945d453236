"""The call sheet: whom it lists, and what it says of each call."""

import io
import re
from pathlib import Path

import openpyxl
import pytest
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import record, upload_to

from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.service.pages.lists.call_sheet_page import BOXES

# Made-up names, and telephone numbers that Ofcom keeps free for drama.
LIST = """
    appointment_id,booked_at,starts_at,age_years,clinic_code,person_full_name,person_birth_date,mobile_telephone
    apt-1,2026-09-01,2099-12-07 09:00,80,ENT1,Amina Made-Up,1946-03-02,07700 900001
    apt-2,2026-09-01,2099-12-07 09:30,70,ENT1,Grace Made-Up,1956-03-02,07700 900002
    apt-3,2026-09-01,2099-12-08 09:00,60,EYE2,Wei Made-Up,1966-03-02,
"""


def listed(times: int = 10) -> str:
    """The list with enough rows that are not called, so that three are."""
    rows = [line.strip() for line in LIST.strip().splitlines()]
    others = [f"x-{n},2026-09-01,2099-12-09 09:00,{n},EYE2,,," for n in range(20, 20 + times * 3 - 3)]
    return "\n".join([*rows, *others])


def lines_of(page: str) -> list[str]:
    rows = re.findall(r"(?s)<tr>\s*<td class=\"dna-sheet__place\">(.*?)<td class=\"dna-sheet__boxes\">", page)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows]


@pytest.fixture
def address(client: TestClient) -> str:
    return upload_to(client, listed())


def test_it_lists_the_calls_with_names_and_numbers_and_a_box_for_each_outcome(client: TestClient, address: str) -> None:
    page = client.get(f"{address}/sheet").text
    amina, grace, wei = lines_of(page)
    assert amina.startswith("1 Amina Made-Up 07700 900001 born 2 Mar 1946 Mon 7 Dec 2099, 09:00 ENT1 apt-1")
    assert amina.endswith("Call to confirm Booked 16 weeks ago")
    assert grace.startswith("2 Grace Made-Up 07700 900002 born 2 Mar 1956")
    assert wei.startswith("3 Wei Made-Up born 2 Mar 1966 Tue 8 Dec 2099, 09:00 EYE2")
    assert all(page.count(f"<li>{words}</li>") == 3 for words in BOXES)
    assert f'href="{address}/sheet"' in client.get(address).text


OPEN = """
    recorded        | still on the sheet
                    | yes
    no_answer       | yes
    message_left    | yes
    confirmed       |
    no_calls_wished |
    withdrawn       | yes
"""


@pytest.mark.parametrize(
    "row", [line.split("|") for line in OPEN.strip().splitlines()[1:]], ids=lambda row: row[0].strip()
)
def test_a_call_stays_on_the_sheet_until_somebody_was_reached(client: TestClient, address: str, row: list[str]) -> None:
    outcome, stays = (cell.strip() for cell in row)
    if outcome == "withdrawn":
        record(client, address, line=1, outcome="confirmed")
    if outcome:
        record(client, address, line=1, outcome=outcome)
    lines = lines_of(client.get(f"{address}/sheet").text)
    assert any(line.startswith("1 Amina") for line in lines) == bool(stays)
    if outcome == "no_answer":
        assert "Tried once before" in lines[0]


def test_the_filters_of_the_list_hold_for_the_sheet(client: TestClient, address: str) -> None:
    page = client.get(f"{address}/sheet", params={"clinic": "EYE2"}).text
    assert [line[:5] for line in lines_of(page)] == ["3 Wei"]
    assert "1 call still to make (EYE2)" in page


def test_without_contact_details_the_sheet_says_so_and_names_the_appointment(client: TestClient) -> None:
    address = upload_to(client, "\n".join(",".join(line.split(",")[:5]) for line in listed().splitlines()))
    page = client.get(f"{address}/sheet").text
    assert "There are no names or telephone numbers: the uploaded list had none" in page
    assert lines_of(page)[0].startswith("1 apt-1 Mon 7 Dec 2099, 09:00 ENT1 Call to confirm")


def test_a_list_that_does_not_exist_has_no_sheet(client: TestClient) -> None:
    assert client.get("/lists/0123456789abcdef/sheet").status_code == 404


def test_a_download_carries_the_contact_columns_that_the_team_chose_and_no_others(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ("person_full_name", "mobile_telephone")
    config = worklist_config().model_copy(update={"carry_through": chosen})
    monkeypatch.setattr("dnapredict.service.app.worklist_config", lambda: config)
    with served_at(home) as client:
        address = upload_to(client, listed())
        book = openpyxl.load_workbook(io.BytesIO(client.get(f"{address}/file").content))
    heads, first = list(book["Calls"].iter_rows(min_row=1, max_row=2, values_only=True))
    assert heads[:4] == ("Place", "Appointment", "Name", "Mobile")
    assert first[:4] == (1, "apt-1", "Amina Made-Up", "07700 900001")
    assert [cell.value for cell in book["Worklist"][1]][-3:] == [*chosen, "outcome"]


def test_without_a_choice_a_download_has_no_name_and_no_number(client: TestClient, address: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{address}/file").content))
    cells = str([row for sheet in book for row in sheet.iter_rows(values_only=True)])
    assert "apt-1" in cells
    assert "Made-Up" not in cells
    assert "07700" not in cells
