"""Requests of every kind, with a marked value wherever a caller could put a patient's.

Three sources: the service's own description (schemathesis), what no description foresees (strategies of hypothesis),
and bytes on a connection, written by a grammar of HTTP/1.1 and then damaged.
"""

import http.client
import json
import math
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

MARK = "zebra-4711"
WITHOUT_LIMIT = "[limits]\nrequests_a_minute = 1_000_000\nburst = 100_000\n"
# A list that is well described can still be no list: a picture, a book without a sheet.
_NOT_CHECKED = "positive_data_acceptance"
SLOWEST_S = 10.0  # a machine that is shared may stop for a while; the service may not

_TEXT = st.text(max_size=20) | st.just(MARK)
_NAMES = st.sampled_from(["appointment_id", "patient_id", "age_years", "starts_at", "booked_at", "imd_decile", MARK])
_CELLS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT | st.just([MARK]) | st.just({MARK: MARK})
_ROWS = st.dictionaries(_NAMES | _TEXT, _CELLS, max_size=6) | _CELLS
_REQUESTS = st.fixed_dictionaries(
    {}, optional={"appointments": st.lists(_ROWS, max_size=4) | _CELLS, "reasons": _CELLS, MARK: _CELLS}
)
_JSON = (_REQUESTS | _CELLS).map(lambda content: json.dumps(content).encode())
_FORM = (
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="' + MARK.encode() + b'.csv"\r\n\r\n'
    b"appointment_id,starts_at,booked_at\n" + MARK.encode() + b",,\n\r\n--x--\r\n"
)
_BODIES = st.one_of(
    _JSON,
    st.tuples(_JSON, st.integers(0, 40)).map(lambda cut: cut[0][: cut[1]] + MARK.encode()),
    st.binary(max_size=60),
    st.just(b"[" * 5_000),
    st.just(f"line=1&outcome={MARK}&{MARK}=1".encode()),
    st.just(b'{"appointments": [{"appointment_id": "\\ud800' + MARK.encode() + b'"}]}'),
    st.just(_FORM),
)
_PATHS = (
    "/v1/score",
    "/v1/score",
    "/v1/lists",
    "/upload",
    "/sign-in",
    "/v1/model",
    "/",
    "/livez",
    "/docs.json",
    "/v1/lists/0123456789abcdef",
    f"/v1/lists/{MARK}",
    f"/v1/lists/{MARK}/actions",
    f"/{MARK}",
    "/lists",
    f"/lists/{MARK}",
    "/lists/0123456789abcdef/outcomes",
    f"/lists/{MARK}/file",
    "/model",
    "/about",
)
_QUERIES = (
    "",
    f"?form={MARK}",
    f"?{MARK}",
    "?form=csv",
    "?show=%00&page=99999",
    "?page=-1",
    f"?clinic={MARK}&said=1&sort=time",
)
_TYPES = (
    "application/json",
    "application/json",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "text/plain",
    MARK,
    "",
)
_HEADERS = ("authorization", "cookie", "accept", "origin", "x-forwarded-for", "x-note", "range")
_VALUES = (MARK, f"Bearer {MARK}", f"dnapredict_session={MARK}", "text/html", "null")


class Asked:
    """Requests over a connection that is kept, and how many seconds each answer took."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        self.seconds: list[float] = []

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status of the answer, and its headers and content."""
        began = time.perf_counter()
        for _ in range(2):  # a kept connection may just have been let go
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                content = answer.read()
                self.seconds.append(time.perf_counter() - began)
                return answer.status, str(answer.headers).encode() + content
            except (http.client.HTTPException, OSError):
                self._connection.close()
        raise AssertionError("no answer")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def ask_unforeseen(asked: Asked, *, requests: int, until: float = math.inf) -> None:
    """Ask what no description foresees; nothing more is asked after the time `until` (monotonic).

    Raises
    ------
    AssertionError
        If an answer is the service's fault, or a refusal holds the marked value.
    """

    anything = st.tuples(
        st.sampled_from(["POST", "POST", "POST", "GET", "PUT"]),
        st.tuples(st.sampled_from(_PATHS), st.sampled_from(_QUERIES)).map("".join),
        _BODIES,
        st.dictionaries(st.sampled_from(_HEADERS), st.sampled_from(_VALUES), max_size=2),
        st.sampled_from(_TYPES),
    )

    @settings(
        max_examples=requests,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(anything)
    def any_request(request: tuple[str, str, bytes, dict[str, str], str]) -> None:
        if time.monotonic() > until:
            return
        method, path, body, headers, kind = request
        status, content = asked.ask(method, path, body, headers | {"content-type": kind})
        _judge([status], content, (method, path, body))

    any_request()


def ask_described(address: str, *, examples: int, folder: Path, seed: int = 4711) -> int:
    """Ask what the description allows and what it forbids, and hold every answer against it; how many requests.

    Raises
    ------
    AssertionError
        If an answer is not as it is described.
    """
    program = Path(sys.executable).with_name("schemathesis")
    checks = ["--checks", "all", "--exclude-checks", _NOT_CHECKED, "--max-response-time", str(SLOWEST_S)]
    amount = ["--max-examples", str(examples), "--seed", str(seed), "--phases", "coverage,fuzzing", "--no-shrink"]
    # A connection that is kept may be let go at the moment at which it is used again.
    amount += ["--request-retries", "2"]
    kept = ["--generation-database", "none", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run(
        [program, "run", address + "/docs.json", *checks, *amount, *kept],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    generated = re.search(r"([\d,]+) generated", done.stdout)
    assert done.returncode == 0, done.stdout[-6_000:]
    assert generated is not None, done.stdout[-6_000:]
    return int(generated[1].replace(",", ""))


def ask_bytes(port: int, *, requests: int, seed: int) -> dict[str, int]:
    """Send bytes that a grammar of HTTP/1.1 writes, nearly half of them damaged; how many answers of each status.

    A request without an answer, as after one that is not complete, counts as `none`.

    Raises
    ------
    AssertionError
        If an answer is the service's fault, or a refusal holds the marked value.
    """
    chance, found = random.Random(seed), {}  # noqa: S311 - no secret
    for _ in range(requests):
        sent = written(chance)
        answer = _answer(port, sent)
        statuses = [int(each) for each in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer, re.MULTILINE)]
        _judge(statuses, answer, sent)
        for name in map(str, statuses or ["none"]):
            found[name] = found.get(name, 0) + 1
    return found


def written(chance: random.Random) -> bytes:
    """One request in bytes: by the grammar, and in 4 of 10 with a few bytes removed, repeated or changed."""
    request = b"".join([_request_line(chance), *_header_lines(chance), _end_and_body(chance)])
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        at, length = chance.randrange(len(request)), chance.randrange(1, 9)
        piece = request[at : at + length]
        other = chance.choice((b"", piece * 3, bytes([chance.randrange(256)]), b"\r\n", b"\0", b" "))
        request = request[:at] + other + request[at + length :]
    return request


def _request_line(chance: random.Random) -> bytes:
    method = chance.choice(
        (b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"get", b"P ST")
    )
    target = chance.choice(_PATHS) + chance.choice(_QUERIES)
    form = chance.choice(
        ("{}", "{}", "{}", "http://127.0.0.1{}", "//{}", "*", "/..{}", "/%2e%2e{}", "{}%ff", "{}#a", "{}\t")
    )
    version = chance.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""))
    return b"%s %s %s\r\n" % (method, form.format(target).encode("latin-1"), version)


