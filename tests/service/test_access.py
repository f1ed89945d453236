"""Who is let in: this machine alone until a key exists, then whoever holds the right one."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.service.conftest import served_at

from dnapredict.service.auth import api_keys
from dnapredict.service.auth.api_keys import KeyScope
from dnapredict.service.client_address import networks, request_scheme
from dnapredict.service.readiness import IDENTITY_VARIABLE, first_identity, identity_of, named_identity

A_WORKERS_MEMORY = 1.1  # seconds, after which it reads the keys again
PUBLIC = ["/livez", "/readyz", "/about", "/sign-in", "/static/dnapredict.css"]
GUARDED = ["/", "/v1/model", "/docs.json", "/schema.json", "/no-such", "/static", "/staticky"]


def token(home: Path, *scopes: KeyScope) -> str:
    return api_keys.create(home, name="test", scopes=scopes).token


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


@pytest.fixture
def guarded(home: Path) -> Iterator[TestClient]:
    """The service of a home that has a key."""
    token(home, KeyScope.ADMIN)
    with served_at(home) as client:
        yield client


def score(client: TestClient, **headers: str) -> int:
    return client.post("/v1/score", json={"appointments": []}, headers=headers).status_code


def test_without_keys_this_machine_is_answered(client: TestClient) -> None:
    assert score(client) == 200
    assert client.get("/", headers={"host": "localhost:3000"}).status_code == 200
    assert client.get("/", headers={"host": "[::1]:3000"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"host": "127.0.0.1.rebound.example"},
        {"host": ""},
        {"x-forwarded-for": "192.0.2.1"},
        {"forwarded": "for=192.0.2.1"},
        {"via": "1.1 proxy.example"},
        {"x-real-ip": "192.0.2.1"},
        {"x-forwarded-proto": "https"},
        {"x-forwarded-server": "proxy.example"},
        {"x-client-ip": "192.0.2.1"},
        {"true-client-ip": "192.0.2.1"},
    ],
)
def test_without_keys_another_name_or_a_proxy_is_refused(client: TestClient, headers: dict) -> None:
    answer = client.get("/v1/model", headers=headers)
    assert answer.status_code == 401
    assert "dnapredict keys create" in answer.json()["error"]


def test_without_keys_a_request_from_another_machine_is_refused(client: TestClient) -> None:
    elsewhere = TestClient(client.app, base_url="http://192.0.2.7")
    assert elsewhere.get("/v1/model", headers={"host": "127.0.0.1"}).status_code == 401


@pytest.mark.parametrize("path", PUBLIC)
def test_health_and_what_everybody_may_read_need_no_key(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("value", ["", "wrong", "dnap_00000000_" + "A" * 43])
def test_everything_else_needs_one(guarded: TestClient, path: str, value: str) -> None:
    answer = guarded.get(path, headers=bearer(value) if value else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_each_scope_opens_its_own_door(guarded: TestClient, home: Path) -> None:
    scoring, listing, admin = (bearer(token(home, scope)) for scope in KeyScope)
    time.sleep(A_WORKERS_MEMORY)
    assert [score(guarded, **key) for key in (scoring, listing, admin)] == [200, 403, 200]
    assert [guarded.get("/", headers=key).status_code for key in (scoring, listing, admin)] == [403, 200, 200]
    assert [guarded.get("/v1/model", headers=key).status_code for key in (scoring, listing)] == [200, 200]
    assert guarded.get("/metrics", headers=listing).status_code == 403


def test_a_person_is_shown_where_to_sign_in(guarded: TestClient) -> None:
    answer = guarded.get("/", headers={"accept": "text/html"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
def test_a_form_on_another_site_is_refused(client: TestClient, headers: dict) -> None:
    assert score(client, **headers) == 403


def test_a_damaged_key_shuts_the_door(guarded: TestClient, home: Path) -> None:
    (home / "keys" / "00000000.json").write_text("{")
    time.sleep(A_WORKERS_MEMORY)
    assert guarded.get("/v1/model").status_code == 503


def test_signing_in_gives_a_session_that_scripts_and_other_sites_cannot_use(guarded: TestClient, home: Path) -> None:
    key = token(home, KeyScope.LIST)
    time.sleep(A_WORKERS_MEMORY)
    answer = guarded.post("/sign-in", data={"key": f" {key} "}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert key.split("_", 2)[2] not in cookie
    assert "Sign out" in guarded.get("/").text
    guarded.post("/sign-out")
    assert guarded.get("/").status_code in (401, 303)


def https_client(client: TestClient) -> TestClient:
    """The same service, as a browser reaches it through a proxy that ends TLS."""
    address = "https://dnapredict.trust.example"
    return TestClient(client.app, base_url=address, headers={"referer": f"{address}/"}, follow_redirects=False)


def test_over_https_a_cookie_is_bound_to_its_host_and_browsers_come_back_by_https(
    guarded: TestClient, home: Path
) -> None:
    key = token(home, KeyScope.LIST)
    time.sleep(A_WORKERS_MEMORY)
    browser = https_client(guarded)
    answer = browser.post("/sign-in", data={"key": key})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-dnapredict_session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert browser.get("/").status_code == 200
    left = browser.post("/sign-out").headers.get_list("set-cookie")
    assert any(each.startswith('__Host-dnapredict_session="";') and "Secure" in each for each in left)
    assert browser.get("/").status_code == 401


def test_over_https_a_cookie_that_another_host_could_have_planted_is_not_read(guarded: TestClient, home: Path) -> None:
    key = token(home, KeyScope.LIST)
    time.sleep(A_WORKERS_MEMORY)
    guarded.post("/sign-in", data={"key": key})
    session = guarded.cookies["dnapredict_session"]
    browser = https_client(guarded)
    assert browser.get("/", headers={"cookie": f"dnapredict_session={session}"}).status_code == 401
    assert browser.get("/", headers={"cookie": f"__Host-dnapredict_session={session}"}).status_code == 200


def test_without_https_no_browser_is_told_to_use_it(guarded: TestClient) -> None:
    assert "strict-transport-security" not in guarded.get("/about").headers


@pytest.mark.parametrize(
    ("peer", "proxies", "reported", "scheme"),
    [
        ("172.18.0.1", ["172.18.0.1"], "https", "https"),
        ("172.18.0.1", ["172.18.0.0/16"], "HTTPS", "https"),
        ("172.18.0.1", ["172.18.0.1"], "http", "http"),
        ("172.18.0.1", ["172.18.0.1"], "javascript", "http"),
        ("172.18.0.1", ["172.18.0.1"], "", "http"),
        ("172.18.0.1", [], "https", "http"),
        ("172.18.0.9", ["172.18.0.1"], "https", "http"),
    ],
)
def test_the_scheme_is_the_proxys_word_only_where_the_proxy_is_named(
    peer: str, proxies: list[str], reported: str, scheme: str
) -> None:
    sent = [(b"x-forwarded-proto", reported.encode())] if reported else []
    scope = {"type": "http", "scheme": "http", "headers": sent}
    assert request_scheme(scope, peer=peer, proxies=networks(proxies)) == scheme


def test_a_wrong_key_does_not_sign_in_and_is_not_repeated(guarded: TestClient) -> None:
    answer = guarded.post("/sign-in", data={"key": "zebra-4711"})
    assert answer.status_code == 403
    assert "There is a problem" in answer.text
    assert "zebra-4711" not in answer.text


def test_keys_lost_while_it_runs_let_nobody_in(guarded: TestClient, home: Path) -> None:
    shutil.rmtree(home / "keys")
    time.sleep(A_WORKERS_MEMORY)
    answer = guarded.get("/v1/model")
    assert answer.status_code == 503
    assert "keys" in answer.json()["error"]


@pytest.mark.parametrize("headers", [{"origin": "http://[::1"}, {"host": "[::1"}])
def test_an_address_that_is_none_is_refused_at_once(client: TestClient, headers: dict) -> None:
    assert client.post("/sign-out", headers=headers).status_code in (401, 403)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"referer": "https://evil.example/"}, 403),
        ({"referer": "http://127.0.0.1/lists"}, 303),
        ({"origin": "http://127.0.0.1"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
    ],
)
def test_a_form_of_a_session_says_where_it_comes_from(
    guarded: TestClient, home: Path, headers: dict[str, str], status: int
) -> None:
    key = token(home, KeyScope.LIST)
    time.sleep(A_WORKERS_MEMORY)
    guarded.post("/sign-in", data={"key": key})
    bare = TestClient(guarded.app, base_url="http://127.0.0.1", follow_redirects=False)
    bare.cookies = guarded.cookies
    assert bare.post("/sign-out", headers=headers).status_code == status


def test_an_address_that_a_key_may_not_open_is_logged_by_key_and_route(
    guarded: TestClient, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listing = token(home, KeyScope.LIST)
    time.sleep(A_WORKERS_MEMORY)
    with caplog.at_level("WARNING"):
        guarded.get("/metrics?zebra", headers=bearer(listing))
        guarded.get("/lists/zebra/delete", headers=bearer(listing))
    key_id = listing.split("_")[1]
    assert f"Key {key_id} may not open /metrics." in caplog.text
    assert f"Key {key_id} may not open /lists/{{list_id}}/delete." in caplog.text
    assert "zebra" not in caplog.text


def test_signing_out_clears_what_the_browser_keeps(guarded: TestClient, home: Path) -> None:
    key = token(home, KeyScope.LIST)
    time.sleep(A_WORKERS_MEMORY)
    guarded.post("/sign-in", data={"key": key})
    left = guarded.post("/sign-out", follow_redirects=False)
    assert left.headers["clear-site-data"] == '"cache", "storage"'


@pytest.mark.parametrize("path", ["/", "/sign-in", "/static/dnapredict.css", "/v1/score"])
def test_no_request_is_repeated_to_its_sender(client: TestClient, path: str) -> None:
    answer = client.request("TRACE", path, headers={"x-note": "zebra-4711"})
    assert answer.status_code in (404, 405)
    assert "zebra-4711" not in answer.text


def test_while_the_home_is_another_folder_nothing_is_answered_and_nothing_is_written_there(
    guarded: TestClient, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As where its disk is unmounted: without its keys everybody on this machine would be let in."""
    held = bearer(token(home, KeyScope.SCORE))
    assert score(guarded, **held) == 200
    away = home.rename(home.with_name("away"))
    for is_there in (False, True):
        if is_there:
            home.mkdir(mode=0o700)
        time.sleep(A_WORKERS_MEMORY)
        for path in ("/readyz", "/v1/model", "/", "/sign-in"):
            answer = guarded.get(path)
            assert (answer.status_code, "was removed or replaced" in answer.json()["error"]) == (503, True)
            assert str(home) not in answer.text
        assert score(guarded, **held) == 503
        assert guarded.get("/livez").status_code == 200
    assert list(home.iterdir()) == []
    assert caplog.text.count(f"{home}: was removed, replaced or unmounted while it is in use") == 1
    home.rmdir()
    away.rename(home)
    assert (guarded.get("/v1/model").status_code, score(guarded, **held)) == (401, 200)


def test_a_worker_that_is_started_later_knows_the_home_of_its_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [tmp_path / name for name in ("home", "other")]
    for each in homes:
        each.mkdir()
    before = identity_of(homes[0])
    monkeypatch.setenv(IDENTITY_VARIABLE, named_identity(homes[0]))
    homes[0].rename(tmp_path / "away")
    homes[0].mkdir()
    assert identity_of(homes[0]) != before
    assert first_identity(homes[0]) == before
    assert first_identity(homes[1]) == identity_of(homes[1])
