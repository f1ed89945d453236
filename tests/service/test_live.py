"""What a colleague records appears on a list that is open, whichever worker recorded it, and through restarts."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import record, upload_to, week
from tests.service.process import ONE_WORKER, Running, running
from tests.spec.test_service_access import rows

from dnapredict.config.service_config import ServiceConfig, ServiceLimits
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import PERSON, THIS_MACHINE, Person, StaffRole
from dnapredict.service.pages import live

EVENTS = "text/event-stream"
pytestmark = pytest.mark.usefixtures("short")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that end after a few seconds, so that a test reads the whole of one."""
    monkeypatch.setattr(live, "_SECONDS_OPEN", 2.5)


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each with its id, name and data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append({"id": int(fields["id"]), "event": fields.get("event"), **json.loads(fields["data"])})
    return found


def since(client: TestClient, address: str) -> str:
    """The number that a page hands to its script."""
    return client.get(address).text.split('data-since="')[1].split('"')[0]


def test_what_was_recorded_since_the_page_was_shown_is_sent(client: TestClient, address: str) -> None:
    number = since(client, address)
    record(client, address, line=1)
    record(client, address, line=3, outcome="no_answer")
    answer = client.get(f"{address}/live", params={"since": number})
    assert answer.headers["content-type"].startswith(EVENTS)
    assert answer.headers["cache-control"] == "no-store"
    start, changed = events(answer.text)
    assert (start["id"], start["event"]) == (int(number), None)
    assert changed["event"] == "changed"
    assert changed["lines"] == [1, 3]
    assert changed["progress"] == "2 of 4 calls made, 1 reached nobody"
    assert changed["heading"] == "3 of 4 calls left"
    assert changed["id"] > int(number)


def test_an_event_holds_nothing_about_a_patient(client: TestClient, address: str) -> None:
    number = since(client, address)
    record(client, address, line=1)
    answer = client.get(f"{address}/live", params={"since": number})
    assert "apt-" not in answer.text
    assert set(events(answer.text)[1]) == {"id", "event", "lines", "progress", "heading"}


def test_a_browser_that_connects_again_names_the_last_event_that_it_saw(client: TestClient, address: str) -> None:
    number = since(client, address)
    record(client, address, line=1)
    first = events(client.get(f"{address}/live", params={"since": number}).text)[-1]
    record(client, address, line=2)
    seen = {"last-event-id": str(first["id"])}
    again = events(client.get(f"{address}/live", params={"since": number}, headers=seen).text)
    assert [event.get("lines") for event in again] == [None, [2]]


def test_an_entry_on_another_list_about_the_same_appointment_is_sent_too(client: TestClient, address: str) -> None:
    other = client.post("/upload", files={"file": ("b.csv", week(10))}, follow_redirects=False).headers["location"]
    number = since(client, address)
    record(client, other, line=1)  # apt-029, which is on both
    (_, changed) = events(client.get(f"{address}/live", params={"since": number}).text)
    assert len(changed["lines"]) == 1
    line = changed["lines"][0]
    assert f'id="line-{line}"' in client.get(f"{address}?show=all").text
    assert "Confirmed" in client.get(f"{address}?show=all").text


def test_after_very_many_entries_the_page_is_fetched_as_a_whole(
    client: TestClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dnapredict.service.log.action_feed._MOST_CHANGES", 1)
    number = since(client, address)
    record(client, address, line=1)
    record(client, address, line=2)
    (_, changed) = events(client.get(f"{address}/live", params={"since": number}).text)
    assert (changed["event"], changed["lines"]) == ("changed", [])


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 30, "1e3"])
def test_a_number_that_is_none_means_from_now_on(client: TestClient, address: str, number: str) -> None:
    record(client, address, line=1)
    answer = client.get(f"{address}/live", params={"since": number})
    (start,) = events(answer.text)
    assert start["id"] == int(since(client, address))


def test_a_list_that_is_not_there_has_no_stream(client: TestClient) -> None:
    answer = client.get("/lists/" + "0" * 16 + "/live", headers={"accept": EVENTS})
    assert answer.status_code == 404
    assert answer.json()["error"] == "This list does not exist or has been deleted."


@contextlib.contextmanager
def of_at_most(home: Path, live_pages: int) -> Iterator[TestClient]:
    """The service with a limit on streams."""
    config = ServiceConfig(limits=ServiceLimits(live_pages=live_pages))
    with served_at(home, config) as client:
        yield client


def test_beyond_the_limit_a_page_is_told_to_come_again_and_is_shown(home: Path) -> None:
    with of_at_most(home, 0) as client:
        address = client.post("/upload", files={"file": ("w.csv", week())}, follow_redirects=False).headers["location"]
        answer = client.get(f"{address}/live", headers={"accept": EVENTS})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert client.get(address).status_code == 200


def test_a_stream_that_has_ended_counts_no_more(home: Path) -> None:
    with of_at_most(home, 1) as client:
        address = client.post("/upload", files={"file": ("w.csv", week())}, follow_redirects=False).headers["location"]
        assert [client.get(f"{address}/live").status_code for _ in range(2)] == [200, 200]


def test_streams_that_begin_at_the_same_time_count_too() -> None:
    kept = SimpleNamespace(shown=lambda _: object())
    lists = live.LiveLists(kept, None, None, most=lambda: 2)  # type: ignore[arg-type]
    asked = Request({"type": "http", "path_params": {"list_id": "0"}, "headers": [], "query_string": b"since=0"})

    async def burst() -> list[int]:
        return sorted(answer.status_code for answer in await asyncio.gather(*(lists.stream(asked) for _ in range(5))))

    assert asyncio.run(burst()) == [200, 200, 503, 503, 503]


