"""Sign-in with the trust's own accounts: the OpenID Connect code flow with PKCE.

A browser is sent to the issuer with a random `state`, `nonce` and PKCE challenge (S256), which a sealed cookie keeps
until it returns. The code that it brings back is exchanged for an ID token over the service's own connection; the token
must be signed by the issuer, for this client, and carry that nonce. Its claims name the person, the team and the role.

Defended against, as in OpenID Connect Core 1.0, RFC 7636, RFC 9207 and RFC 9700: a forged or missing state, another
browser's return, a code that is replayed, an answer or a token of another issuer, another client's token, a redirect to
another host. There is one issuer, whose addresses are in the settings: nothing that a browser brings names one.
"""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from dnapredict.config.service_config import OpenIdSignIn
from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth.openid import Issuer, read_answer
from dnapredict.service.auth.openid_people import OpenIdPeople, PersonHolder
from dnapredict.service.auth.staff import Person, StaffRole, highest, require_person

OPENID: Final = "/sign-in/openid"
RETURN: Final = OPENID + "/return"
COOKIE: Final = "dnapredict_openid"
SECONDS: Final = 600
"""How long a person may take at the issuer."""

_LOG: Final = logging.getLogger("dnapredict.service")
_LONGEST: Final = 4_096
_REFUSED: Final = "The sign-in was not completed by the trust's sign-in service. Sign in again."
_UNREACHABLE: Final = "The trust's sign-in service cannot be reached now. Try again in a moment."
_BUSY: Final = "Many people are signing in now. Sign in again in a moment."
_EXCHANGES_AT_ONCE: Final = 10
_NOT_BEGUN: Final = (
    "This sign-in was started in another browser, took too long, or was already completed. Sign in again."
)
_TOO_WEAK: Final = (
    "The trust's sign-in service did not ask you for all the factors that dnapredict needs, such as a code from your "
    "phone. Sign out there, and sign in again with them."
)
_NO_ROLE: Final = (
    "Your account has no role and team in dnapredict. Ask the person who runs dnapredict at your trust for them, and "
    "sign in again."
)


class SignInRefused(Exception):  # noqa: N818 - shown to the person as a sentence
    """The sign-in was refused; the message says what to do, and nothing that the browser or the issuer sent."""


@dataclass(frozen=True)
class _Begun:
    """A sign-in that is under way, as the sealed cookie keeps it."""

    state: str
    nonce: str
    verifier: str
    asked: str
    until: int


@dataclass(frozen=True)
class Finished:
    """A completed sign-in: the new session, its holder, and the requested page."""

    session: str
    holder: PersonHolder
    asked: str


