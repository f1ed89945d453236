"""People sign in with their accounts at the trust's issuer; nothing that a browser brings is believed unchecked."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.testclient import TestClient
from tests.service.conftest import served_at
from tests.service.pages import record, week
from tests.service.test_openid import published
from tests.service.test_people import ELSEWHERE

from dnapredict.config.service_config import OpenId, OpenIdSignIn, ServiceConfig
from dnapredict.service.auth.openid_people import OpenIdPeople

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
CLIENT, SECRET = "dnapredict", "a secret: with % signs"
REDIRECT = "http://127.0.0.1/sign-in/openid/return"
ADA = {"sub": "ada@trust.example", "name": "Ada Okafor", "team": "North", "roles": ["Dna.Clerk", "Other"]}
ROLES = {"Dna.Clerk": "clerk", "Dna.Lead": "team lead", "Dna.Review": "reviewer", "Dna.Admin": "administrator"}
HTML = {"accept": "text/html"}


class LocalIssuer:
    """An issuer on this machine that keeps to OpenID Connect Core 1.0, RFC 7636 and RFC 9207."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = dict(ADA)
        self.spoil: Callable[[dict[str, Any]], Any] = lambda claims: claims
        self.key: Any = KEY
        self.status = 200
        self.exchanged = 0
        self._codes: dict[str, dict[str, str]] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, {"keys": [published(KEY, "one", use="sig")]})

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                issuer.exchanged += 1
                self._answer(*issuer._exchange(form, self.headers.get("authorization", "")))

            def _answer(self, status: int, content: dict[str, Any]) -> None:
                self.send_response(status)
                self.send_header("location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.name = f"http://127.0.0.1:{self._server.server_port}"

    def authorize(self, address: str) -> str:
        """Where the issuer sends a browser back, once the person has signed in there."""
        assert address.startswith(f"{self.name}/authorize?")
        asked = dict(parse_qsl(urlsplit(address).query))
        assert (asked["client_id"], asked["redirect_uri"]) == (CLIENT, REDIRECT)
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return "/sign-in/openid/return?" + urlencode({"code": code, "state": asked["state"], "iss": self.name})

    def _exchange(self, form: dict[str, str], basic: str) -> tuple[int, dict[str, Any]]:
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        sent = base64.b64decode(basic.removeprefix("Basic ")).decode()
        is_right = (
            asked is not None
            and challenge == asked["code_challenge"]
            and form["redirect_uri"] == REDIRECT
            and sent == "dnapredict:a%20secret%3A%20with%20%25%20signs"
        )
        if not is_right or asked is None:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.name,
            "aud": CLIENT,
            "exp": time.time() + 300,
            "iat": time.time(),
            "nonce": asked["nonce"],
        }
        token = self.spoil(claims | self.person)
        if isinstance(token, dict):
            token = jwt.encode({k: v for k, v in token.items() if v is not None}, self.key, "RS256", {"kid": "one"})
        return self.status, {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    issuer = LocalIssuer()
    yield issuer
    issuer.close()


def settings(issuer: LocalIssuer, secret: Path, **more: Any) -> OpenId:
    return OpenId(
        issuer=issuer.name,
        audience="api://dnapredict",
        keys=f"{issuer.name}/keys",
        sign_in=OpenIdSignIn(
            authorize=f"{issuer.name}/authorize",
            token=f"{issuer.name}/token",
            client_id=CLIENT,
            client_secret_file=str(secret),
            redirect=REDIRECT,
            roles=ROLES,
            **more,
        ),
    )


@pytest.fixture
def client(home: Path, tmp_path: Path, issuer: LocalIssuer) -> Iterator[TestClient]:
    secret = tmp_path / "client.secret"
    secret.write_text(SECRET + "\n")
    config = ServiceConfig(openid=settings(issuer, secret, answers_name_issuer=True))
    with served_at(home, config) as client:
        yield client


def begin(client: TestClient, asked: str = "") -> str:
    """Click the button; return the address at the issuer."""
    answer = client.get("/sign-in/openid", params={"next": asked} if asked else {}, follow_redirects=False)
    assert answer.status_code == 303
    return str(answer.headers["location"])


def back(client: TestClient, address: str) -> Any:
    """Come back from the issuer, as a browser does from another site."""
    return client.get(address, headers=HTML | {"sec-fetch-site": "cross-site"}, follow_redirects=False)


def is_signed_in(client: TestClient) -> bool:
    return client.get("/", headers=HTML, follow_redirects=False).status_code == 200


def test_a_person_signs_in_with_their_account_and_sees_the_page_that_they_asked_for(
    client: TestClient, issuer: LocalIssuer
) -> None:
    shown = client.get("/lists", headers=HTML)
    assert 'href="/sign-in/openid?next=%2Flists"' in shown.text
    assert "Sign in with your work account" in shown.text
    answer = back(client, issuer.authorize(begin(client, "/lists")))
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/lists">' in answer.text
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert "Signed in as </span>Ada Okafor, clerk, North" in client.get("/lists", headers=HTML).text


def test_the_name_stands_beside_an_entry_and_the_log_has_the_subject(
    client: TestClient, issuer: LocalIssuer, home: Path
) -> None:
    from sqlalchemy import select

    from dnapredict.service.log.log_tables import ACTIONS
    from dnapredict.service.log.scoring_log import ScoringLog

    back(client, issuer.authorize(begin(client)))
    address = client.post("/upload", files={"file": ("w.csv", week())}, follow_redirects=False).headers["location"]
    record(client, address)
    (entry,) = ScoringLog(home).query(select(ACTIONS))
    assert entry.asked_by == "openid:ada@trust.example"
    assert "Ada Okafor" in client.get(address).text.split('class="dna-taken"')[1].split("</p>")[0]


ROLES_OF_CLAIMS = """
    roles                  | team      | signed in as               | first page
    Dna.Clerk              | North     | Ada Okafor, clerk, North   | /
    Dna.Lead               | North     | Ada Okafor, team lead, North | /
    Dna.Review             |           | Ada Okafor, reviewer       | /model
    Dna.Admin              |           | Ada Okafor, administrator  | /
    Dna.Clerk Dna.Admin    | North     | Ada Okafor, administrator, North | /
    Dna.Clerk              |           |                            |
    Other                  | North     |                            |
                           | North     |                            |
"""


@pytest.mark.parametrize("row", ROLES_OF_CLAIMS.strip().splitlines()[1:], ids=lambda row: row.split("|")[0].strip())
def test_claims_name_role_and_team_and_without_them_nobody_is_signed_in(
    client: TestClient, issuer: LocalIssuer, row: str
) -> None:
    roles, team, words, first = (cell.strip() for cell in row.split("|"))
    issuer.person |= {"roles": roles.split(), "team": team or None}
    answer = back(client, issuer.authorize(begin(client)))
    if not words:
        assert answer.status_code == 403
        assert "Your account has no role and team in dnapredict." in answer.text
        assert not is_signed_in(client)
        return
    assert f"url={first}" in answer.text
    assert f"Signed in as </span>{words}<" in client.get(first, headers=HTML).text


def test_a_role_is_taken_away_at_the_next_sign_in(client: TestClient, issuer: LocalIssuer) -> None:
    back(client, issuer.authorize(begin(client)))
    issuer.person["roles"] = ["Dna.Review"]
    back(client, issuer.authorize(begin(client)))
    assert client.get("/lists", headers=HTML).status_code == 403


def test_a_role_that_the_issuer_gives_no_more_ends_the_sessions_of_before(
    client: TestClient, issuer: LocalIssuer, home: Path
) -> None:
    back(client, issuer.authorize(begin(client)))
    assert is_signed_in(client)
    issuer.person["roles"] = []
    assert back(client, issuer.authorize(begin(client))).status_code == 403
    assert not is_signed_in(client)
    assert OpenIdPeople(home).name_of(f"openid:{ADA['sub']}") == "Ada Okafor"  # beside what she recorded


def test_signing_out_ends_the_session_in_every_copy(client: TestClient, issuer: LocalIssuer, home: Path) -> None:
    back(client, issuer.authorize(begin(client)))
    session = client.cookies["dnapredict_session"]
    client.post("/sign-out")
    client.cookies.set("dnapredict_session", session)
    assert not is_signed_in(client)
    assert not (home / "keys").exists()  # whose files would tell of keys that were lost


def test_deleting_a_persons_record_ends_their_sessions(client: TestClient, issuer: LocalIssuer, home: Path) -> None:
    back(client, issuer.authorize(begin(client)))
    (file,) = (home / "sign-in" / "people").iterdir()
    file.unlink()
    assert not is_signed_in(client)


RETURNS: dict[str, Callable[[str], str]] = {
    "without a state": lambda address: changed(address, state=None),
    "with another state": lambda address: changed(address, state="x" * 43),
    "with a state that is no text": lambda address: changed(address, state="é\x00"),
    "with two states": lambda address: address + "&" + urlencode({"state": "x"}),
    "without a code": lambda address: changed(address, code=None),
    "with a made-up code": lambda address: changed(address, code="made-up"),
    "with a code too long": lambda address: changed(address, code="x" * 5_000),
    "with an error": lambda address: changed(address, code=None, error="access_denied"),
    "with an error and a code": lambda address: changed(address, error="access_denied"),
    "from another issuer": lambda address: changed(address, iss="https://evil.example"),
    "from no issuer": lambda address: changed(address, iss=None),
}


def changed(address: str, **more: str | None) -> str:
    query = dict(parse_qsl(urlsplit(address).query)) | more
    return "/sign-in/openid/return?" + urlencode({name: value for name, value in query.items() if value is not None})


@pytest.mark.parametrize("change", RETURNS.values(), ids=RETURNS)
def test_a_return_that_was_changed_signs_nobody_in(client: TestClient, issuer: LocalIssuer, change) -> None:
    answer = back(client, change(issuer.authorize(begin(client))))
    assert answer.status_code == 403
    assert "Sign in again." in answer.text
    assert "made-up" not in answer.text
    assert not is_signed_in(client)


TOKENS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another nonce": lambda claims: claims | {"nonce": "x" * 43},
    "no nonce": lambda claims: claims | {"nonce": None},
    "another issuer (mix-up)": lambda claims: claims | {"iss": "https://evil.example"},
    "another client": lambda claims: claims | {"aud": "other"},
    "the audience of bearer tokens": lambda claims: claims | {"aud": "api://dnapredict"},
    "two clients, for the other": lambda claims: claims | {"aud": [CLIENT, "other"], "azp": "other"},
    "two clients, for none": lambda claims: claims | {"aud": [CLIENT, "other"]},
    "an end that has passed": lambda claims: claims | {"exp": time.time() - 60},
    "no end": lambda claims: claims | {"exp": None},
    "no subject": lambda claims: claims | {"sub": None},
    "a strange subject": lambda claims: claims | {"sub": "a\nb"},
    "another key": lambda claims: jwt.encode(claims, OTHER_KEY, "RS256", {"kid": "one"}),
    "no signature": lambda claims: jwt.encode(claims, "", "none"),
    "a shared secret": lambda claims: jwt.encode(claims, SECRET * 2, "HS256", {"kid": "one"}),
    "no token": lambda _: "a.b.c",
    "nothing": lambda _: None,
}


