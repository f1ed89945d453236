"""What happens to those who ask too much, send too slowly, or come when too many are there."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.service.conftest import served_at

from dnapredict.config.service_config import ServiceConfig, ServiceLimits
from dnapredict.service.auth import api_keys
from dnapredict.service.middleware.body_limits import AnonymousBodies, BodyLimits
from dnapredict.service.middleware.request_limits import Buckets, ConcurrencyLimit
from dnapredict.service.middleware.safe_responses import PlainErrors


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: a browser that is kept for other tests has a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@given(st.lists(st.floats(0, 5), max_size=200), st.integers(1, 10), st.floats(0.5, 20))
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(
    pauses: list[float], burst: int, a_second: float
) -> None:
    clock, taken = 100.0, []
    buckets = Buckets(a_second, burst, clock=lambda: clock)
    for pause in pauses:
        clock += pause
        if buckets.take("key") == 0:
            taken.append(clock)
    for first in range(len(taken)):
        given = len(taken) - first
        assert given <= burst + (taken[-1] - taken[first]) * a_second + 1e-6


def test_whoever_waits_as_long_as_told_is_given_one() -> None:
    clock = 0.0
    buckets = Buckets(2.0, 3, clock=lambda: clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    wait = buckets.take("a")
    assert wait == pytest.approx(0.5)
    assert buckets.take("b") == 0
    clock += wait
    assert buckets.take("a") == 0


def test_strangers_do_not_fill_the_memory() -> None:
    clock = 0.0
    buckets = Buckets(1.0, 1, clock=lambda: clock)
    for number in range(25_000):
        clock += 0.001
        buckets.take(str(number))
    assert len(buckets._full_at) <= 10_000


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[tuple[TestClient, list[dict[str, str]]]]:
    """A service that takes two requests a key, and the headers of two keys."""
    made = [api_keys.create(tmp_path, name=name, scopes=(api_keys.KeyScope.ADMIN,)).token for name in "ab"]
    config = ServiceConfig(limits=ServiceLimits(requests_a_minute=1, burst=2))
    with served_at(tmp_path, config) as client:
        yield client, [{"authorization": f"Bearer {token}"} for token in made]


def test_a_key_that_asks_too_much_is_told_when_to_come_again_and_others_are_answered(
    hasty: tuple[TestClient, list[dict[str, str]]],
) -> None:
    client, (one, other) = hasty
    assert [client.get("/v1/model", headers=one).status_code for _ in range(2)] == [200, 200]
    refused = client.post("/v1/score", json={"appointments": []}, headers=one)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"].startswith("This key sent too many requests.")
    assert client.get("/v1/model", headers=other).status_code == 200
    assert {client.get("/livez").status_code for _ in range(10)} == {200}


class Work:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = self.most = self.finished = 0

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        self.running -= 1
        self.finished += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


def turns(work: Work, **more: Any) -> httpx.AsyncClient:
    settings = {"at_once": 2, "waiting": 3, "seconds_to_wait": 5.0, "seconds_to_answer": 5.0} | more
    app = ConcurrencyLimit(work, guarded=lambda path: path != "/livez", **settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


def test_few_are_worked_on_a_few_wait_and_the_others_are_told_to_come_again() -> None:
    async def crowd() -> None:
        work = Work()
        async with turns(work) as client:
            asked = [asyncio.ensure_future(client.get("/")) for _ in range(9)]
            await asyncio.sleep(0.05)
            early = [each.result() for each in asked if each.done()]
            assert [answer.status_code for answer in early] == [503] * 4
            assert early[0].headers["retry-after"] == "1"
            work.go.set()
            assert sorted(answer.status_code for answer in await asyncio.gather(*asked)) == [200] * 5 + [503] * 4
            assert work.most == 2
            assert (await client.get("/")).status_code == 200

    run_apart(crowd())


def test_nobody_waits_longer_than_that() -> None:
    async def wait() -> None:
        work = Work()
        async with turns(work, at_once=1, seconds_to_wait=0.05) as client:
            first = asyncio.ensure_future(client.get("/"))
            await asyncio.sleep(0.01)
            assert (await client.get("/")).status_code == 503
            work.go.set()
            assert (await first).status_code == 200

    run_apart(wait())


def test_work_that_takes_too_long_is_answered_504_and_keeps_its_place_until_it_is_done() -> None:
    async def wait() -> None:
        work = Work()
        async with turns(work, at_once=1, waiting=0, seconds_to_answer=0.05) as client:
            late = await client.get("/")
            assert late.status_code == 504
            assert "took too long" in late.json()["error"]
            assert (await client.get("/")).status_code == 503  # it is still being worked on
            work.go.set()
            await asyncio.sleep(0.01)
            assert work.finished == 1
            assert (await client.get("/")).status_code == 200

    run_apart(wait())


def test_what_is_not_guarded_never_waits() -> None:
    async def ask() -> None:
        work = Work()
        async with turns(work, at_once=1, waiting=0) as client:
            first = asyncio.ensure_future(client.get("/"))
            await asyncio.sleep(0.01)
            live = asyncio.ensure_future(client.get("/livez"))
            await asyncio.sleep(0.01)
            assert work.running == 2
            work.go.set()
            assert {(await first).status_code, (await live).status_code} == {200}

    run_apart(ask())


def test_a_person_is_shown_a_page() -> None:
    async def ask() -> None:
        work = Work()
        async with turns(work, at_once=1, waiting=0) as client:
            first = asyncio.ensure_future(client.get("/"))
            await asyncio.sleep(0.01)
            page = await client.get("/", headers={"accept": "text/html"})
            assert page.status_code == 503
            assert "This cannot be shown now" in page.text
            work.go.set()
            await first

    run_apart(ask())


async def nothing(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def test_a_client_that_sends_too_slowly_is_let_go_and_too_many_at_once_are_not_begun() -> None:
    async def send() -> None:
        limits = BodyLimits(
            nothing,
            largest=100,
            body_types=(),
            seconds=0.2,
            at_once=1,
            anonymous=AnonymousBodies(at_once=1, of_address=1, seconds=0.2),
            guarded=lambda _: True,
        )

        async def slowly() -> Any:
            for _ in range(100):
                yield b"x"
                await asyncio.sleep(0.05)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(limits), base_url="http://127.0.0.1") as client:
            slow = asyncio.ensure_future(client.post("/", content=slowly()))
            await asyncio.sleep(0.05)
            crowded = await client.post("/", content=b"x")
            assert (crowded.status_code, crowded.headers["retry-after"]) == (503, "1")
            assert (await slow).status_code == 408
            assert (await client.post("/", content=b"x")).status_code == 200

    run_apart(send())


def test_what_escapes_from_anything_is_answered_at_once_and_without_its_text() -> None:
    """BentoML waits for an answer until its own time-out: the client hung for a minute and a half."""
    said: list[dict[str, Any]] = []

    async def fail(*_: Any) -> None:
        raise RuntimeError("okapi-0815")

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v1/model", "headers": []}
    run_apart(PlainErrors(fail)(scope, None, send))  # type: ignore[arg-type]
    assert said[0]["status"] == 500
    assert b"The service's log names the cause" in said[1]["body"]
    assert b"okapi" not in said[1]["body"]
