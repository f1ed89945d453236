"""Call mode from outside: who comes next, what is recorded, what a colleague sees, and what is found."""

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Response
from starlette.testclient import TestClient
from tests.service.conftest import ADDRESS, served_at
from tests.service.pages import MARK, upload_to, week

from dnapredict.service.auth import api_keys
from dnapredict.worklist.files import contact_details
from dnapredict.worklist.files.contact_table import ContactDetails

NOON = datetime.datetime(2026, 11, 30, 12, 30, tzinfo=datetime.UTC)
NAMES = {1: "Zara Okoro", 2: "Yusuf Lane", 3: "Xenia Hill", 4: "Will Dunn"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[datetime.datetime]:
    """A clock that the tests set; the appointments are on 7 and 8 December 2026."""

    class Clock(datetime.datetime):
        moment = NOON - datetime.timedelta(hours=3)

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return cls.moment.astimezone(tz)

    for module in ("service.call_actions", "service.pages.calls.call_view", "worklist.files.list_store"):
        monkeypatch.setattr(f"dnapredict.{module}.datetime.datetime", Clock)
    return Clock


def at(clock: type[datetime.datetime], hours: float) -> None:
    """Set the clock to hours after 09:30 on Monday 30 November."""
    clock.moment = NOON - datetime.timedelta(hours=3) + datetime.timedelta(hours=hours)  # type: ignore[attr-defined]


def with_contacts(home: Path, address: str) -> None:
    """Names and numbers for the four calls of the list."""
    people = {line: ContactDetails(name, telephones=(f"07700 90012{line}",)) for line, name in NAMES.items()}
    contact_details.keep(home, address.rpartition("/")[2], people, datetime.date(2099, 1, 1))


def opened(client: TestClient, path: str) -> tuple[int, str]:
    """The line that a page of call mode is about, and the page."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    line = re.search(r"/call/(\d+)$", answer.url.path)
    return int(line[1]) if line else 0, answer.text


def send(client: TestClient, address: str, line: int, outcome: str, **fields: str) -> Response:
    """Send the form of a line as it is shown now."""
    return client.post(f"{address}/call/{line}", data={"outcome": outcome, "seen": "", **fields})


def line_of(answer: Response) -> int:
    found = re.search(r"/call/(\d+)$", answer.url.path)
    return int(found[1]) if found else 0


def heading(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", re.search(r"<h1.*?</h1>", page, re.S)[0]).split())  # type: ignore[index]


def test_a_call_is_recorded_and_the_next_patient_is_there(client: TestClient, home: Path, address: str) -> None:
    with_contacts(home, address)
    line, page = opened(client, f"{address}/call")
    assert line == 1
    assert heading(page) == "4 calls left on week-49.csv"
    assert "Zara Okoro" in page
    assert 'href="tel:07700900121"' in page
    assert "Tuesday 8 December 2026 at 12:00" in page
    answer = send(client, address, 1, "confirmed")
    assert line_of(answer) == 2
    assert heading(answer.text) == "3 calls left on week-49.csv"
    assert "Recorded for Zara Okoro: Confirmed." in answer.text


def test_what_was_recorded_is_undone_with_one_press(client: TestClient, address: str) -> None:
    answer = send(client, address, 1, "confirmed")
    seen = re.search(r'name="seen" value="([^"]+)">\s*<button[^>]*value="withdrawn"', answer.text)
    assert seen
    back = send(client, address, 1, "withdrawn", seen=seen[1])
    assert line_of(back) == 1
    assert heading(back.text) == "4 calls left on week-49.csv"


ORDER = """
    recorded                                       | hours later | the calls, in order
                                                   | 0           | 1 2 3 4
    1 confirmed                                    | 0           | 2 3 4
    1 no_answer                                    | 0           | 2 3 4
    1 no_answer                                    | 3           | 1 2 3 4
    1 no_calls_wished                              | 0           | 2 3 4
    1 wrong_number                                 | 3           | 2 3 4
    3 call_back 2026-11-30T13:00                   | 3           | 1 2 4
    3 call_back 2026-11-30T13:00                   | 4           | 3 1 2 4
    3 call_back 2026-11-30T13:00; 9 call_back 2026-11-30T12:00 | 4 | 9 3 1 2 4
    2 confirmed; 2 withdrawn                       | 0           | 1 2 3 4
"""


@pytest.mark.parametrize(
    ("recorded", "later", "order"),
    [[cell.strip() for cell in line.split("|")] for line in ORDER.strip("\n").splitlines()[1:]],
)
def test_call_backs_that_are_due_come_first_and_then_the_others_by_rank(
    client: TestClient, address: str, clock: type[datetime.datetime], recorded: str, later: str, order: str
) -> None:
    for each in filter(None, (part.strip() for part in recorded.split(";"))):
        line, outcome, *back = each.split()
        page = client.get(f"{address}/call/{line}").text
        seen = re.search(r'name="seen" value="([^"]*)"', page.partition("dna-call__form")[2])
        sent = send(client, address, int(line), outcome, seen=seen[1] if seen else "", call_back_at="".join(back))
        assert sent.status_code == 200
    at(clock, float(later))
    found, path = [], f"{address}/call"
    while (line := opened(client, path)[0]) and line not in found:
        found.append(line)
        path = f"{address}/call?after={line}"
    # A visit takes the line of the last visit first, where there is one: the circle is the order.
    assert found == [int(each) for each in order.split()]


def test_after_three_calls_without_an_answer_the_line_says_to_write(
    client: TestClient, address: str, clock: type[datetime.datetime]
) -> None:
    seen = ""
    for hours in (0, 4, 24):
        at(clock, hours)
        assert send(client, address, 1, "no_answer", seen=seen).status_code == 200
        page = client.get(f"{address}/call/1").text
        seen = re.search(r'name="seen" value="([^"]+)"', page.partition("dna-call__form")[2])[1]  # type: ignore[index]
    at(clock, 48)
    line, page = opened(client, f"{address}/call")
    assert (line, heading(page)) == (2, "3 calls left on week-49.csv")
    assert "Send a letter or a text" in opened(client, f"{address}/call/1")[1]
    assert "Send a letter or a text" in client.get(address).text


def test_a_list_that_is_exported_anew_with_one_row_fewer_has_each_history_at_its_appointment(
    client: TestClient, home: Path, address: str, clock: type[datetime.datetime]
) -> None:
    with_contacts(home, address)
    send(client, address, 2, "no_answer", barrier="work")
    send(client, address, 1, "call_back", call_back_at="2026-11-30T10:00")
    at(clock, 2)
    without_first = "\n".join(row for row in week().splitlines() if not row.startswith("apt-059"))
    again = client.post("/upload", files={"file": ("week-49-b.csv", without_first)}, follow_redirects=False)
    new = again.headers["location"]
    page = opened(client, f"{new}/call/1")[1]
    assert "apt-058" in page
    assert "No answer (Barrier: work)" in page
    # The appointment with the agreed call is not on the new list; whoever works through that is told.
    for line in (2, 3):
        send(client, new, line, "confirmed")
    end = opened(client, f"{new}/call")[1]
    assert "1 call back is due on another list" in end
    assert f'href="{address}/call"' in end


@pytest.fixture
def clerks(home: Path) -> Iterator[tuple[TestClient, TestClient]]:
    """Two people who are signed in, each in a browser."""
    keys = [api_keys.create(home, name=name, scopes=(api_keys.KeyScope.LIST,)).token for name in ("Ada", "Ben")]
    with served_at(home) as first:
        second = TestClient(first.app, base_url=ADDRESS, headers={"referer": f"{ADDRESS}/"})
        for client, key in zip((first, second), keys, strict=True):
            client.post("/sign-in", data={"key": key})
        yield first, second


def test_a_colleague_gets_the_next_patient_and_sees_who_is_calling(clerks: tuple[TestClient, TestClient]) -> None:
    ada, ben = clerks
    address = ada.post("/upload", files={"file": ("week-49.csv", week())}, follow_redirects=False).headers["location"]
    assert opened(ada, f"{address}/call")[0] == 1
    assert opened(ada, f"{address}/call")[0] == 1  # still hers
    assert opened(ben, f"{address}/call")[0] == 2
    assert "Ada is calling" in opened(ben, f"{address}/call/1")[1]
    assert "Ada is calling" in ben.get(address).text
    assert line_of(send(ada, address, 1, "confirmed")) == 3  # Ben has the second, or had: he looked at the first


def test_lines_that_were_handed_over_are_called_by_that_colleague_first_and_by_nobody_else(
    clerks: tuple[TestClient, TestClient],
) -> None:
    ada, ben = clerks
    address = upload_to(ada, week())
    ada.post(f"{address}/assign?clinic=ENT1", data={"colleague": "Ben"})  # lines 3 and 4
    assert opened(ben, f"{address}/call")[0] == 3
    assert opened(ada, f"{address}/call")[0] == 1
    assert line_of(send(ada, address, 1, "confirmed")) == 2
    end = send(ada, address, 2, "confirmed")
    assert heading(end.text) == "week-49.csv No call to make now, 2 with colleagues"
    assert end.text.count("Handed over to Ben") == 2
    assert opened(ada, f"{address}/call/4")[0] == 4  # open to her all the same: Ben may be ill


def test_two_clerks_on_one_line_lose_nothing_and_the_second_is_told(clerks: tuple[TestClient, TestClient]) -> None:
    ada, ben = clerks
    address = ada.post("/upload", files={"file": ("week-49.csv", week())}, follow_redirects=False).headers["location"]
    send(ada, address, 1, "confirmed")
    told = send(ben, address, 1, "no_answer", barrier="work", note="asked about parking")
    assert told.status_code == 409
    assert "Ada recorded" in told.text
    assert "Confirmed" in told.text
    for name, value in (("barrier", "work"), ("note", "asked about parking"), ("outcome", "no_answer")):
        assert f'name="{name}" value="{value}"' in told.text
    assert "Confirmed" in ben.get(f"{address}/call/1").text


def test_a_stale_page_asks_before_it_replaces_what_was_recorded_since(client: TestClient, address: str) -> None:
    send(client, address, 1, "no_answer")
    told = send(client, address, 1, "confirmed", barrier="cost")  # with the back button
    assert told.status_code == 409
    assert heading(told.text).endswith("recorded ‘No answer’ at 09:30")
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', told.text))
    again = client.post(re.findall(r'<form method="post" action="([^"]+/call/1)"', told.text)[0], data=fields)
    assert line_of(again) == 2
    page = client.get(f"{address}/call/1").text
    assert "Confirmed (Barrier: cost)" in page
    assert "No answer, " in page


def test_an_outcome_of_another_day_is_told_with_its_day(client: TestClient, address: str, clock: type) -> None:
    send(client, address, 1, "no_answer")
    at(clock, 24)
    assert "recorded ‘No answer’ on Mon 30 Nov 2026 at 09:30" in heading(send(client, address, 1, "confirmed").text)


def test_a_list_of_which_no_row_could_be_scored_has_no_calls_and_none_are_made(client: TestClient) -> None:
    content = b"appointment_id,booked_at,starts_at\napt-1,2026-10-01,soon\n"
    answer = client.post("/upload", files={"file": ("week-50.csv", content)}, follow_redirects=False)
    assert heading(client.get(f"{answer.headers['location']}/call").text) == "week-50.csv This list has no calls"


def test_somebody_whose_session_ended_is_told_that_nothing_was_recorded(clerks: tuple[TestClient, TestClient]) -> None:
    ada, _ = clerks
    address = ada.post("/upload", files={"file": ("week-49.csv", week())}, follow_redirects=False).headers["location"]
    ada.post("/sign-out")
    answer = ada.post(f"{address}/call/1", data={"outcome": "confirmed"}, headers={"accept": "text/html"})
    assert "is <strong>not</strong> recorded yet" in answer.text


def test_a_form_that_is_sent_twice_is_one_entry(client: TestClient, address: str) -> None:
    first, second = (send(client, address, 1, "no_answer") for _ in range(2))
    assert line_of(first) == line_of(second) == 2
    assert client.get(f"{address}/call/1").text.count("<li>No answer,") == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"outcome": ""}, "Choose what happened."),
        ({"outcome": "sold_a_car"}, "Choose what happened."),
        ({"outcome": "call_back"}, "Give a day and a time for the call back"),
        ({"outcome": "call_back", "call_back_at": "teatime"}, "Give a day and a time for the call back"),
        ({"outcome": "call_back", "call_back_at": "2026-11-30T09:29"}, "is over already"),
        ({"outcome": "no_answer", "call_back_at": "2027-11-30T09:29"}, "more than a month away"),
    ],
)
def test_a_form_that_cannot_be_recorded_is_shown_again_as_it_was(
    client: TestClient, address: str, fields: dict[str, str], told: str
) -> None:
    answer = client.post(f"{address}/call/1", data={"note": "ring the side bell", "barrier": "fear", **fields})
    assert answer.status_code == 400
    assert told in answer.text
    assert "ring the side bell</textarea>" in answer.text
    assert 'value="fear" checked' in answer.text
    assert "Recorded" not in client.get(address).text


def test_a_note_is_kept_with_the_contact_details_and_nowhere_else(client: TestClient, home: Path, address: str) -> None:
    send(client, address, 1, "no_answer", note=f"{MARK} ring the side bell")
    assert MARK in opened(client, f"{address}/call/1")[1]
    client.post(f"{address}/call/1", data={"only_note": "1", "note": f"{MARK} twice"})
    assert f"{MARK} twice" in opened(client, f"{address}/call/1")[1]
    for file in home.rglob("*"):
        assert not file.is_file() or MARK.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("apt-058", ["apt-058"]),
        ("APT-05", ["apt-05" + n for n in "9876543210"]),
        ("okoro zara", ["apt-059"]),
        ("okoro will", []),
        ("", []),
        ("<b>", []),
    ],
)
def test_a_patient_is_found_by_number_or_name(
    client: TestClient, home: Path, address: str, words: str, found: list[str]
) -> None:
    with_contacts(home, address)
    answer = client.post(f"{address}/search", data={"words": words})
    assert answer.status_code == 200
    assert re.findall(r"</span>(apt-\d+)</td>", answer.text) == found
    assert "<b>" not in answer.text


def test_after_the_last_call_the_page_says_so_and_undoes_it_too(client: TestClient, home: Path, address: str) -> None:
    with_contacts(home, address)
    last = [send(client, address, line, "confirmed") for line in NAMES][-1]
    assert heading(last.text) == "week-49.csv All calls are made"
    assert "Recorded for Will Dunn: Confirmed." in last.text
    assert 'value="withdrawn"' in last.text


def test_appointments_that_have_begun_are_not_called_about(
    client: TestClient, address: str, clock: type[datetime.datetime]
) -> None:
    at(clock, 24 * 20)
    line, page = opened(client, f"{address}/call")
    assert line == 0
    assert "No call to make any more" in page
    assert "4 appointments have already begun. No call is made about them any more." in page


def test_a_list_or_line_that_is_not_there_is_named_in_words(client: TestClient, address: str) -> None:
    for path in ("/lists/0123456789abcdef/call", f"{address}/call/4000", f"{address}/call/0"):
        assert client.get(path).status_code == 404
    assert send(client, address, 4_000, "confirmed").status_code == 404
