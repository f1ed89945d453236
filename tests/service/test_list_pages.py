"""The lists as pages: recent ones, filters and order, and the form to score one."""

import re

import pytest
from starlette.testclient import TestClient
from tests.service.pages import MARK, record, shown, week
from tests.service.test_lists import upload


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
    assert f'href="{address}?show=all&amp;clinic=ENT1&amp;band=Medium&amp;sort=time#part"' in page
    assert f'href="{address}?clinic=ENT1&amp;band=Medium&amp;sort=clinic#part"' in page
    assert re.findall('aria-sort="ascending"><a [^>]*>(.*?)</a>', page) == ["When"]


def test_filters_that_nothing_matches_can_be_cleared(client: TestClient, address: str) -> None:
    page = client.get(address, params={"clinic": "ENT1", "progress": "done", "sort": "time"}).text
    assert "No appointment matches these filters." in page
    assert f'<a href="{address}?sort=time#part">Clear the filters</a>' in page


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


def test_a_file_that_is_no_list_is_said_beside_the_form(client: TestClient) -> None:
    answer = upload(client, b"x", name="a.pdf", to="/upload")
    assert answer.status_code == 400
    assert "<title>Error: Score a list" in answer.text
    assert '<a href="#file">a.pdf: a file of this kind cannot be read. Open it in Excel' in answer.text
    assert 'aria-describedby="file-hint file-error"' in answer.text


def test_many_pages_are_reached_by_a_few_links(client: TestClient) -> None:
    lines = [f"apt-{n:04d},2026-09-01,2026-12-07,{n % 100},ENT1" for n in range(1_000)]
    upload(client, "\n".join(["appointment_id,booked_at,starts_at,age_years,clinic_code", *lines]), to="/upload")
    page = client.get("/", params={"show": "all", "page": 10}).text
    links = re.findall(r'aria-label="Page (\d+)"', page)
    assert links == ["1", "8", "9", "10", "11", "12", "20"]
    assert "(451 to 500 of 1,000)" in page


# What is recorded one after the other on a list of four calls, and what its heading says then.
HEADINGS = """
    line | outcome      | heading
         |              | 4 calls to make
    1    | no_answer    | 4 of 4 calls left
    2    | confirmed    | 3 of 4 calls left
    3    | message_left | 3 of 4 calls left
    1    | rebooked     | 2 of 4 calls left
    3    | cancelled    | 1 of 4 calls left
    4    | confirmed    | 0 of 4 calls left
    2    | withdrawn    | 1 of 4 calls left
"""


def test_the_heading_of_a_list_counts_down_as_call_mode_does(client: TestClient, address: str) -> None:
    for line in HEADINGS.strip().splitlines()[1:]:
        number, outcome, heading = (cell.strip() for cell in line.split("|"))
        if number:
            assert record(client, address, line=number, outcome=outcome).status_code == 303
        assert f"<span data-live-heading>{heading}</span>" in client.get(address).text
