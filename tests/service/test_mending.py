"""Rows that could not be scored: where they are in the file, and put right on the page."""

import re
from pathlib import Path
from typing import Final

import pytest
from httpx import Response
from starlette.testclient import TestClient
from tests.service.pages import MARK
from tests.service.test_lists import upload
from tests.service.test_upload_columns import confirm
from tests.spec.test_service_access import rows

from dnapredict.worklist.files import list_store
from dnapredict.worklist.files.kept_list import Counts

FILE: Final = f"""\
Appt ID,Booked Date,Patient Age,Appt Date,Surname
A-1,01/09/2026,80,07/12/2099,Old
A-2,01/09/2026,20,07/12/2099,Young
A-3,01/09/2026,90,32/12/2099,{MARK}
A-4,07/12/2099,50,01/09/2026,Turned
,01/09/2026,50,07/12/2099,Nameless
A-1,01/09/2026,60,07/12/2099,Twice
"""
# What is wrong, where the page says to look, and which cells can be put right in place.
CELLS: Final = """
    appointment | error                                       | where                                          | fields
    A-3         | a date of the appointment that is not a date| row 4, column D (Appt Date)                    | D4
    A-4         | starts before it was booked                 | row 5, column D (Appt Date) or B (Booked Date) | D5 B5
    (no number) | has no appointment number                   | row 6, column A (Appt ID)                      | A6
    A-1         | repeats an appointment number of an earlier | row 7, column A (Appt ID)                      | A7
"""


@pytest.fixture
def mixed(client: TestClient) -> str:
    """The address of a list of which two rows could be scored, and one is called."""
    return str(confirm(client, upload(client, FILE, to="/upload").text).headers["location"])


def lines(client: TestClient, address: str) -> list[str]:
    """The rows of the table of rows that could not be scored."""
    page = client.get(address, params={"show": "not-scored"}).text
    return re.findall(r'<tr role="row" class="nhsuk-table__row" id="line-.*?</tr>', page, re.DOTALL)


def mend(client: TestClient, address: str, line: int, **cells: str) -> Response:
    return client.post(
        f"{address}/mend",
        data={"line": str(line)} | {name.replace("_", "-"): value for name, value in cells.items()},
        params={"show": "not-scored"},
        follow_redirects=False,
    )


def test_each_row_says_where_to_look_and_offers_its_cells(client: TestClient, mixed: str) -> None:
    for line, row in zip(lines(client, mixed), rows(CELLS), strict=True):
        assert row["appointment"] in line
        assert row["error"] in line
        assert f"<span>{row['where']}</span>" in line
        assert re.findall(r"<label [^>]*>([A-Z]+\d+), ", line) == row["fields"].split()


def test_a_row_that_is_put_right_is_scored_where_it_stands(client: TestClient, mixed: str, home: Path) -> None:
    answer = mend(client, mixed, 3, cell_4="08/12/2099")
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    assert "Appointment A-3 is scored now and has place 1. It is to be called." in page
    assert "2 calls to make" in page
    assert len(lines(client, mixed)) == 3
    (kept,) = (list_store.find(home, heading.list_id) for heading in list_store.headings(home))
    assert kept is not None
    assert kept.worklist["appointment_id"].to_pylist()[:3] == ["A-1", "A-2", "A-3"]
    assert kept.heading.counts == Counts(6, 2, 3)


def test_the_rest_of_the_row_is_what_the_file_said(client: TestClient, mixed: str) -> None:
    mend(client, mixed, 4, cell_4="09/12/2099", cell_2="01/09/2026")
    page = client.get(mixed, params={"show": "all"}).text
    assert "Wed 9 Dec 2099" in page
    assert page.index("A-1") < page.index("A-4") < page.index("A-2")  # aged 80, 50 and 20
    assert "1 call to make" in page  # the lowest risk that is called is that of A-1