class CodeFlow:
    """The code flow with the issuer of the settings."""

    def __init__(self, config: OpenIdSignIn, issuer: Issuer, people: OpenIdPeople) -> None:
        """Send nothing yet."""
        self._config = config
        self._issuer = issuer
        self._people = people
        # Each takes a thread until the issuer answers: strangers with made-up codes must not take all of them.
        self._exchanges = threading.BoundedSemaphore(_EXCHANGES_AT_ONCE)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the service by https."""
        return self._config.redirect.startswith("https://")

    @property
    def button(self) -> str:
        """The words on the button of the sign-in page."""
        return self._config.button

    def begin(self, asked: str) -> tuple[str, str]:
        """The address at the issuer to send a browser to, and the value of its cookie."""
        begun = _Begun(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            asked=asked,
            until=int(time.time()) + SECONDS,
        )
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": self._config.redirect,
            "scope": self._config.request_scopes,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": _challenge(begun.verifier),
            "code_challenge_method": "S256",
        }
        if self._config.acr_values:
            query["acr_values"] = " ".join(self._config.acr_values)
        joint = "&" if "?" in self._config.authorize else "?"
        return self._config.authorize + joint + urlencode(query), self._sealed(begun)

    def finish(self, query: Mapping[str, str], cookie: str) -> Finished:
        """Complete the sign-in of a browser that comes back from the issuer.

        Parameters
        ----------
        query
            The parameters of the address: `state` with `code` or `error`, and `iss`.
        cookie
            The value of `COOKIE`.

        Raises
        ------
        SignInRefused
            If a parameter or the token does not match the sign-in that was started, or the person has no role.
        StoreError
            If the issuer's keys are not available, or the home cannot be written to.
        """
        begun = self._unsealed(cookie)
        if begun is None or not hmac.compare_digest(query.get("state", "").encode(), begun.state.encode()):
            raise SignInRefused(_NOT_BEGUN)
        self._require_issuer(query.get("iss"))
        self._use_up(begun)
        code = query.get("code", "")
        if "error" in query or not code or len(code) > _LONGEST:
            raise SignInRefused(_REFUSED)
        claims = self._issuer.id_token_claims(self._id_token(code, begun.verifier), self._config.client_id)
        if claims is None or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), begun.nonce.encode()):
            _LOG.warning("An ID token was refused: it is not one of the issuer for this sign-in.")
            raise SignInRefused(_REFUSED)
        self._require_strength(claims)
        person = self._person(claims)
        if person is None:
            self._people.withdraw_role(_key_id(claims))
            raise SignInRefused(_NO_ROLE)
        holder = self._people.note(person)
        return Finished(self._people.start_session(holder), holder, begun.asked)

    def _require_strength(self, claims: Mapping[str, Any]) -> None:
        """Refuse a person whom the issuer did not ask for the factors that the settings name."""
        wanted, named = self._config.acr_values, claims.get("amr")
        methods = {each for each in named if isinstance(each, str)} if isinstance(named, list) else set()
        if (wanted and claims.get("acr") not in wanted) or not methods.issuperset(self._config.methods):
            _LOG.warning("An ID token was refused: its level (acr) or methods (amr) are not those of the settings.")
            raise SignInRefused(_TOO_WEAK)

    def _require_issuer(self, named: str | None) -> None:
        """RFC 9207: refuse a response of another issuer, or one without an issuer if ours sends its name."""
        if named is None and not self._config.answers_name_issuer:
            return
        if named != self._issuer.name:
            raise SignInRefused(_REFUSED)

    def _use_up(self, begun: _Begun) -> None:
        """Each sign-in is completed once, also where its cookie was copied."""
        name = hashlib.sha256(begun.state.encode()).hexdigest()[:32]
        if not self._people.sessions.use_once(name, until=begun.until):
            raise SignInRefused(_NOT_BEGUN)

    def _id_token(self, code: str, verifier: str) -> str:
        if not self._exchanges.acquire(blocking=False):
            raise SignInRefused(_BUSY)
        try:
            return self._exchange(code, verifier)
        finally:
            self._exchanges.release()

    def _exchange(self, code: str, verifier: str) -> str:
        """The ID token for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._config.redirect,
            "client_id": self._config.client_id,
            "code_verifier": verifier,
        }
        request = urllib.request.Request(self._config.token, urlencode(form).encode(), method="POST")  # noqa: S310
        request.add_header("accept", "application/json")
        if self._config.client_secret_file:
            request.add_header("authorization", _basic(self._config.client_id, self._secret()))
        try:
            answer: Any = json.loads(read_answer(request))
            return str(answer["id_token"])
        except urllib.error.HTTPError as error:
            _LOG.warning("The issuer refused a code (status %s).", error.code)
            raise SignInRefused(_REFUSED) from None
        except (ValueError, KeyError, TypeError):
            _LOG.warning("The issuer's answer to a code has no ID token.")
            raise SignInRefused(_REFUSED) from None
        except OSError as error:
            _LOG.error("The issuer cannot be reached at %s (%s).", self._config.token, type(error).__name__)
            raise SignInRefused(_UNREACHABLE) from None

    def _secret(self) -> str:
        path = Path(self._config.client_secret_file)
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path}: the client's secret cannot be read ({type(error).__name__}).") from None

    def _person(self, claims: Mapping[str, Any]) -> Person | None:
        """The person whom the claims name; None without a role, or without a team where the role needs one."""
        words = claims.get(self._config.role_claim)
        named = [words] if isinstance(words, str) else words if isinstance(words, list) else []
        roles = [
            StaffRole(self._config.roles[word])
            for word in named
            if isinstance(word, str) and word in self._config.roles
        ]
        role = highest(roles)
        if role is None:
            return None
        team = _text(claims.get(self._config.team_claim))
        name = _text(claims.get(self._config.name_claim)) or claims["sub"]
        try:
            require_person(name, team=team, role=role)
        except UsageError:
            return None
        return Person(_key_id(claims), name, team, role)

    def _sealed(self, begun: _Begun) -> str:
        content = base64.urlsafe_b64encode(json.dumps(asdict(begun)).encode()).decode()
        return f"{content}.{self._people.sessions.seal(_BEGUN + content)}"

    def _unsealed(self, cookie: str) -> _Begun | None:
        content, _, seal = cookie.rpartition(".")
        if len(cookie) > _LONGEST or not hmac.compare_digest(
            seal.encode(), self._people.sessions.seal(_BEGUN + content).encode()
        ):
            return None
        begun = _Begun(**json.loads(base64.urlsafe_b64decode(content)))
        return begun if time.time() < begun.until else None


# So that the seal of a sign-in is never that of a session.
_BEGUN: Final = "begun:"


def _challenge(verifier: str) -> str:
    """The PKCE challenge S256 of a verifier (RFC 7636).

    >>> _challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def _basic(client_id: str, secret: str) -> str:
    """The header of HTTP Basic authentication, each part form-encoded first (RFC 6749, 2.3.1)."""
    return "Basic " + base64.b64encode(f"{quote(client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()


def _key_id(claims: Mapping[str, Any]) -> str:
    """The person of an ID token, as the scoring log records them."""
    return f"openid:{claims['sub']}"


def _text(claim: Any) -> str:
    """A claim as text; of a list with one text, that text; "" for anything else."""
    if isinstance(claim, list):
        claim = claim[0] if len(claim) == 1 else ""
    return " ".join(claim.split()) if isinstance(claim, str) else ""
