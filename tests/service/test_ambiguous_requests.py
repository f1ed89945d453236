"""Requests that two programs would read differently are refused: framing, repeated headers, repeated JSON keys."""

import asyncio

import h11
import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Scope
from tests.service.test_access import bearer

from dnapredict.service.middleware.ambiguous_requests import UnambiguousHeaders

JSON = {"content-type": "application/json"}
MARK = "zebra-4711"


@pytest.mark.parametrize("path", ["/v1/score", "/sign-in", "/livez", "/no-such"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_length_beside_a_transfer_coding_is_refused_and_the_connection_closed(
    guarded: TestClient, method: str, path: str
) -> None:
    answer = guarded.request(method, path, headers={"content-length": "2", "transfer-encoding": "chunked"})
    assert answer.status_code == 400
    assert answer.headers["connection"] == "close"
    assert answer.json() == {"error": "The request has both Content-Length and Transfer-Encoding: send one of them."}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_transfer_coding_in_a_version_without_one_is_refused_and_the_connection_closed() -> None:
    """RFC 9112, 6.1: its framing counts as faulty, since a proxy of HTTP/1.0 has not seen where the body ends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def answer(*_: object) -> None:
        raise AssertionError

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {"type": "http", "http_version": "1.0", "method": "POST", "path": "/v1/score"}
    scope["headers"] = [(b"transfer-encoding", b"chunked")]
    asyncio.run(UnambiguousHeaders(answer)(scope, receive, send))
    assert sent[0]["status"] == 400
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"HTTP/1.0 has no Transfer-Encoding" in sent[1]["body"]


def test_the_servers_parser_passes_both_headers_on() -> None:
    """Without this the middleware would never see them."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n")
    request = parser.next_event()
    assert {b"content-length", b"transfer-encoding"} <= {name for name, _ in request.headers}


@pytest.mark.parametrize("name", ["authorization", "content-type", "host", "origin", "sec-fetch-site"])
def test_a_header_that_decides_something_is_sent_once(guarded: TestClient, key: str, name: str) -> None:
    once = {"authorization": f"Bearer {key}", "content-type": "application/json", "host": "127.0.0.1"}
    repeated = [(name, once.get(name, MARK)), (name, MARK)]
    headers = [*((each, value) for each, value in once.items() if each != name), *repeated]
    answer = guarded.post("/v1/score", content='{"appointments": []}', headers=headers)
    assert answer.status_code == 400
    assert answer.json() == {"error": f"The request has the header {name} more than once."}


@pytest.mark.parametrize(
    "body",
    [
        '{"appointments": [], "appointments": []}',
        f'{{"appointments": [{{"appointment_id": "{MARK}", "appointment_id": "b"}}]}}',
        '{"appointments": [{"age_years": 3, "age\\u005fyears": 4}]}',
        '{"appointments": [], "reasons": true, "reasons": true}',
        '{"appointments": [' + " " * 100_000 + '{"a": 1, "a": 2}]}',
    ],
)
def test_a_json_key_that_is_sent_twice_is_refused(guarded: TestClient, key: str, body: str) -> None:
    answer = guarded.post("/v1/score", content=body, headers=JSON | bearer(key))
    assert answer.status_code == 400
    assert answer.json() == {"error": "The request holds a key twice in one JSON object."}


def test_an_outcome_with_a_key_twice_is_not_recorded(client: TestClient, address: str) -> None:
    body = '{"appointment_id": "059", "outcome": "confirmed", "outcome": "cancelled"}'
    answer = client.post(f"/v1{address}/actions", content=body, headers=JSON)
    assert answer.status_code == 400
    assert "twice" in answer.json()["error"]


@pytest.mark.parametrize(
    "body", [b"\xff{}", b"", b"{", b'\xef\xbb\xbf{"appointments": []}', b'{"appointments": ' + b"[" * 100_000]
)
def test_what_is_no_json_is_refused_before_anything_reads_it(guarded: TestClient, key: str, body: bytes) -> None:
    answer = guarded.post("/v1/score", content=body, headers=JSON | bearer(key))
    assert answer.status_code == 400
    assert answer.json() == {"error": "The request is not valid JSON."}


def test_the_same_key_in_two_objects_is_no_repetition(guarded: TestClient, key: str) -> None:
    body = '{"appointments": [{"age_years": 3}, {"age_years": 4}]}'
    assert guarded.post("/v1/score", content=body, headers=JSON | bearer(key)).status_code == 200
