"""Thousands of requests of every kind: none is the service's fault, none hangs, none is repeated.

Schemathesis asks what the description allows and what it forbids, and holds every answer against it.
Hypothesis asks what no description foresees, with a marked value wherever a caller could put a patient's.
"""

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.service.process import Running, running

MARK = "zebra-4711"
WITHOUT_LIMIT = "[limits]\nrequests_a_minute = 1_000_000\nburst = 100_000\n"
DESCRIBED, UNFORESEEN = 1_500, 3_200
SECONDS = {"nearly all": 1.0, "all": 10.0}  # the machine that tests may stop for a while; the service may not
# A list that is well described can still be no list: a picture, a book without a sheet.
NOT_CHECKED = "positive_data_acceptance"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("any") / "home", settings=WITHOUT_LIMIT) as service:
        yield service


def test_every_answer_is_as_it_is_described(service: Running, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    checks = ["--checks", "all", "--exclude-checks", NOT_CHECKED, "--max-response-time", str(SECONDS["all"])]
    amount = ["--max-examples", "200", "--seed", "4711", "--phases", "coverage,fuzzing", "--no-shrink"]
    # A connection that is kept may be let go at the moment at which it is used again.
    amount += ["--request-retries", "2"]
    kept = ["--generation-database", "none", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run(
        [program, "run", service.address + "/docs.json", *checks, *amount, *kept],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    generated = re.search(r"(\d+) generated", done.stdout)
    assert done.returncode == 0, done.stdout[-6_000:]
    assert generated is not None
    assert int(generated[1]) >= DESCRIBED


TEXT = st.text(max_size=20) | st.just(MARK)
NAMES = st.sampled_from(["appointment_id", "patient_id", "age_years", "starts_at", "booked_at", "imd_decile", MARK])
CELLS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just([MARK]) | st.just({MARK: MARK})
ROWS = st.dictionaries(NAMES | TEXT, CELLS, max_size=6) | CELLS
REQUESTS = st.fixed_dictionaries(
    {}, optional={"appointments": st.lists(ROWS, max_size=4) | CELLS, "reasons": CELLS, MARK: CELLS}
)
JSON = (REQUESTS | CELLS).map(lambda content: json.dumps(content).encode())
BODIES = st.one_of(
    JSON,
    st.tuples(JSON, st.integers(0, 40)).map(lambda cut: cut[0][: cut[1]] + MARK.encode()),
    st.binary(max_size=60),
    st.just(b"[" * 5_000),
    st.just(f"line=1&outcome={MARK}&{MARK}=1".encode()),
    st.just(b'{"appointments": [{"appointment_id": "\\ud800' + MARK.encode() + b'"}]}'),
    st.just(
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="' + MARK.encode() + b'.csv"\r\n\r\n'
        b"appointment_id,starts_at,booked_at\n" + MARK.encode() + b",,\n\r\n--x--\r\n"
    ),
)
PATHS = (
    st.sampled_from(
        [
            "/v1/score",
            "/v1/score",
            "/v1/lists",
            "/upload",
            "/sign-in",
            "/v1/model",
            "/",
            "/livez",
            "/docs.json",
        ]
    )
    | st.sampled_from(["/v1/lists/0123456789abcdef", f"/v1/lists/{MARK}", f"/v1/lists/{MARK}/actions", f"/{MARK}"])
    | st.sampled_from(
        [
            "/lists",
            f"/lists/{MARK}",
            "/lists/0123456789abcdef/outcomes",
            f"/lists/{MARK}/file",
            "/model",
            "/about",
        ]
    )
)
QUERIES = st.sampled_from(
    [
        "",
        f"?form={MARK}",
        f"?{MARK}",
        "?form=csv",
        "?show=%00&page=99999",
        "?page=-1",
        f"?clinic={MARK}&said=1&sort=time",
    ]
)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/json",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "text/plain",
        MARK,
        "",
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "cookie", "accept", "origin", "x-forwarded-for", "x-note", "range"]),
    st.sampled_from([MARK, f"Bearer {MARK}", f"dnapredict_session={MARK}", "text/html", "null"]),
    max_size=2,
)


class Asked:
    """Connections that are kept, and how long each answer took."""

    def __init__(self, service: Running) -> None:
        self._address = service.address.removeprefix("http://")
        self._connection = http.client.HTTPConnection(self._address, timeout=30)
        self.seconds: list[float] = []

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
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
        self._connection.close()


@pytest.fixture
def asked(service: Running) -> Iterator[Asked]:
    with contextlib.closing(Asked(service)) as asked:
        yield asked


def test_nothing_that_is_asked_is_the_services_fault_or_comes_back_in_a_refusal(service: Running, asked: Asked) -> None:
    @settings(
        max_examples=UNFORESEEN,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(["POST", "POST", "POST", "GET", "PUT"]), PATHS, QUERIES, TYPES, BODIES, HEADERS)
    def any_request(method: str, path: str, query: str, kind: str, body: bytes, headers: dict[str, str]) -> None:
        status, content = asked.ask(method, path + query, body, headers | {"content-type": kind})
        assert 200 <= status < 500, (status, method, path, body)
        if status >= 400:
            assert MARK.encode() not in content

    any_request()
    asked.seconds.sort()
    assert len(asked.seconds) >= UNFORESEEN
    assert asked.seconds[int(len(asked.seconds) * 0.999)] < SECONDS["nearly all"]
    assert asked.seconds[-1] < SECONDS["all"]
    for path in ("/metrics", "/docs.json"):
        assert MARK.encode() not in asked.ask("GET", path, b"", {})[1]
    assert MARK not in service.log.read_text(encoding="utf-8")


def test_after_all_that_it_answers(service: Running) -> None:
    row: dict[str, Any] = {"appointment_id": "a", "age_years": 50}
    connection = http.client.HTTPConnection(service.address.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.request(
            "POST", "/v1/score", json.dumps({"appointments": [row]}), {"content-type": "application/json"}
        )
        assert connection.getresponse().status == 200
