"""A client without a key cannot stop the service: not with forms, slow bodies, connections or wrong keys."""

import asyncio
import contextlib
import http.client
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service.conftest import client_of, wait_until_ready
from tests.service.double import steady_champion
from tests.service.pages import week
from tests.service.process import ROOT, Running, running
from tests.service.test_limits import run_apart

from dnapredict.config.service import Anonymous, Retention, ServiceConfig
from dnapredict.errors import ConfigurationError
from dnapredict.service import keys
from dnapredict.service.app import build
from dnapredict.service.keys import KeyRing, Scope
from dnapredict.service.retention import Keeper
from dnapredict.service.store import ScoringLog

WRONG = "dnap_00000000_" + "A" * 43
FEW_FILES = ["sh", "-c", 'ulimit -n 400; exec "$@"', "sh"]
MOST_LINUX = pytest.mark.skipif(sys.platform == "win32", reason="limits on open files are POSIX's")
ONE_WORKER = "workers = 1\n"


@contextlib.contextmanager
def served(home: Path, **settings: Any) -> Iterator[TestClient]:
    champion = steady_champion()
    config = ServiceConfig(anonymous=Anonymous(**settings))
    with TestClient(build(home, champion, config=config).to_asgi(), base_url="http://127.0.0.1") as client:
        wait_until_ready(client)
        yield client
    champion.stop()


@pytest.fixture
def key(home: Path) -> str:
    return keys.create(home, name="booking team", scopes=(Scope.ADMIN,)).token


@pytest.fixture
def guarded(home: Path, key: str) -> Iterator[TestClient]:  # noqa: ARG001 - a key is there before the service
    champion = steady_champion()
    with client_of(champion, home) as client:
        wait_until_ready(client)
        yield client
    champion.stop()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def sign_in(client: TestClient, token: str, **headers: str) -> Any:
    return client.post("/sign-in", data={"key": token}, headers=headers, follow_redirects=False)


# Forms


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


# Bodies


def test_half_a_form_whose_sender_is_gone_does_not_pass_for_a_whole_one() -> None:
    from dnapredict.service.middleware.limits import AnonymousBodies, BodyLimits

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
    from dnapredict.service.middleware.limits import AnonymousBodies

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


def post_head(path: str, length: int) -> bytes:
    kind = "application/x-www-form-urlencoded"
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {length}\r\n\r\n".encode()


def connect(service: Running, source: str = "127.0.0.1") -> socket.socket:
    port = int(service.address.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))


def ask(
    service: Running, path: str = "/livez", method: str = "GET", body: bytes = b"", **headers: str
) -> int:
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        return connection.getresponse().status


def score(service: Running, token: str) -> int:
    body = b'{"appointments": [{"appointment_id": "a", "age_years": 50}]}'
    return ask(service, "/v1/score", "POST", body, **{"content-type": "application/json"}, **bearer(token))