# Of 20 streams of a worker: who asks how often, and how many they get.
SHARES = """
    who asks                 | asks | gets
    Ada                      | 9    | 8
    Ada, then Ben            | 9    | 16
    a team key               | 12   | 10
    a team key, then Ada     | 12   | 18
    nobody signs in          | 22   | 20
"""


@pytest.mark.parametrize("row", rows(SHARES), ids=lambda row: row["who asks"])
def test_nobody_takes_all_streams(row: dict[str, str]) -> None:
    people = {
        "Ada": Person("1", "Ada", "North", StaffRole.CLERK),
        "Ben": Person("2", "Ben", "North", StaffRole.CLERK),
        "a team key": Person("3", "booking team", "", StaffRole.CLERK, is_shared=True),
        "nobody signs in": THIS_MACHINE,
    }
    lists = live.LiveLists(SimpleNamespace(shown=lambda _: object()), None, None, most=lambda: 20)  # type: ignore[arg-type]

    async def ask(who: str) -> int:
        scope = {"type": "http", "path_params": {"list_id": "0"}, "headers": [], "query_string": b"since=0"}
        opened = 0
        for _ in range(int(row["asks"])):
            answer = await lists.stream(Request(scope | {PERSON: people[who]}))
            if answer.status_code == 200:
                lists.open_streams[answer] = people[who].key_id  # as it is while it is sent
                opened += 1
        return opened

    assert sum(asyncio.run(ask(who)) for who in row["who asks"].split(", then ")) == int(row["gets"])


@pytest.mark.parametrize("end", ["the key is revoked", "the session is ended"])
def test_a_stream_ends_with_the_key_or_session_that_opened_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(api_keys, "_SECONDS_REMEMBERED", 0.0)
    ada = api_keys.create_personal(home, name="Ada Okafor", team="North", role=StaffRole.CLERK)
    looked: list[int] = []
    with of_at_most(home, 1) as client:
        client.post("/sign-in", data={"key": ada.token})
        address = upload_to(client, week())
        session = client.cookies["dnapredict_session"]

        async def look(_: live.LiveLists, __: str, since: int) -> tuple[int, str]:
            if not looked and end == "the key is revoked":
                api_keys.revoke(home, ada.key.key_id)
            elif not looked:
                api_keys.KeyRing(home).end_session(session)
            looked.append(since)
            return since, ""

        monkeypatch.setattr(live.LiveLists, "_next", look)
        assert client.get(f"{address}/live").status_code == 200
    assert len(looked) == 1


class Reader:
    """A page that is open on a running service."""

    def __init__(self, service: Running, address: str, **headers: str) -> None:
        self._connection = HTTPConnection(urlsplit(service.address).netloc, timeout=30)
        self._connection.request("GET", f"{address}/live?since=0", headers={"accept": EVENTS, **headers})
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.last = ""

    def next_change(self) -> dict[str, Any]:
        """The data of the next change."""
        text = ""
        while "event: changed" not in text or not text.endswith("\n\n"):
            line = self._answer.readline().decode()
            assert line, "the stream ended"
            text += line
        (change,) = [event for event in events(text) if event["event"] == "changed"]
        self.last = str(change["id"])
        return change

    def is_cut(self) -> bool:
        """Whether the stream ends, read to its end."""
        try:
            return self._answer.read() is not None
        except (OSError, HTTPException):
            return True

    def close(self) -> None:
        self._connection.close()


def send(service: Running, path: str, body: bytes, **headers: str) -> str:
    """Post to a running service, and return the address that it leads to."""
    connection = HTTPConnection(urlsplit(service.address).netloc, timeout=30)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    found = answer.headers["location"]
    connection.close()
    return str(found)


def uploaded(service: Running, mark: str = "apt") -> str:
    """The address of a list on a running service; lists with other marks are of other appointments."""
    edge = "edge"
    head = f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="w.csv"\r\n\r\n'
    body = f"{head}{week(mark=mark)}\r\n--{edge}--\r\n".encode()
    return send(service, "/upload", body, **{"content-type": f"multipart/form-data; boundary={edge}"})


def recorded(service: Running, address: str, line: int) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    send(service, f"{address}/outcomes", f"line={line}&outcome=confirmed".encode(), **form)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that works on one request at a time in each of its two workers, and lets none wait."""
    with running(tmp_path_factory.mktemp("busy") / "home", settings="[limits]\nat_once = 1\nwaiting = 0\n") as service:
        yield service


def test_many_open_pages_take_no_slot_and_all_hear_of_an_entry(busy: Running) -> None:
    address = uploaded(busy)
    readers = [Reader(busy, address) for _ in range(60)]
    assert {reader.status for reader in readers} == {200}
    recorded(busy, address, 2)
    assert {tuple(reader.next_change()["lines"]) for reader in readers} == {(2,)}
    for reader in readers:
        reader.close()
    recorded(busy, address, 3)


def test_after_a_kill_a_page_connects_again_and_hears_what_it_missed(busy: Running) -> None:
    address = uploaded(busy, "other")
    reader = Reader(busy, address)
    recorded(busy, address, 1)
    assert reader.next_change()["lines"] == [1]
    busy.kill_workers()
    assert reader.is_cut()
    recorded(busy, address, 4)
    again = Reader(busy, address, **{"last-event-id": reader.last})
    assert again.next_change()["lines"] == [4]
    again.close()


def test_open_pages_do_not_keep_a_service_from_ending(tmp_path: Path) -> None:
    with running(tmp_path / "home", settings=ONE_WORKER) as service:
        readers = [Reader(service, uploaded(service)) for _ in range(4)]
    assert service.process.returncode == 0
    assert all(reader.is_cut() for reader in readers)
