"""Clients that open connections and send nothing, or too slowly, keep nobody else out."""

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.process import ONE_WORKER, ROOT, Running, running
from tests.service.test_access import bearer
from tests.service.test_limits import run_apart

from dnapredict.service.auth import api_keys

FEW_FILES = ["sh", "-c", 'ulimit -n 400; exec "$@"', "sh"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on open files")


def post_head(path: str, length: int) -> bytes:
    kind = "application/x-www-form-urlencoded"
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {length}\r\n\r\n".encode()


def connect(service: Running, source: str = "127.0.0.1") -> socket.socket:
    port = int(service.address.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))


def ask(service: Running, path: str = "/livez", method: str = "GET", body: bytes = b"", **headers: str) -> int:
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        return connection.getresponse().status


def score(service: Running, token: str) -> int:
    body = b'{"appointments": [{"appointment_id": "a", "age_years": 50}]}'
    return ask(service, "/v1/score", "POST", body, **{"content-type": "application/json"}, **bearer(token))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    """A service that reads four bodies at a time and may open few files, and a key for it."""
    home = tmp_path_factory.mktemp("connections") / "home"
    key = api_keys.create(home, name="booking team", scopes=(api_keys.KeyScope.ADMIN,)).token
    few_files = () if sys.platform == "win32" else FEW_FILES
    with running(home, settings=ONE_WORKER + "[limits]\nbodies_at_once = 4\n", before=few_files) as service:
        yield service, key


def test_slow_sign_in_forms_take_no_place_of_those_with_a_key(served: tuple[Running, str]) -> None:
    service, key = served
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            slow = stack.enter_context(connect(service))
            slow.sendall(post_head("/sign-in", 100) + b"key=")
        assert {score(service, key) for _ in range(5)} == {200}
        assert (
            ask(service, "/sign-in", "POST", b"key=x", **{"content-type": "application/x-www-form-urlencoded"}) == 403
        )


@posix
def test_idle_connections_use_up_no_file_of_the_service(served: tuple[Running, str]) -> None:
    service, key = served
    # Of other addresses, and of the one that asks: that address is served all the same.
    for first, addresses, connections in ((2, 40, 900), (1, 1, 600)):
        with contextlib.ExitStack() as stack:
            for number in range(connections):
                source = f"127.0.0.{first + number % addresses}"
                with contextlib.suppress(OSError):
                    stack.enter_context(connect(service, source))
            assert {ask(service) for _ in range(5)} == {200}
            assert {score(service, key) for _ in range(5)} == {200}
    assert "out of system resource" not in service.log.read_text()


UNFINISHED = (b"", b"GET /livez HTTP/1.1\r\nhost: 127", post_head("/sign-in", 10) + b"key=")


def test_a_client_that_does_not_finish_its_request_is_disconnected(home: Path) -> None:
    hasty = ONE_WORKER + "[limits]\nseconds_to_ask = 1\n[anonymous]\nseconds_to_send = 1\n"
    with running(home, settings=hasty) as service, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(service)) for _ in UNFINISHED]
        for connection, sent in zip(slow, UNFINISHED, strict=True):
            connection.sendall(sent)
        received = [everything(connection) for connection in slow]
    for answer in received:
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


def everything(connection: socket.socket) -> bytes:
    """What comes until the connection is closed."""
    return b"".join(iter(lambda: _received(connection), b""))


def _received(connection: socket.socket) -> bytes:
    """What comes; nothing where the connection is closed, an error where it stays open for half a minute."""
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


def test_a_web_socket_is_no_way_round_and_what_is_no_http_fills_no_log(served: tuple[Running, str]) -> None:
    service, _ = served
    upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    upgrade += "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    with connect(service) as one, connect(service) as other:
        other.sendall(b"no HTTP at all\r\n\r\n")
        assert other.recv(12) == b"HTTP/1.1 400"
        one.sendall(f"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n{upgrade}\r\n".encode())
        assert one.recv(12) == b"HTTP/1.1 200"
        written = service.log.read_text()
    assert "Invalid HTTP request" not in written
    assert "upgrade" not in written


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
        held.request_arrived(clients[0])
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
    from dnapredict.service.open_files import connections_for

    assert connections_for(65_536, wanted=1_000) <= 1_000
    assert connections_for(1_024, wanted=1_000) * 2 < 1_024 - 256
    assert connections_for(64, wanted=1_000) == 16


@posix
def test_more_open_files_are_asked_for_up_to_the_hard_limit() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "from dnapredict.service.open_files import raise_file_limit; print(raise_file_limit())"
    command = ["sh", "-c", 'ulimit -S -n 256; exec "$@"', "sh", sys.executable, "-c", text]
    told = int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout)
    assert told == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))


class Transport(asyncio.Transport):
    """A network connection that goes nowhere."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 5_000), "sockname": ("127.0.0.1", 3_000)})
        self.gone = False

    def abort(self) -> None:
        self.gone = True

    def is_closing(self) -> bool:
        return self.gone

    def write(self, data: Any) -> None:
        pass

    def pause_reading(self) -> None:
        pass


@pytest.mark.parametrize(
    ("happens", "gone_at"),
    [
        (lambda _: None, 11.0),
        (lambda protocol: protocol.data_received(b"GET / HTTP/1.1\r\nx-slow: "), 11.0),
        (lambda protocol: protocol.pause_writing(), 31.0),
    ],
)
def test_neither_silence_nor_single_bytes_nor_unread_answers_hold_a_connection(
    happens: Callable[[Any], None], gone_at: float
) -> None:
    import uvicorn

    from dnapredict.service.connections import _STATE, GuardedProtocol

    now = 0.0

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("no request was complete")

    def work(held: Any) -> None:
        nonlocal now
        state = {"server_state": uvicorn.server.ServerState(), "app_state": {_STATE: held}}
        protocol, transport = GuardedProtocol(uvicorn.Config(app), **state), Transport()
        protocol.connection_made(transport)
        if gone_at > 11:
            protocol._waiting_since = None  # a request is being answered
        happens(protocol)
        now = gone_at - 2
        held.sweep()
        assert not transport.gone
        if gone_at == 11.0:
            protocol.data_received(b"G")
        now = gone_at
        held.sweep()
        assert transport.gone

    in_loop(work, clock=lambda: now)