def test_slow_sign_in_forms_take_no_place_of_those_with_a_key(home: Path, key: str) -> None:
    with (
        running(home, settings="workers = 1\n[limits]\nbodies_at_once = 4\n") as service,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(40):
            slow = stack.enter_context(connect(service))
            slow.sendall(post_head("/sign-in", 100) + b"key=")
        assert {score(service, key) for _ in range(5)} == {200}
        assert (
            ask(
                service, "/sign-in", "POST", b"key=x", **{"content-type": "application/x-www-form-urlencoded"}
            )
            == 403
        )


# Connections


@MOST_LINUX
def test_idle_connections_use_up_no_file_of_the_service(home: Path, key: str) -> None:
    with running(home, settings=ONE_WORKER, before=FEW_FILES) as service, contextlib.ExitStack() as stack:
        for number in range(900):
            source = f"127.0.0.{2 + number % 40}"
            with contextlib.suppress(OSError):
                stack.enter_context(connect(service, source))
        assert {ask(service) for _ in range(5)} == {200}
        assert {score(service, key) for _ in range(5)} == {200}
        written = service.log.read_text()
    assert "out of system resource" not in written


@MOST_LINUX
def test_idle_connections_of_one_address_leave_that_address_served(home: Path, key: str) -> None:
    with running(home, settings=ONE_WORKER, before=FEW_FILES) as service, contextlib.ExitStack() as stack:
        for _ in range(600):
            with contextlib.suppress(OSError):
                stack.enter_context(connect(service))
        assert {score(service, key) for _ in range(5)} == {200}
        assert ask(service) == 200


@pytest.mark.parametrize(
    "sent", [b"", b"GET /livez HTTP/1.1\r\nhost: 127", post_head("/sign-in", 10) + b"key="]
)
def test_a_client_that_does_not_finish_its_request_is_disconnected(home: Path, sent: bytes) -> None:
    hasty = ONE_WORKER + "[limits]\nseconds_to_ask = 1\n[anonymous]\nseconds_to_send = 1\n"
    with running(home, settings=hasty) as service, connect(service) as slow:
        slow.sendall(sent)
        received = b"".join(iter(lambda: _received(slow), b""))
    assert received == b"" or received.startswith(b"HTTP/1.1 408")


def _received(connection: socket.socket) -> bytes:
    """What comes; nothing where the connection is closed, an error where it stays open for half a minute."""
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


def test_a_web_socket_is_no_way_round(home: Path) -> None:
    upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    upgrade += "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    with running(home, settings=ONE_WORKER) as service, connect(service) as one:
        one.sendall(f"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n{upgrade}\r\n".encode())
        assert one.recv(12) == b"HTTP/1.1 200"


class Client:
    """A connection as `Connections` sees it."""

    def __init__(self, address: str = "192.0.2.1", *, idle: bool = True) -> None:
        self.peer = self.address = address
        self.is_idle = idle
        self.gone = False
        self.since = 0.0
        self.transport = self

    def abort(self) -> None:
        self.gone = True

    def is_overdue(self, now: float, *, to_ask: float, to_read: float) -> bool:  # noqa: ARG002
        return now - self.since > to_ask


def in_loop(work: Callable[[Any], None], **more: Any) -> None:
    """Do it with the connections of a worker."""
    from dnapredict.service.connections import Connections

    settings: dict[str, Any] = {"most": 4, "most_of_address": 2, "seconds_to_ask": 10, "seconds_to_read": 30}

    async def within() -> None:
        work(Connections(**settings | more))

    run_apart(within())


def test_one_connection_too_many_closes_the_anonymous_one_that_waits_longest() -> None:
    def work(held: Any) -> None:
        clients = [Client(f"192.0.2.{number}") for number in range(6)]
        for client in clients[:4]:
            held.opened(client)
        held.asked(clients[0])
        held.trust(clients[1])
        for client in clients[4:]:
            held.opened(client)
        assert [client.gone for client in clients] == [False, False, True, True, False, False]
        assert len(held) == 4

    in_loop(work)


def test_an_address_has_its_share_and_those_with_a_key_are_not_counted_by_address() -> None:
    def work(held: Any) -> None:
        clerks = [Client() for _ in range(10)]
        for clerk in clerks:
            held.opened(clerk)
            held.trust(clerk)
        strangers = [Client() for _ in range(5)]
        for stranger in strangers:
            held.opened(stranger)
        assert not any(clerk.gone for clerk in clerks)
        assert [stranger.gone for stranger in strangers] == [True, True, True, False, False]

    in_loop(work, most=100)


def test_connections_of_a_named_proxy_are_not_counted_by_address() -> None:
    from dnapredict.service.client_address import networks

    def work(held: Any) -> None:
        clients = [Client("127.0.0.1") for _ in range(50)]
        for client in clients:
            held.opened(client)
        assert not any(client.gone for client in clients)

    in_loop(work, most=100, proxies=networks(["127.0.0.1"]))


def test_a_connection_that_waits_too_long_is_closed_when_they_are_looked_over() -> None:
    now = 0.0

    def work(held: Any) -> None:
        nonlocal now
        early, late = Client(), Client("192.0.2.2")
        held.opened(early)
        now, late.since = 8.0, 8.0
        held.opened(late)
        now = 11.0
        held.sweep()
        assert (early.gone, late.gone) == (True, False)

    in_loop(work, clock=lambda: now)


def test_the_number_of_connections_follows_the_limit_on_open_files() -> None:
    from dnapredict.service.connections import connections_for

    assert connections_for(65_536, wanted=1_000) <= 1_000
    assert connections_for(1_024, wanted=1_000) * 2 < 1_024 - 256
    assert connections_for(64, wanted=1_000) == 16


@MOST_LINUX
def test_more_open_files_are_asked_for_up_to_the_hard_limit() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "from dnapredict.service.connections import raise_file_limit; print(raise_file_limit())"
    command = ["sh", "-c", 'ulimit -S -n 256; exec "$@"', "sh", sys.executable, "-c", text]
    told = int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout)
    assert told == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))