def test_a_row_that_is_still_wrong_says_what_is_wrong_now(client: TestClient, mixed: str) -> None:
    assert mend(client, mixed, 3, cell_4="08/12/2020").status_code == 303
    third = lines(client, mixed)[0]
    assert "starts before it was booked" in third
    assert "row 4, column D (Appt Date) or B (Booked Date)" in third
    mend(client, mixed, 3, cell_2="01/09/2020")
    assert len(lines(client, mixed)) == 3


def test_a_number_that_another_row_has_is_refused(client: TestClient, mixed: str) -> None:
    mend(client, mixed, 5, cell_1="A-2")
    assert "repeats an appointment number of an earlier row" in lines(client, mixed)[2]
    mend(client, mixed, 5, cell_1="A-9")
    assert len(lines(client, mixed)) == 3


def test_outcomes_stay_on_their_lines(client: TestClient, mixed: str) -> None:
    client.post(f"{mixed}/outcomes", data={"line": "1", "outcome": "no_answer"})
    mend(client, mixed, 3, cell_4="08/12/2099")
    client.post(f"{mixed}/outcomes", data={"line": "3", "outcome": "confirmed"})
    page = client.get(mixed).text  # the third line has the first place
    third, first = page.index('id="line-3"'), page.index('id="line-1"')
    assert third < page.index("<strong>Confirmed</strong>") < first < page.index("<strong>No answer</strong>")


def test_a_second_click_and_a_row_that_is_gone_are_told(client: TestClient, mixed: str) -> None:
    mend(client, mixed, 3, cell_4="08/12/2099")
    for line in (3, 1, 0, 99):
        answer = mend(client, mixed, line, cell_4="08/12/2099")
        assert answer.status_code == 404
        assert "The list was deleted, or the row is scored already." in answer.text
    assert mend(client, "/lists/" + "0" * 16, 3).status_code == 404


def test_cells_wait_encrypted_and_go_with_the_list(client: TestClient, mixed: str, home: Path) -> None:
    (path,) = (home / "lists").glob("*.unscored")
    assert MARK.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    for line, cells in ((3, {"cell_4": "08/12/2099"}), (5, {"cell_1": "A-8"}), (6, {"cell_1": "A-9"})):
        mend(client, mixed, line, **cells)
    assert path.exists()
    mend(client, mixed, 4, cell_4="09/12/2099", cell_2="01/09/2026")
    assert not path.exists()


LIST: Final = "\n".join(
    ["appointment_id,booked_at,starts_at,age_years,clinic_code"]
    + [f"apt-{n:03d},2026-09-01,2099-12-0{7 + n % 2} 09:00,{20 + n},{('ENT1', 'EYE2')[n % 2]}" for n in range(40)]
)


def hand_over(client: TestClient, address: str, to: str, **asked: str) -> Response:
    return client.post(f"{address}/assign", data={"colleague": to}, params=asked, follow_redirects=False)


def test_a_part_of_a_list_is_handed_over_and_found_by_the_colleague(client: TestClient) -> None:
    address = upload(client, LIST, to="/upload").headers["location"]
    assert "Who calls" not in client.get(address).text
    answer = hand_over(client, address, "Ben Ali", clinic="ENT1")
    assert answer.headers["location"] == f"{address}?clinic=ENT1#list"
    page = client.get(address, params={"assigned": "Ben Ali"}).text
    assert page.count("For Ben Ali") == 2
    assert '<option value="Ben Ali" selected>Ben Ali</option>' in page
    assert client.get(address, params={"assigned": "nobody yet"}).text.count('class="nhsuk-table__row"') == 2
    hand_over(client, address, "Cy", assigned="Ben Ali")
    assert client.get(address).text.count("For Cy") == 2
    hand_over(client, address, "", show="all")
    assert "For " not in re.sub(r"<title>.*?</title>", "", client.get(address).text).split("<table")[1]


def test_a_name_that_is_no_name_is_refused(client: TestClient) -> None:
    address = upload(client, LIST, to="/upload").headers["location"]
    assert hand_over(client, address, "x" * 81).status_code == 400
    assert hand_over(client, "/lists/" + "0" * 16, "Ben").status_code == 404