STRENGTHS = [
    ({"acr": "high", "amr": ["pwd", "mfa"]}, True),
    ({"acr": "other", "amr": ["pwd", "mfa"]}, False),
    ({"acr": "high", "amr": ["pwd"]}, False),
    ({"acr": "high", "amr": "mfa"}, False),
    ({"acr": "high"}, False),
    ({"amr": ["mfa"]}, False),
    ({"acr": ["high"], "amr": ["mfa"]}, False),
    ({"acr": "high", "amr": [["mfa"]]}, False),
]


@pytest.mark.parametrize(("claims", "is_enough"), STRENGTHS)
def test_a_person_without_the_factors_of_the_settings_is_not_signed_in(
    home: Path, tmp_path: Path, issuer: LocalIssuer, claims: dict[str, Any], is_enough: bool
) -> None:
    secret = tmp_path / "client.secret"
    secret.write_text(SECRET)
    config = ServiceConfig(openid=settings(issuer, secret, acr_values=("high", "highest"), methods=("mfa",)))
    issuer.spoil = lambda given: given | claims
    with served_at(home, config) as client:
        address = begin(client)
        assert dict(parse_qsl(urlsplit(address).query))["acr_values"] == "high highest"
        answer = back(client, issuer.authorize(address))
        assert is_signed_in(client) == is_enough
        assert (answer.status_code == 403) != is_enough
        assert ("did not ask you for all the factors" in answer.text) != is_enough