# Rates


def test_a_stranger_who_asks_too_much_is_told_to_come_again_and_others_are_served(
    home: Path, key: str
) -> None:
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


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/about", "/accessibility", "/static/dnapredict.css", "/no-such", "/"]
)
def test_every_path_that_a_stranger_can_ask_for_is_limited(home: Path, key: str, path: str) -> None:
    with served(home, burst=200, requests_a_minute=1) as client:
        assert key
        assert 429 in {client.get(path).status_code for _ in range(201)}


def test_many_addresses_share_what_is_left_and_one_that_asks_little_is_served() -> None:
    from dnapredict.service.client_address import ADDRESS
    from dnapredict.service.middleware.rate import AnonymousRate

    rate = AnonymousRate(a_second=1, burst=10, a_second_in_all=1, burst_in_all=20, clock=lambda: 0.0)

    def is_served(address: str) -> bool:
        return rate({"type": "http", "path": "/sign-in", ADDRESS: address}) is None

    attack = sum(is_served(f"192.0.2.{number % 50}") for number in range(50 * 20))
    assert attack == 50 * 5 + 20
    assert is_served("198.51.100.1")


def test_addresses_that_are_all_busy_do_not_fill_the_memory() -> None:
    from dnapredict.service.middleware.rate import Buckets

    buckets = Buckets(1.0, 10, clock=lambda: 0.0)
    for number in range(25_000):
        buckets.take(str(number))
    assert len(buckets._full_at) <= 10_000


def test_sixty_clerks_behind_one_address_are_all_served(home: Path) -> None:
    tokens = [keys.create(home, name=f"clerk {n}", scopes=(Scope.LIST,)).token for n in range(60)]
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


# Addresses


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


# Wrong keys


