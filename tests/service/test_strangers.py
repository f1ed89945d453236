"""What a client without a key may send and ask for: small forms, and a share of what the service can do."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import week
from tests.service.process import ONE_WORKER, running
from tests.service.test_access import bearer
from tests.service.test_connections import ask
from tests.service.test_failed_keys import sign_in
from tests.service.test_limits import run_apart

from dnapredict.config.service_config import Anonymous, ServiceConfig
from dnapredict.errors import ConfigurationError
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.api_keys import KeyScope

WRONG = "dnap_00000000_" + "A" * 43


@contextlib.contextmanager
def served(home: Path, **settings: Any) -> Iterator[TestClient]:
    config = ServiceConfig(anonymous=Anonymous(**settings))
    with served_at(home, config) as client:
        yield client


@pytest.mark.parametrize("path", ["/sign-in", "/livez", "/about", "/static/dnapredict.css"])
def test_a_large_form_is_refused_before_it_is_read(guarded: TestClient, path: str) -> None:
    form = "key=" + "&x=1" * 10_000
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = guarded.post(path, content=form, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"] == "The request is larger than 8 kB."


def test_a_form_of_many_fields_is_not_taken_apart(guarded: TestClient) -> None:
    assert sign_in(guarded, WRONG + "&x=" * 200).status_code == 403


def test_a_key_is_taken_from_a_form_and_from_nothing_else(guarded: TestClient, key: str) -> None:
    answer = guarded.post("/sign-in", json={"key": key})
    assert answer.status_code == 415


def test_a_list_may_be_larger_than_a_form(guarded: TestClient, key: str) -> None:
    content = week() + " " * 20_000
    answer = guarded.post("/v1/lists", files={"file": ("week.csv", content)}, headers=bearer(key))
    assert answer.status_code != 413


def test_half_a_form_whose_sender_is_gone_does_not_pass_for_a_whole_one() -> None:
    from dnapredict.service.middleware.body_limits import AnonymousBodies, BodyLimits

    reached = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        reached.append("the service")

    limits = BodyLimits(
        app,
        largest=100,
        body_types=(),
        seconds=5,
        at_once=1,
        anonymous=AnonymousBodies(at_once=1, of_address=1, seconds=5),
        guarded=lambda _: True,
    )
    messages = iter(
        [{"type": "http.request", "body": b"outcome=reached&line=1", "more_body": True}]
        + [{"type": "http.disconnect"}] * 2
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        reached.append(message)

    scope = {"type": "http", "method": "POST", "path": "/lists/1/outcomes", "headers": []}
    run_apart(limits(scope, receive, send))
    assert "the service" not in reached
    assert reached[0]["status"] == 400


def test_a_surplus_of_slow_forms_ends_the_oldest_of_that_address_and_not_another() -> None:
    from dnapredict.service.middleware.body_limits import AnonymousBodies

    async def crowd() -> None:
        bodies = AnonymousBodies(at_once=3, of_address=2, seconds=60)
        ended: list[str] = []

        async def slow(name: str, address: str) -> None:
            try:
                async with bodies.arriving(address):
                    await asyncio.Event().wait()
            except TimeoutError:
                ended.append(name)

        tasks = []
        for name, address in [("a", "one"), ("b", "one"), ("c", "two"), ("d", "one"), ("e", "two")]:
            tasks.append(asyncio.ensure_future(slow(name, address)))
            for _ in range(5):
                await asyncio.sleep(0)
        # "a" gave way to "d" of its own address; with "e" there were too many in all.
        assert ended == ["a", "b"]
        for task in tasks:
            task.cancel()

    run_apart(crowd())


def test_a_stranger_who_asks_too_much_is_told_to_come_again_and_others_are_served(home: Path, key: str) -> None:
    with served(home, burst=20, requests_a_minute=1) as client:
        own = [client.get("/sign-in").status_code for _ in range(30)]
        assert own == [200] * 20 + [429] * 10
        refused = client.get("/about")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"].startswith("Too many requests came from this address.")
        # Health checks are counted apart, keys by themselves, refusals like pages.
        assert client.get("/livez").status_code == 200
        assert client.get("/v1/model", headers=bearer(key)).status_code == 200
        assert client.get("/v1/model").status_code == 429


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/about", "/accessibility", "/static/dnapredict.css", "/no-such", "/"]
)
def test_every_path_that_a_stranger_can_ask_for_is_limited(home: Path, key: str, path: str) -> None:
    with served(home, burst=200, requests_a_minute=1) as client:
        assert key
        assert 429 in {client.get(path).status_code for _ in range(201)}


def test_many_addresses_share_what_is_left_and_one_that_asks_little_is_served() -> None:
    from dnapredict.service.client_address import ADDRESS
    from dnapredict.service.middleware.request_limits import AnonymousRate

    rate = AnonymousRate(a_second=1, burst=10, a_second_in_all=1, burst_in_all=20, clock=lambda: 0.0)

    def is_served(address: str) -> bool:
        return rate({"type": "http", "path": "/sign-in", ADDRESS: address}) is None

    attack = sum(is_served(f"192.0.2.{number % 50}") for number in range(50 * 20))
    assert attack == 50 * 5 + 20
    assert is_served("198.51.100.1")


def test_addresses_that_are_all_busy_do_not_fill_the_memory() -> None:
    from dnapredict.service.middleware.request_limits import Buckets

    buckets = Buckets(1.0, 10, clock=lambda: 0.0)
    for number in range(25_000):
        buckets.take(str(number))
    assert len(buckets._full_at) <= 10_000


def test_sixty_clerks_behind_one_address_are_all_served(home: Path) -> None:
    tokens = [api_keys.create(home, name=f"clerk {n}", scopes=(KeyScope.LIST,)).token for n in range(60)]
    page = ["/", "/lists", "/model", "/about", "/static/dnapredict.css"]
    with served(home) as client:
        statuses = set()
        for token in tokens:
            statuses.add(client.get("/sign-in").status_code)
            sign_in(client, "a mistyped one") if token in tokens[:5] else None
            statuses.add(sign_in(client, token).status_code)
            statuses |= {client.get(path).status_code for path in page * 3}
            client.cookies.clear()
    assert statuses == {200, 303}


@pytest.mark.parametrize(
    ("peer", "proxies", "header", "expected"),
    [
        ("127.0.0.1", [], "192.0.2.9", "127.0.0.1"),
        ("127.0.0.1", ["127.0.0.1"], "192.0.2.9", "192.0.2.9"),
        ("127.0.0.1", ["127.0.0.1"], "198.51.100.1, 192.0.2.9", "192.0.2.9"),
        ("127.0.0.1", ["127.0.0.1"], "192.0.2.9, 127.0.0.1", "192.0.2.9"),
        ("127.0.0.1", ["127.0.0.1"], "192.0.2.9, nonsense", "127.0.0.1"),
        ("127.0.0.1", ["127.0.0.1"], "", "127.0.0.1"),
        ("203.0.113.5", ["127.0.0.1"], "192.0.2.9", "203.0.113.5"),
        ("2001:db8::1", [], "", "2001:db8::/64"),
    ],
)
def test_the_address_is_the_proxys_word_only_where_the_proxy_is_named(
    peer: str, proxies: list[str], header: str, expected: str
) -> None:
    from dnapredict.service.client_address import client_address, networks

    scope = {"type": "http", "headers": [(b"x-forwarded-for", header.encode())] if header else []}
    assert client_address(scope, peer=peer, proxies=networks(proxies)) == expected


def test_a_made_up_header_does_not_make_a_stranger_many(home: Path, key: str) -> None:
    few = ONE_WORKER + "[anonymous]\nburst = 10\nrequests_a_minute = 1\n"
    with running(home, settings=few) as service:
        assert key
        statuses = [ask(service, "/about", **{"x-forwarded-for": f"192.0.2.{n}"}) for n in range(20)]
    assert statuses == [200] * 10 + [429] * 10


@pytest.mark.parametrize("proxies", [["everybody"], ["0.0.0.0/0"]])
def test_a_proxy_is_an_address_and_not_everybody(tmp_path: Path, proxies: list[str]) -> None:
    from dnapredict.config.loading import load

    path = tmp_path / "service.toml"
    path.write_text(f"[anonymous]\nproxies = {proxies}\n".replace("'", '"'))
    with pytest.raises(ConfigurationError, match="proxies"):
        load(path, ServiceConfig)
