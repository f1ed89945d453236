"""Thousands of requests of every kind: none is the service's fault, none hangs, none is repeated.

Schemathesis asks what the description allows and what it forbids, and holds every answer against it. Hypothesis asks
what no description foresees, and a grammar writes the bytes of requests, some of them damaged, with a marked value
wherever a caller could put a patient's. `python -m benchmarks.service_requests` asks 100,000.
"""

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.under_load.any_request import (
    MARK,
    SLOWEST_S,
    WITHOUT_LIMIT,
    Asked,
    ask_bytes,
    ask_described,
    ask_unforeseen,
)
from tests.examples import examples
from tests.service.process import ONE_WORKER, Running, running

DESCRIBED, UNFORESEEN, BYTES = examples(600), 3_200, 800
SECONDS = {"nearly all": 1.0, "all": SLOWEST_S}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("any") / "home", settings=ONE_WORKER + WITHOUT_LIMIT) as service:
        yield service


def test_every_answer_is_as_it_is_described(service: Running, tmp_path: Path) -> None:
    assert ask_described(service.address, examples=examples(80), folder=tmp_path) >= DESCRIBED


@pytest.fixture
def asked(service: Running) -> Iterator[Asked]:
    with contextlib.closing(Asked(service.address)) as asked:
        yield asked


def test_nothing_that_is_asked_is_the_services_fault_or_comes_back_in_a_refusal(service: Running, asked: Asked) -> None:
    ask_unforeseen(asked, requests=UNFORESEEN)
    asked.seconds.sort()
    assert len(asked.seconds) >= UNFORESEEN
    assert asked.seconds[int(len(asked.seconds) * 0.999)] < SECONDS["nearly all"]
    assert asked.seconds[-1] < SECONDS["all"]
    nothing_marked_is_kept(service, asked)


def test_no_bytes_on_a_connection_are_the_services_fault(service: Running, asked: Asked) -> None:
    statuses = ask_bytes(int(service.address.rpartition(":")[2]), requests=BYTES, seed=4711)
    # The grammar writes what is answered and what is refused, not refusals alone.
    assert {"200", "400", "404"} <= set(statuses)
    nothing_marked_is_kept(service, asked)


def nothing_marked_is_kept(service: Running, asked: Asked) -> None:
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
