"""Bearer tokens of an OpenID Connect issuer, checked with the issuer's own keys.

A token is accepted if one of those keys signed it by an algorithm that the settings allow, for this audience, and
it has not expired. Shared secrets and unsigned tokens are never among the algorithms.
"""

import contextlib
import json
import logging
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt

from dnapredict.config.service_config import OpenId
from dnapredict.errors import StoreError
from dnapredict.service.auth.permissions import Holds, KeyScope
from dnapredict.service.auth.staff import Person, StaffRole

_LOG: Final = logging.getLogger("dnapredict.service")
_LONGEST_TOKEN: Final = 16_384
_LARGEST_KEY_SET: Final = 1_048_576
_SECONDS_TO_FETCH: Final = 5.0
# Seconds between two fetches caused by unknown key ids, however many such tokens arrive.
_SECONDS_BETWEEN_FETCHES: Final = 30.0
# Seconds for which the last keys stay valid while the issuer cannot be reached.
_SECONDS_KEPT_WITHOUT_ISSUER: Final = 86_400.0
# Accepted subjects, which the scoring log records: staff numbers, e-mail addresses, an issuer's own ids.
_SUBJECT: Final = re.compile(r"[\w.@|:+-]{1,200}")
_REQUIRED: Final = ("exp", "iss", "aud", "sub")


@dataclass(frozen=True)
class TokenHolder:
    """The holder of a token, with the interface of an API key."""

    key_id: str
    scopes: frozenset[KeyScope]

    @property
    def held(self) -> frozenset[Holds]:
        """What decides which addresses the token may use."""
        return frozenset(self.scopes)

    @property
    def person(self) -> Person:
        """The program that sends the token; it belongs to no team."""
        role = StaffRole.ADMINISTRATOR if KeyScope.ADMIN in self.scopes else StaffRole.CLERK
        return Person(self.key_id, self.key_id, "", role, is_shared=True)


@dataclass(frozen=True)
class _SigningKey:
    """A published key of the issuer; `algorithm` is None where the key set does not name one."""

    key_id: str | None
    algorithm: str | None
    material: Any


class Issuer:
    """The issuer whose tokens are accepted."""

    def __init__(self, config: OpenId) -> None:
        """Fetch nothing yet."""
        self._config = config
        self._keys = _KeySet(config)

    def holder(self, token: str) -> TokenHolder | None:
        """The holder of a token; None if the token is not valid.

        Raises
        ------
        StoreError
            If the issuer's keys are not available.
        """
        claims = self._valid_claims(token, self._config.audience)
        return None if claims is None else self._holder(claims)

    @property
    def name(self) -> str:
        """The issuer's identifier."""
        return self._config.issuer

    def id_token_claims(self, token: str, client_id: str) -> dict[str, Any] | None:
        """The claims of an ID token for this client; None if it is not valid.

        Raises
        ------
        StoreError
            If the issuer's keys are not available.
        """
        claims = self._valid_claims(token, client_id)
        if claims is None or not isinstance(claims["sub"], str) or not _SUBJECT.fullmatch(claims["sub"]):
            return None
        # OpenID Connect Core 3.1.3.7: a token for several clients names the one that asked for it.
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        asked_by = claims.get("azp", client_id if len(audiences) == 1 else None)
        return claims if asked_by == client_id else None

    def _key_for(self, header: dict[str, Any]) -> _SigningKey | None:
        if header.get("alg") not in self._config.algorithms:
            return None
        key = self._keys.find(header.get("kid"))
        # A key that was published for one algorithm is not used for another.
        return key if key is not None and key.algorithm in (None, header["alg"]) else None

    def _valid_claims(self, token: str, audience: str) -> dict[str, Any] | None:
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            key = self._key_for(jwt.get_unverified_header(token))
            return None if key is None else self._claims(token, key, audience)
        except jwt.PyJWTError:
            return None

    def _claims(self, token: str, key: _SigningKey, audience: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.material,
            algorithms=list(self._config.algorithms),
            audience=audience,
            issuer=self._config.issuer,
            leeway=self._config.leeway_seconds,
            options={"require": list(_REQUIRED)},
        )

    def _holder(self, claims: dict[str, Any]) -> TokenHolder | None:
        subject = claims["sub"]
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            return None
        named = _words(claims.get(self._config.scope_claim))
        scopes = (self._config.scopes[word] for word in named if word in self._config.scopes)
        return TokenHolder(f"openid:{subject}", frozenset(map(KeyScope, scopes)))


