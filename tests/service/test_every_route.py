"""Every address of the service, with no key, a wrong one, a revoked one, one of each scope and one of each role."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.double import steady_champion
from tests.spec.test_service_access import COLUMNS, ROLES, rows

from dnapredict.config.service_config import Anonymous, ServiceConfig
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.accounts import Accounts
from dnapredict.service.auth.api_keys import KeyScope
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.pages.live import LiveLists

PAGE = "/lists/0123456789abcdef"
REACHED_BY = {
    (row["method"], row["address"]): {column for column in COLUMNS.values() if row[column]}
    for row in rows(ROLES)
    if not row["nobody"]
}
OPEN_TO_ALL = {(row["method"], row["address"]) for row in rows(ROLES) if row["nobody"]}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """The service of a home with keys, and the keys: one of each scope and role, and one that is revoked."""
    home: Path = tmp_path_factory.mktemp("home")
    made = {scope.value: api_keys.create(home, name=scope, scopes=(scope,)) for scope in KeyScope}
    for role in StaffRole:
        made[COLUMNS[role]] = api_keys.create_personal(home, name="A. Name", team="North", role=role)
    made["revoked"] = api_keys.create(home, name="revoked", scopes=(KeyScope.ADMIN,))
    api_keys.revoke(home, made["revoked"].key.key_id)
    # Each address is tried with five wrong keys: so many would be held off otherwise.
    patient = ServiceConfig(anonymous=Anonymous(failures_of_programs=10_000))
    with served_at(home, patient) as client:
        yield client, {name: key.token for name, key in made.items()}


def status(client: TestClient, method: str, path: str, token: str | None) -> int:
    client.cookies.clear()
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return client.request(method, path, headers=headers, follow_redirects=False).status_code


@pytest.mark.parametrize(("method", "path"), REACHED_BY)
def test_without_a_key_or_with_a_wrong_or_revoked_one_it_is_401(
    guarded: tuple[TestClient, dict[str, str]], method: str, path: str
) -> None:
    client, made = guarded
    mixed = made["admin"][:14] + made["list"][14:]
    for token in (None, "", "wrong", mixed, made["revoked"], "a.b.c"):
        assert status(client, method, path, token) == 401


@pytest.mark.parametrize(("method", "path"), REACHED_BY)
@pytest.mark.parametrize("holder", COLUMNS.values())
def test_a_scope_or_a_role_opens_its_own_addresses_and_no_other(
    guarded: tuple[TestClient, dict[str, str]], method: str, path: str, holder: str
) -> None:
    client, made = guarded
    refused = status(client, method, path, made[holder]) in (401, 403)
    assert refused == (holder not in REACHED_BY[method, path])


@pytest.mark.parametrize(("method", "path"), sorted(OPEN_TO_ALL))
def test_health_and_what_everybody_may_read_ask_for_none(
    guarded: tuple[TestClient, dict[str, str]], method: str, path: str
) -> None:
    client, _ = guarded
    is_not_there = path.startswith("/sign-in/")  # a link that was used, and an issuer where there is none
    assert status(client, method, path, None) == (415 if method == "POST" else 404 if is_not_there else 200)


def test_the_table_leaves_no_address_out(guarded: tuple[TestClient, dict[str, str]]) -> None:
    client, made = guarded
    described = client.get("/docs.json", headers={"authorization": f"Bearer {made['admin']}"}).json()["paths"]
    asked = {path for _, path in {*REACHED_BY, *OPEN_TO_ALL}}
    random = PAGE.removeprefix("/lists")
    asked = {path.replace(random, "/{token}" if "link" in path else "/{list_id}") for path in asked}
    known = {path.replace("/7", "/{line:int}") for path in asked}
    assert set(described) <= known
    assert set(_routes()) <= known | {"/{path:path}", "/static"}


def _routes() -> Iterator[str]:
    from dnapredict.service.web import web_app

    nothing: Any = None
    app = web_app(
        steady_champion(),
        accounts=Accounts.of(Path()),
        failed=nothing,
        lists=cast("Any", SimpleNamespace(home=Path())),
        scoring=nothing,
        actions=nothing,
        documents=nothing,
        worklist=nothing,
        live=LiveLists(nothing, nothing, nothing, most=nothing),
    )
    for route in app.routes:
        assert isinstance(route, Route | Mount)
        yield route.path
