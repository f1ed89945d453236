"""Bearer tokens of an issuer: believed with its keys, for us, in time, and never otherwise."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.testclient import TestClient
from tests.service.conftest import wait_until_ready
from tests.service.double import steady_champion

from dnapredict.cli.signing_proof import proof_of
from dnapredict.config.fairness_policy import Signatory
from dnapredict.config.service_config import OpenId, ServiceConfig
from dnapredict.errors import StoreError, UsageError
from dnapredict.fairness.signatories import Proof, require_signatory
from dnapredict.service.app import build
from dnapredict.service.auth import openid
from dnapredict.service.auth.openid import Issuer

ISSUER, AUDIENCE = "https://login.example/tenant", "api://dnapredict"
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def published(key: Any, kid: str, **more: str) -> dict[str, Any]:
    kinds = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
    }
    kind = next(kind for private, kind in kinds.items() if isinstance(key, private))
    return kind.to_jwk(key.public_key(), as_dict=True) | {"kid": kid} | more


class LocalIssuer:
    """An issuer on this machine: what it publishes, and how often it was asked."""

    def __init__(self) -> None:
        self.keys = [published(RSA_KEY, "one", use="sig"), published(EC_KEY, "two", alg="ES256")]
        self.asked = 0
        self.status = 200
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                self.send_header("location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(json.dumps({"keys": issuer.keys}).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/keys"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def local() -> Iterator[LocalIssuer]:
    local = LocalIssuer()
    yield local
    local.close()


def config(keys: str, **more: Any) -> OpenId:
    return OpenId(issuer=ISSUER, audience=AUDIENCE, keys=keys, **more)


def token(key: Any = RSA_KEY, *, alg: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "booking-system",
        "exp": time.time() + 300,
        "scope": "dnapredict.score openid",
    } | claims
    headers = {"kid": kid} if kid else {}
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, alg, headers)


def test_a_token_of_the_issuer_opens_what_its_scopes_name(local: LocalIssuer) -> None:
    holder = Issuer(config(local.address)).holder(token())
    assert holder is not None
    assert holder.key_id == "openid:booking-system"
    assert {scope.value for scope in holder.scopes} == {"score"}


def test_scopes_may_be_a_list_in_another_claim(local: LocalIssuer) -> None:
    asked = config(local.address, scope_claim="roles", scopes={"Booking.Clerk": "list"})
    holder = Issuer(asked).holder(token(EC_KEY, alg="ES256", kid="two", roles=["Booking.Clerk", 3]))
    assert holder is not None
    assert {scope.value for scope in holder.scopes} == {"list"}


BAD_TOKENS = {
    "run out": lambda: token(exp=time.time() - 60),
    "not yet": lambda: token(nbf=time.time() + 300),
    "for another": lambda: token(aud="api://other"),
    "of another issuer": lambda: token(iss="https://login.example/other"),
    "without an end": lambda: token(exp=None),
    "without a subject": lambda: token(sub=None),
    "with a strange subject": lambda: token(sub="a\nb"),
    "signed by another key": lambda: token(OTHER_KEY),
    "naming an unknown key": lambda: token(kid="three"),
    "naming no key of two": lambda: token(kid=None),
    "by an algorithm that is not allowed": lambda: token(alg="RS512"),
    "by another algorithm than its key's": lambda: token(kid="two"),
    "unsigned": lambda: token("", alg="none"),
    "signed with a shared secret": lambda: token("a secret that is as long as it should be", alg="HS256"),
    "cut short": lambda: token()[:-4],
    "too long": lambda: token(note="x" * 20_000),
    "no token": lambda: "a.b.c",
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_no_other_token_is_believed(local: LocalIssuer, bad: Any) -> None:
    assert Issuer(config(local.address)).holder(bad()) is None


def test_keys_are_fetched_once_and_again_for_a_new_one(local: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000.0
    monkeypatch.setattr(openid.time, "monotonic", lambda: clock)
    issuer = Issuer(config(local.address))
    for _ in range(5):
        assert issuer.holder(token()) is not None
    assert local.asked == 1
    local.keys = [published(OTHER_KEY, "three")]
    assert issuer.holder(token(OTHER_KEY, kid="three")) is None  # asked a moment ago
    clock += 31
    assert issuer.holder(token(OTHER_KEY, kid="three")) is not None
    assert issuer.holder(token()) is None  # its key is not published any more
    assert local.asked == 2


def test_an_issuer_that_cannot_be_reached_shuts_nobody_out_for_a_day(
    local: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1_000.0
    monkeypatch.setattr(openid.time, "monotonic", lambda: clock)
    issuer = Issuer(config(local.address))
    issuer.holder(token())
    local.status = 500
    clock += 3_600
    assert issuer.holder(token()) is not None
    clock += 86_400
    with pytest.raises(StoreError, match="The issuer's keys are not available"):
        issuer.holder(token())


def test_a_redirect_is_not_followed(local: LocalIssuer) -> None:
    local.status = 302
    with pytest.raises(StoreError):
        Issuer(config(local.address)).holder(token())


def test_keys_may_lie_in_a_file(tmp_path: Path) -> None:
    place = tmp_path / "keys.json"
    place.write_text(json.dumps({"keys": [{"kty": "unheard of"}, published(RSA_KEY, "one")]}))
    issuer = Issuer(config(str(place)))
    assert issuer.holder(token()) is not None
    assert issuer.holder(token(kid=None)) is not None  # the only key there is


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": "http://login.example/keys"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": []},
    ],
)
def test_settings_that_would_open_the_door_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        config(**({"keys": "https://login.example/keys"} | wrong))


@pytest.fixture
def client(tmp_path: Path, local: LocalIssuer) -> Iterator[TestClient]:
    champion = steady_champion()
    service = build(tmp_path, champion, config=ServiceConfig(openid=config(local.address)))
    with TestClient(service.to_asgi(), base_url="http://127.0.0.1") as client:
        wait_until_ready(client)
        yield client
    champion.stop()


def status(client: TestClient, path: str, bearer: str | None) -> int:
    headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
    if path == "/v1/score":
        return client.post(path, json={"appointments": []}, headers=headers).status_code
    return client.get(path, headers=headers).status_code


def test_with_an_issuer_everybody_needs_a_key_or_a_token(client: TestClient) -> None:
    assert status(client, "/v1/score", None) == 401
    assert status(client, "/v1/score", "a.b.c") == 401
    assert status(client, "/v1/score", token()) == 200
    assert status(client, "/v1/lists/x", token()) == 403
    assert status(client, "/v1/lists/x", token(scope="dnapredict.list")) == 404
    assert status(client, "/metrics", token(scope="dnapredict.list")) == 403
    assert status(client, "/v1/model", token(scope="openid")) == 403


def test_the_log_says_whose_token_it_was(client: TestClient, tmp_path: Path) -> None:
    from sqlalchemy import select

    from dnapredict.service.log.log_tables import ANSWERS
    from dnapredict.service.log.scoring_log import ScoringLog

    row = {"appointment_id": "a", "age_years": 50}
    client.post("/v1/score", json={"appointments": [row]}, headers={"authorization": f"Bearer {token()}"})
    (entry,) = ScoringLog(tmp_path).query(select(ANSWERS))
    assert entry.asked_by == "openid:booking-system"


def test_while_the_issuers_keys_cannot_be_had_its_tokens_are_answered_503(
    client: TestClient, local: LocalIssuer
) -> None:
    local.status = 500
    assert status(client, "/v1/score", token()) == 503
    assert status(client, "/livez", None) == 200


def shown(tmp_path: Path, local: LocalIssuer, given: str) -> Proof:
    """The proof in a file with a token, by service settings that name the local issuer."""
    settings, file = tmp_path / "service.toml", tmp_path / "token"
    names = {"issuer": ISSUER, "audience": AUDIENCE, "keys": local.address}
    settings.write_text("[openid]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in names.items()))
    file.write_text(given + "\n")
    return proof_of(file, settings)


ADA = Signatory(name="Ada Okafor", role="Equality lead", openid_subject="ada@trust.example")
BEN = Signatory(name="Ben Marsh", role="Chair", openid_subject="ben@trust.example")


def test_a_token_of_the_issuer_signs_as_its_subject_and_as_nobody_else(local: LocalIssuer, tmp_path: Path) -> None:
    proof = shown(tmp_path, local, token(sub="ada@trust.example", scope=None))
    assert (proof.kind, proof.openid_subject) == ("openid", "ada@trust.example")
    assert require_signatory("ada okafor", proof, signatories=(ADA, BEN)) == ADA
    for name in ("Ben Marsh", "Cy Stranger"):
        with pytest.raises(UsageError, match=r"is not yours|is no signatory"):
            require_signatory(name, proof, signatories=(ADA, BEN))


@pytest.mark.parametrize(
    "made",
    [
        lambda: token(OTHER_KEY, sub="ada@trust.example"),
        lambda: token(sub="ada@trust.example", iss="https://elsewhere.example"),
        lambda: token(sub="ada@trust.example", aud="api://other"),
        lambda: token(sub="ada@trust.example", exp=time.time() - 300),
        lambda: token(sub=None),
        lambda: jwt.encode({"sub": "ada@trust.example", "iss": ISSUER, "aud": AUDIENCE}, "", "none"),
    ],
    ids=["another's key", "another issuer", "for another audience", "expired", "without a subject", "unsigned"],
)
def test_no_other_token_signs(local: LocalIssuer, tmp_path: Path, made: Any) -> None:
    with pytest.raises(UsageError, match="The OpenID token is not valid") as refusal:
        shown(tmp_path, local, made())
    assert "eyJ" not in str(refusal.value)


def test_a_token_needs_an_issuer_in_the_settings_and_its_keys(local: LocalIssuer, tmp_path: Path) -> None:
    bare, file = tmp_path / "bare.toml", tmp_path / "token"
    bare.write_text("")
    file.write_text(token())
    with pytest.raises(UsageError, match="name no issuer"):
        proof_of(file, bare)
    local.status = 500
    with pytest.raises(StoreError, match="keys are not available"):
        shown(tmp_path, local, token())