@pytest.mark.parametrize("claims", [{}, {"acr": "low", "amr": ["pwd"]}])
def test_without_such_settings_the_issuer_decides_on_factors(
    client: TestClient, issuer: LocalIssuer, claims: dict[str, Any]
) -> None:
    issuer.spoil = lambda given: given | claims
    back(client, issuer.authorize(begin(client)))
    assert is_signed_in(client)


@pytest.mark.parametrize("spoil", TOKENS.values(), ids=TOKENS)
def test_a_token_with_something_else_signs_nobody_in(client: TestClient, issuer: LocalIssuer, spoil) -> None:
    issuer.spoil = spoil
    assert back(client, issuer.authorize(begin(client))).status_code == 403
    assert not is_signed_in(client)
    assert issuer.exchanged == 1


def test_a_return_is_used_once_and_a_code_is_not_replayed(client: TestClient, issuer: LocalIssuer) -> None:
    address = issuer.authorize(begin(client))
    begun = client.cookies["dnapredict_openid"]
    assert back(client, address).status_code == 200
    client.cookies.clear()
    client.cookies.set("dnapredict_openid", begun, path="/sign-in/openid")  # a copy of the cookie
    assert back(client, address).status_code == 403
    assert not is_signed_in(client)
    assert issuer.exchanged == 1