def _words(claim: Any) -> Collection[str]:
    """Scopes in either form that issuers use: words separated by spaces, or a list."""
    if isinstance(claim, str):
        return claim.split()
    return [word for word in claim if isinstance(word, str)] if isinstance(claim, list) else []


class _KeySet:
    """The issuer's keys, fetched again when they are old or lack the key id of a token.

    Not PyJWT's `PyJWKClient`: while an issuer takes 2 s to answer it makes every request wait 2 s, it refuses all
    tokens while the issuer fails, and it reads an answer of any size (measured in docs/decisions.md).
    """

    def __init__(self, config: OpenId) -> None:
        self._config = config
        self._keys: tuple[_SigningKey, ...] = ()
        self._fetched_at = self._tried_at = -float("inf")
        self._fetching = threading.Lock()

    def find(self, kid: object) -> _SigningKey | None:
        """The key of that id; for a token without a key id, the only key of the set."""
        if time.monotonic() - self._fetched_at > self._config.keys_minutes * 60:
            self._renew()
        key = self._among(kid)
        if key is None and self._renew():
            key = self._among(kid)
        return key

    def _among(self, kid: object) -> _SigningKey | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == kid), None)

    def _renew(self) -> bool:
        """Fetch the keys unless that was just tried; return whether it succeeded. Others use the old keys meanwhile."""
        if not self._fetching.acquire(blocking=not self._keys):
            return False
        try:
            now = time.monotonic()
            if now - self._tried_at < _SECONDS_BETWEEN_FETCHES:
                self._require_some(now)
                return False
            self._tried_at = now
            return self._fetch(now)
        finally:
            self._fetching.release()

    def _fetch(self, now: float) -> bool:
        try:
            content = (
                read_answer(self._config.keys) if self._config.keys_are_remote else Path(self._config.keys).read_bytes()
            )
            self._keys = _signing_keys(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _LOG.error("The issuer's keys are not available from %s (%s).", self._config.keys, type(error).__name__)
            self._require_some(now)
            return False
        self._fetched_at = now
        return True

    def _require_some(self, now: float) -> None:
        if not self._keys or now - self._fetched_at > _SECONDS_KEPT_WITHOUT_ISSUER:
            raise StoreError("The issuer's keys are not available.")


def _signing_keys(content: bytes) -> tuple[_SigningKey, ...]:
    """The signature keys of a key set (RFC 7517); keys of an unknown type are skipped."""
    keys = []
    for published in json.loads(content)["keys"]:
        with contextlib.suppress(jwt.PyJWTError):
            key = jwt.PyJWK.from_dict(published)
            if key.public_key_use in (None, "sig"):
                keys.append(_SigningKey(key.key_id, published.get("alg"), key.key))
    return tuple(keys)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: keys come from the configured address only."""

    def redirect_request(self, *_: Any) -> None:
        return None


def read_answer(address: str | urllib.request.Request) -> bytes:
    """The issuer's response from an address, limited in size and time and without redirects.

    Raises
    ------
    OSError, ValueError
        If it does not answer, answers with an error or a redirect, or with too much.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(address, timeout=_SECONDS_TO_FETCH) as answer:
            content: bytes = answer.read(_LARGEST_KEY_SET + 1)
    except urllib.error.HTTPError as refusal:
        refusal.close()  # an HTTPError is an open response
        raise
    if len(content) > _LARGEST_KEY_SET:
        raise ValueError
    return content