def _header_lines(chance: random.Random) -> list[bytes]:
    lines = [b"host: 127.0.0.1\r\n"] * chance.choice((1, 1, 1, 1, 0, 2))
    lines.append(b"content-type: %s\r\n" % chance.choice(_TYPES).encode())
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        name, value = chance.choice((*_HEADERS, "x" * 300, "", "a b", "cookie")), chance.choice(_VALUES)
        separator = chance.choice((": ", ":", " : ", ""))
        more = chance.choice(("", "", "\r\n folded", "\xe9", "a" * 5_000))
        lines.append(f"{name}{separator}{value}{more}\r\n".encode("latin-1"))
    chance.shuffle(lines)
    return lines


def _end_and_body(chance: random.Random) -> bytes:
    body = chance.choice(
        (
            b"",
            b'{"appointments": []}',
            b'{"appointments": [{"appointment_id": "%s"}]}' % MARK.encode(),
            _FORM,
            b"[" * 500,
        )
    )
    length, size = len(body), b"%x" % len(body)
    ends: tuple[Callable[[], bytes], ...] = (
        lambda: b"content-length: %d\r\n\r\n%s" % (length, body),
        lambda: b"content-length: %d\r\n\r\n%s" % (length, body),
        lambda: b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (length, body),
        lambda: b"transfer-encoding: chunked\r\n\r\n%s\r\n%s\r\n0\r\n\r\n" % (size, body) if body else b"\r\n",
        lambda: b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n%s\r\n%s\r\n0\r\n\r\n" % (size, body),
        lambda: b"transfer-encoding: gzip, chunked\r\n\r\n%s;a=%s\r\n%s\r\n0\r\n\r\n" % (size, MARK.encode(), body),
        lambda: b"content-length: -1\r\n\r\n%s" % body,
        lambda: b"content-length: 99999999999\r\n\r\n",
        lambda: b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        lambda: b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n%s" % (length, body),
        lambda: b"content-length: %d\r\n\r\n%sGET /%s HTTP/1.1\r\nhost: a\r\n\r\n" % (length, body, MARK.encode()),
    )
    return chance.choice(ends)()


def _answer(port: int, sent: bytes) -> bytes:
    """What comes back on a connection of its own, until it ends or nothing more comes for a while."""
    parts: list[bytes] = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            # The first answer may take as long as any; after it, what else was asked is answered at once or never.
            connection.settimeout(0.25 if _is_cut(sent) else SLOWEST_S)
            while part := connection.recv(65_536):
                parts.append(part)
                connection.settimeout(0.05)
        except OSError:  # no further answer: the request is not complete, or the connection was ended
            pass
    return b"".join(parts)


def _is_cut(sent: bytes) -> bool:
    """Whether the service may wait for the rest of such a request."""
    head, _, body = sent.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head)
    waits = length is not None and int(length[1]) > len(body)
    return b"\r\n\r\n" not in sent or waits or (b"chunked" in head and not body.endswith(b"0\r\n\r\n"))


def _judge(statuses: list[int], answer: bytes, sent: object) -> None:
    assert all(status < 500 for status in statuses), (statuses, sent)
    if statuses and min(statuses) >= 400:
        assert MARK.encode() not in answer, (statuses, sent)
