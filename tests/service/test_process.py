"""The service as its own processes: what reaches its log, how it ends, what it takes to start."""

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.service.process import ONE_WORKER, running

from dnapredict.errors import ModelError, StoreError, UsageError
from dnapredict.service import start
from dnapredict.service.auth import api_keys

MARK = "zebra-4711"


def post(address: str, body: bytes) -> int:
    request = urllib.request.Request(  # noqa: S310
        address + "/v1/score?" + MARK, body, {"content-type": "application/json", "x-note": MARK}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The log of a service that was sent a mark in every way, and its exit code after it was interrupted."""
    bodies = [
        {"appointments": [{"appointment_id": MARK, "age_years": MARK}]},
        {"appointments": [{MARK: 1}]},
        {"appointments": [{"appointment_id": [MARK]}]},
        {"appointments": MARK},
        {MARK: MARK},
    ]
    with running(tmp_path_factory.mktemp("process"), settings=ONE_WORKER) as service:
        for body in bodies:
            post(service.address, json.dumps(body).encode())
        post(service.address, b'{"appointments": [{"appointment_id": "' + MARK.encode())
        post(service.address, b"\xff" + MARK.encode())
        written = service.log.read_text()
    return written, int(service.process.returncode)


def test_nothing_that_a_caller_sends_reaches_the_log(ended: tuple[str, int]) -> None:
    assert MARK not in ended[0]


def test_it_ends_when_it_is_interrupted(ended: tuple[str, int]) -> None:
    assert ended[1] == 0


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "_require_champion", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=rf"Port {port} on 127\.0\.0\.1 cannot be used .* --port"):
            start.serve(tmp_path, host="127.0.0.1", port=port)


def test_a_home_without_a_champion_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dnapredict"):
        start.serve(tmp_path, host="127.0.0.1", port=0)


def test_the_service_is_not_opened_to_others_before_there_is_a_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--host 0\.0\.0\.0: others could .*`dnapredict keys create`"):
        start.serve(tmp_path, host="0.0.0.0", port=3000)  # noqa: S104
    api_keys.create(tmp_path, name="booking team", scopes=(api_keys.KeyScope.LIST,))
    with pytest.raises(ModelError):
        start.serve(tmp_path, host="0.0.0.0", port=3000)  # noqa: S104


def test_a_host_must_be_an_address(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape("--host everywhere: expected an IP address")):
        start.serve(tmp_path, host="everywhere", port=3000)
