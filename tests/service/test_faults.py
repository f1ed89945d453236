"""What can break on a machine, done to the running service: it says so, keeps its word, and recovers."""

import concurrent.futures
import contextlib
import datetime
import http.client
import json
import os
import resource
import secrets
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.service import postgres
from tests.service.conftest import wait_until_ready
from tests.service.double import steady_champion
from tests.service.pages import week
from tests.service.process import ONE_WORKER, Running, running

from dnapredict.config.service_config import ServiceConfig
from dnapredict.service.app import build
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.log_tables import ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog

KILLS = 4
SECONDS_TO_RECOVER = 60
QUICK_MS = 1_000  # on a busy machine; benchmarks measure the real figure
IMPATIENT = "[limits]\nseconds_to_send = 1\nbodies_at_once = 20\n"


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """One request on a connection of its own; 0 where the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def port_of(service: Running) -> int:
    return int(service.address.rpartition(":")[2])


def score(service: Running, appointment: str = "a") -> tuple[int, bytes]:
    body = {"appointments": [{"appointment_id": appointment, "age_years": 50}]}
    return ask(port_of(service), "POST", "/v1/score", json.dumps(body).encode())


def recovers(service: Running) -> bool:
    until = time.monotonic() + SECONDS_TO_RECOVER
    while time.monotonic() < until:
        if score(service)[0] == 200:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults") / "home"


@pytest.fixture(scope="module")
def service(served_home: Path) -> Iterator[Running]:
    with running(served_home, settings=IMPATIENT) as service:
        yield service


def test_after_workers_were_killed_each_answer_that_was_given_is_on_record_once(
    service: Running, served_home: Path
) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            mark = secrets.token_hex(8)
            status, _ = score(service, mark)
            if status == 200:
                acknowledged.append(mark)

    with concurrent.futures.ThreadPoolExecutor() as clients:
        asking = [clients.submit(client) for _ in range(4)]
        for _ in range(KILLS):
            _answered(acknowledged, 5 + secrets.randbelow(60))
            os.kill(secrets.choice(service.workers()), signal.SIGKILL)
        assert recovers(service)
        stop.set()
        for each in asking:
            each.result()
    log, hashes = ScoringLog(served_home), Hashes(served_home)
    rows = Counter(row.appointment for row in log.query(select(ANSWERS.c.appointment)))
    assert len(acknowledged) > 5 * KILLS
    assert {rows[hashes.of("appointment", mark)] for mark in acknowledged} == {1}
    assert log.verify().entries == sum(rows.values())
    log.close()


def _answered(acknowledged: list[str], more: int) -> None:
    """Wait until so many more answers were given: a worker that is only starting has nothing to lose."""
    wanted, until = len(acknowledged) + more, time.monotonic() + SECONDS_TO_RECOVER
    while len(acknowledged) < wanted and time.monotonic() < until:
        time.sleep(secrets.randbelow(20) / 1_000)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are Linux's")
def test_a_full_disk_is_503_and_when_there_is_room_again_it_answers(service: Running, served_home: Path) -> None:
    assert recovers(service)
    workers = service.workers()
    for worker in workers:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        status, body = score(service)
        assert (status, b"the scoring log cannot be written" in body) == (503, True)
        assert ask(port_of(service), "GET", "/livez")[0] == 200
    finally:
        for worker in workers:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert recovers(service)
    assert ScoringLog(served_home).verify().entries > 0


def test_an_upload_that_finds_no_room_for_temporary_files_is_503_with_a_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    files = {"file": ("week.csv", week())}
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        answer = client.post("/v1/lists", files=files)
    assert (answer.status_code, "cannot write its temporary files (No space left on device)" in answer.text) == (
        503,
        True,
    )
    assert client.post("/v1/lists", files=files).is_success


def test_clients_that_send_slowly_keep_nobody_waiting(service: Running) -> None:
    slow = [socket.create_connection(("127.0.0.1", port_of(service))) for _ in range(60)]
    try:
        for connection in slow:
            connection.sendall(
                b"POST /v1/score HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                b"content-length: 1000\r\n\r\n{"
            )
        began = time.perf_counter()
        assert ask(port_of(service), "GET", "/livez")[0] == 200
        assert (time.perf_counter() - began) * 1_000 < QUICK_MS
        first_words = {connection.recv(12) for connection in slow}
        assert first_words <= {b"HTTP/1.1 408", b"HTTP/1.1 503"}
        assert b"HTTP/1.1 408" in first_words
    finally:
        for connection in slow:
            connection.close()
    assert score(service)[0] == 200


def test_fifty_megabytes_of_json_are_refused_at_once_and_not_held(service: Running) -> None:
    before = service.memory_mb()
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port_of(service)), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/score HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: 55574528\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 413"
    assert (time.perf_counter() - began) * 1_000 < QUICK_MS
    assert _sent_in_pieces(service, 53 * 1_048_576) in (413, 0)  # 0: it hung up on us, as it may
    assert service.memory_mb() - before < 50


def _sent_in_pieces(service: Running, size: int) -> int:
    """The status of a body whose length is not told beforehand."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(service), timeout=20)
    pieces = (b" " * 65_536 for _ in range(size // 65_536))
    with contextlib.closing(connection):
        try:
            connection.request("POST", "/v1/score", pieces, {"content-type": "application/json"})
        except OSError:
            return 0
        return connection.getresponse().status


@pytest.mark.skipif(sys.platform != "linux", reason="a home that its own root may not write is Linux's")
def test_a_home_that_cannot_be_written_is_503_and_the_rest_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    # Root may write anywhere until that right is taken away.
    without_right = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    try:
        with running(home, settings=ONE_WORKER, before=without_right) as service:
            status, body = score(service)
            assert (status, b"cannot be written" in body) == (503, True)
            assert ask(port_of(service), "GET", "/v1/model")[0] == 200
            assert ask(port_of(service), "GET", "/readyz")[0] == 200
    finally:
        home.chmod(0o755)


def test_while_its_database_is_stopped_it_is_503_and_afterwards_it_answers(tmp_path: Path) -> None:
    server = postgres.start()
    champion = steady_champion()
    try:
        address = server.new_database("log")
        ScoringLog(tmp_path, address).upgrade()
        config = ServiceConfig(database=address)
        with TestClient(build(tmp_path, champion, config=config).to_asgi(), base_url="http://127.0.0.1") as client:
            wait_until_ready(client)
            row = {"appointment_id": "a", "age_years": 50}

            def status() -> int:
                return client.post("/v1/score", json={"appointments": [row]}).status_code

            assert status() == 200
            server.stop()
            assert status() == 503
            assert client.get("/livez").status_code == 200
            server.start()
            assert status() == 200
        log = ScoringLog(tmp_path, address)
        assert log.verify().entries == 2
        log.close()
    finally:
        champion.stop()
        server.remove()


@pytest.mark.parametrize("days", [-4_000, 4_000])
def test_a_clock_that_jumps_changes_no_answer_and_breaks_no_chain(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    def answer() -> list[dict[str, Any]]:
        row = {"appointment_id": "a", "age_years": 50}
        return client.post("/v1/score", json={"appointments": [row]}).json()["results"]

    before = answer()
    real, jump = time.time, days * 86_400.0

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.fromtimestamp(real() + jump, tz)

    monkeypatch.setattr(time, "time", lambda: real() + jump)
    monkeypatch.setattr("dnapredict.worklist.files.kept_list.datetime.datetime", Clock)
    assert answer() == before
    monkeypatch.undo()
    assert answer() == before
    assert ScoringLog(home).verify().entries == 3
