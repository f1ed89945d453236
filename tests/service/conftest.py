"""The service as tests meet it: in this process, with the double for a scorer."""

import os
import secrets
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("BENTOML_HOME", tempfile.mkdtemp(prefix="dnapredict-test-bentoml-"))

import pytest

with warnings.catch_warnings():
    # Starlette's client prefers a successor of httpx; BentoML brings httpx, and it serves.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


from tests.service import postgres
from tests.service.double import steady_champion
from tests.service.pages import week

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import ServiceConfig
from dnapredict.service.api.champion import Champion
from dnapredict.service.app import build
from dnapredict.service.auth import api_keys

ADDRESS = "http://127.0.0.1"


def client_of(
    champion: Champion, home: Path, config: ServiceConfig | None = None, *, mapping: Mapping = IDENTITY
) -> TestClient:
    service = build(home, champion, config=config or ServiceConfig(), mapping=mapping)
    # As a browser says which page a form comes from; a program may say it too.
    return TestClient(service.to_asgi(), base_url=ADDRESS, headers={"referer": f"{ADDRESS}/"})


@contextmanager
def served_at(home: Path, config: ServiceConfig | None = None, *, mapping: Mapping = IDENTITY) -> Iterator[TestClient]:
    """A client of the service of a home, once it is ready; its champion is version 7."""
    champion = steady_champion()
    try:
        with client_of(champion, home, config, mapping=mapping) as client:
            wait_until_ready(client)
            yield client
    finally:
        champion.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with served_at(home) as client:
        yield client


@pytest.fixture
def key(home: Path) -> str:
    return api_keys.create(home, name="booking team", scopes=(api_keys.KeyScope.ADMIN,)).token


@pytest.fixture
def guarded(home: Path, key: str) -> Iterator[TestClient]:  # noqa: ARG001 - a key is there before the service
    with served_at(home) as client:
        yield client


@pytest.fixture
def address(client: TestClient) -> str:
    """Where the page of a list of 40 appointments is, of which four are called: 059, 058, 057, 056."""
    answer = client.post("/upload", files={"file": ("week-49.csv", week())}, follow_redirects=False)
    assert answer.status_code == 303
    return str(answer.headers["location"])


def wait_until_ready(client: TestClient) -> None:
    for _ in range(100):
        if client.get("/readyz").status_code == 200:
            return
        time.sleep(0.02)
    raise AssertionError("the service did not become ready")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server for all tests; each makes its own database in it."""
    server = postgres.start()
    yield server
    server.remove()


@pytest.fixture
def postgres_database(postgres_server: postgres.Server) -> str:
    """The address of an empty database."""
    return postgres_server.new_database(f"log_{secrets.token_hex(6)}")