def test_a_return_that_another_browser_began_signs_nobody_in(client: TestClient, issuer: LocalIssuer) -> None:
    address = issuer.authorize(begin(client))  # the attacker's account
    client.cookies.clear()  # the victim's browser
    assert back(client, address).status_code == 403
    begin(client)  # who has begun a sign-in of their own
    assert back(client, address).status_code == 403
    assert not is_signed_in(client)
    assert issuer.exchanged == 0


@pytest.mark.parametrize("cookie", ["", "x", "x.y", "e30=." + "0" * 64, "é.é", "." * 5_000])
def test_a_made_up_cookie_begins_nothing(client: TestClient, issuer: LocalIssuer, cookie: str) -> None:
    address = issuer.authorize(begin(client))
    client.cookies.clear()
    headers = HTML | {"cookie": f"dnapredict_openid={cookie}".encode("latin-1")}
    assert client.get(address, headers=headers, follow_redirects=False).status_code == 403


def test_a_sign_in_that_took_too_long_is_begun_again(
    client: TestClient, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = issuer.authorize(begin(client))
    now = time.time()
    monkeypatch.setattr("dnapredict.service.auth.openid_sign_in.time.time", lambda: now + 601)
    assert "took too long" in back(client, address).text


def test_a_session_that_was_planted_is_replaced(client: TestClient, issuer: LocalIssuer) -> None:
    planted = "0" * 16 + ".99999999999." + "0" * 96
    client.cookies.set("dnapredict_session", planted)
    assert not is_signed_in(client)
    answer = back(client, issuer.authorize(begin(client)))
    assert planted not in answer.headers["set-cookie"]
    first = client.cookies.get("dnapredict_session", domain="127.0.0.1")
    back(client, issuer.authorize(begin(client)))
    assert client.cookies.get("dnapredict_session", domain="127.0.0.1") != first


@pytest.mark.parametrize("asked", ELSEWHERE)
def test_nobody_is_sent_elsewhere_after_signing_in(client: TestClient, issuer: LocalIssuer, asked: str) -> None:
    answer = back(client, issuer.authorize(begin(client, asked)))
    assert '<meta http-equiv="refresh" content="0; url=/">' in answer.text


@pytest.mark.parametrize("status", [302, 500])
def test_an_issuer_that_fails_or_sends_elsewhere_signs_nobody_in(
    client: TestClient, issuer: LocalIssuer, status: int
) -> None:
    issuer.status = status
    assert back(client, issuer.authorize(begin(client))).status_code == 403
    assert not is_signed_in(client)


def test_an_issuer_that_is_away_is_said_in_words(client: TestClient, issuer: LocalIssuer) -> None:
    address = issuer.authorize(begin(client))
    issuer.close()
    assert "sign-in service cannot be reached now" in back(client, address).text


def test_what_is_secret_goes_to_no_browser_and_no_log(
    client: TestClient, issuer: LocalIssuer, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = begin(client)
    begun = json.loads(base64.urlsafe_b64decode(client.cookies["dnapredict_openid"].strip('"').split(".")[0]))
    assert begun["verifier"] not in sent
    issuer.spoil = TOKENS["another nonce"]
    page = back(client, issuer.authorize(sent)).text
    written = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    for hidden in (begun["verifier"], begun["nonce"], begun["state"], SECRET):
        assert hidden not in page
        assert hidden not in caplog.text
        assert hidden not in written


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_begins_no_sign_in(client: TestClient, site: str) -> None:
    """The issuer may sign a person in without asking: the session would begin without anything that they did."""
    answer = client.get("/sign-in/openid", headers=HTML | {"sec-fetch-site": site}, follow_redirects=False)
    assert answer.status_code == 200
    assert "Sign in with your work account" in answer.text
    assert "set-cookie" not in answer.headers


def test_without_an_issuer_there_is_no_button_and_no_such_page(home: Path) -> None:
    with served_at(home) as client:
        assert "/sign-in/openid" not in client.get("/sign-in").text
        for path in ("/sign-in/openid", "/sign-in/openid/return?state=x&code=y"):
            assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"authorize": "http://login.example/authorize"},
        {"token": "http://login.example/token"},
        {"redirect": "http://dnapredict.example/sign-in/openid/return"},
        {"redirect": "https://dnapredict.example/elsewhere"},
        {"redirect": "https://dnapredict.example/sign-in/openid/return?x=1"},
        {"request_scopes": "profile"},
        {"roles": {"Clerk": "boss"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_would_open_the_door_are_refused(wrong: dict[str, Any]) -> None:
    right = {
        "authorize": "https://login.example/authorize",
        "token": "https://login.example/token",
        "client_id": CLIENT,
        "redirect": "https://dnapredict.example/sign-in/openid/return",
        "roles": ROLES,
    }
    OpenIdSignIn(**right)
    with pytest.raises(ValueError, match="validation error"):
        OpenIdSignIn(**right | wrong)