def test_wrong_keys_are_slowed_and_logged_and_the_right_one_signs_in(
    guarded: TestClient, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        statuses = [sign_in(guarded, WRONG).status_code for _ in range(30)]
    assert statuses[:10] == [403] * 10
    assert statuses.count(429) >= 15
    slowed = sign_in(guarded, WRONG)
    assert int(slowed.headers["retry-after"]) >= 1
    assert "Too many wrong keys" in slowed.text
    assert "A wrong key came from testclient: 10 in a row." in caplog.text
    assert WRONG not in caplog.text
    assert sign_in(guarded, key).status_code == 303


def test_programs_with_wrong_keys_are_slowed_and_those_with_right_ones_are_not(
    guarded: TestClient, key: str
) -> None:
    statuses = [guarded.get("/v1/model", headers=bearer(WRONG)).status_code for _ in range(130)]
    assert statuses[:100] == [401] * 100
    assert 429 in statuses[100:]
    assert guarded.get("/v1/model", headers=bearer(key)).status_code == 200


def test_each_further_wrong_key_waits_twice_as_long_by_address_and_by_key() -> None:
    from dnapredict.service.failed_keys import FailedKeys

    now = 0.0
    failed = FailedKeys(free=3, longest=20, clock=lambda: now)
    assert [failed.failed(address="a") for _ in range(4)] == [0, 0, 0, 1]
    waits = []
    for _ in range(7):
        now += failed.failed(address="a")
        assert failed.failed(address="a") == 0
        waits.append(failed.failed(address="a"))
    assert waits == [2, 4, 8, 16, 20, 20, 20]
    assert [failed.failed(address=f"b{n}", key_id="0123abcd") for n in range(4)] == [0, 0, 0, 1]
    now += 41
    assert failed.failed(address="a") == 0


def test_failures_from_many_addresses_do_not_fill_the_memory() -> None:
    from dnapredict.service.failed_keys import FailedKeys

    failed = FailedKeys(free=3, longest=20)
    for number in range(12_000):
        failed.failed(address=str(number))
    assert len(failed._of) == 10_000


# Sessions


def test_signing_out_ends_the_session_also_for_a_copy_of_its_cookie(guarded: TestClient, key: str) -> None:
    sign_in(guarded, key)
    copied = dict(guarded.cookies)
    other = sign_in(guarded, key).cookies["dnapredict_session"]
    guarded.cookies.clear()
    assert guarded.get("/", cookies=copied).status_code == 200
    assert guarded.post("/sign-out", cookies=copied, follow_redirects=False).status_code == 303
    guarded.cookies.clear()
    assert guarded.get("/", cookies=copied).status_code == 401
    guarded.cookies.clear()
    assert guarded.get("/", cookies={"dnapredict_session": other}).status_code == 200


def test_a_session_that_was_ended_in_one_worker_is_ended_in_the_other_and_after_a_restart(
    home: Path, key: str
) -> None:
    one, other = KeyRing(home), KeyRing(home)
    made = one.holder(key)
    assert made is not None
    session = one.session(made)
    assert other.session_holder(session) == made
    one.end_session(session)
    assert other.session_holder(session) is None
    assert KeyRing(home).session_holder(session) is None


def test_only_a_session_that_was_made_here_can_be_ended(home: Path, key: str) -> None:
    ring = KeyRing(home)
    assert ring.holder(key) is not None
    ring.end_session("0123abcd.99999999999." + "0" * 96)
    ring.end_session("../../x")
    assert not list((home / "keys").rglob("*ended*"))


def test_records_of_sessions_that_ran_out_are_removed(
    home: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(home)
    made = ring.holder(key)
    assert made is not None
    ring.end_session(ring.session(made))
    now = time.time()
    monkeypatch.setattr(keys.time, "time", lambda: now + 3 * 86_400)
    ring.end_session(ring.session(made))
    assert len(list((home / "keys" / "ended-sessions").iterdir())) == 1


def test_deleting_a_key_ends_its_sessions(home: Path, key: str) -> None:
    spare = keys.create(home, name="spare", scopes=(Scope.LIST,))
    ring = KeyRing(home)
    session = ring.session(spare.key)
    (home / "keys" / f"{spare.key.key_id}.json").unlink()
    assert key
    assert KeyRing(home).session_holder(session) is None


# Threads


def no_files(*_: Any, **__: Any) -> Any:
    raise OSError(24, "Too many open files")


def test_what_keeps_the_retention_from_its_work_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(tmp_path, ScoringLog(tmp_path), Retention(log_days=30))
    (tmp_path / "lists").mkdir()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "glob", no_files)
        keeper.look()
    assert "cannot be removed now (OSError)" in caplog.text
    assert "Too many open files" not in caplog.text
    assert keeper.look()


def test_a_thread_goes_on_after_any_error_and_the_metrics_say_for_how_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from dnapredict.service.background import Background
    from dnapredict.service.middleware.metrics import exposition

    done, tries = threading.Event(), iter([no_files, no_files, lambda: True])

    def work() -> bool:
        went_well = bool(next(tries)())
        done.set()
        return went_well

    background = Background("test", work, seconds_between=60, seconds_after_failure=0)
    background.start()
    assert done.wait(30)
    background.stop()
    assert "The thread 'test' failed (OSError) and tries again." in caplog.text
    shown = exposition().decode()
    assert 'dnapredict_background_failures_total{thread="test"} 2.0' in shown
    assert re.search(r'dnapredict_background_failing_seconds\{.*thread="test"\} 0', shown) or done.is_set()


def test_the_champion_is_looked_for_again_after_any_error() -> None:
    from tests.service.double import AgeScorer

    from dnapredict.service.champion import Champion, Standing

    looks = iter([no_files, no_files])

    def standing() -> Standing:
        return next(looks, lambda: Standing("7"))()

    champion = Champion(
        standing=standing,
        open_scorer=lambda version: AgeScorer(model_version=version),
        try_out=lambda _: None,
    )
    for _ in range(2):
        champion.look()
        assert champion.scorer is None
    champion.look()
    assert champion.require().model_version == "7"
