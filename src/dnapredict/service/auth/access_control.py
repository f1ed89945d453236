"""Access control: this machine only until a key exists, then only holders of a key; and delays after wrong keys.

Without keys the service is for the person who started it. A request must then arrive on a loopback address, under a
loopback name (against DNS rebinding) and not through a proxy. From the first key on, every address but the public ones
needs a key of the right scope: `Authorization: Bearer KEY` from a program, a session from a browser.

Only wrong keys are delayed, counted by address and by key. A key has 256 random bits, so that guessing is hopeless;
and if valid keys were delayed too, a stranger could lock people out by sending wrong ones from their address or for
their key. No request is held open: one that comes too soon is answered with the seconds to wait.
"""

import contextlib
import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dnapredict.errors import StoreError
from dnapredict.service.auth.accounts import Accounts
from dnapredict.service.auth.after_sign_in import sign_in_query, unsent_form_address
from dnapredict.service.auth.api_keys import Key, KeyRing
from dnapredict.service.auth.openid import TokenHolder
from dnapredict.service.auth.openid_people import PersonHolder
from dnapredict.service.auth.permissions import first_page, may_reach
from dnapredict.service.auth.session_cookie import SESSION_COOKIE, cookie, renewing
from dnapredict.service.auth.staff import PERSON, SIGNED_IN, THIS_MACHINE
from dnapredict.service.client_address import ADDRESS, Networks, client_address, request_scheme
from dnapredict.service.connections import CONNECTION
from dnapredict.service.error_responses import json_error
from dnapredict.service.log.answer_entries import REQUESTED_BY

_LOG: Final = logging.getLogger("dnapredict.service")
_MOST_REMEMBERED: Final = 10_000
# The count is reset after this many times the longest delay without a failure.
_FORGOTTEN_AFTER: Final = 2


@dataclass(frozen=True)
class _Failures:
    count: int
    at: float
    next_at: float


@dataclass
class FailedKeys:
    """Counts of wrong keys by address and by key, in this worker's memory.

    Parameters
    ----------
    free
        Failures without a delay.
    longest
        The longest delay in seconds; the first is one second, and each further one doubles.
    """

    free: int
    longest: float
    clock: Callable[[], float] = time.monotonic
    _of: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)

    def failed(self, *, address: str, key_id: str = "") -> int:
        """Count a wrong key; return 0 if it is answered now, otherwise the whole seconds to wait.

        Parameters
        ----------
        address
            The client's address.
        key_id
            The key id in the token, if a key has that id.
        """
        now = self.clock()
        names = [f"address {address}", *([f"key {key_id}"] if key_id else [])]
        wait = max(self._wait(name, now) for name in names)
        if wait > 0:
            return math.ceil(wait)
        count, *_ = [self._count(name, now) for name in names]
        # Neither the key nor its id is logged: people who mistype one may have typed a password.
        _LOG.warning("A wrong key came from %s: %s in a row.", address, count)
        return 0

    def _wait(self, name: str, now: float) -> float:
        known = self._of.get(name)
        return 0.0 if known is None else known.next_at - now

    def _count(self, name: str, now: float) -> int:
        known = self._of.pop(name, None)
        fresh = known is None or now - known.at > _FORGOTTEN_AFTER * self.longest
        count = 1 if known is None or fresh else known.count + 1
        # More than 40 doublings exceed any longest delay, and would overflow.
        pause = 0.0 if count < self.free else min(self.longest, 2.0 ** min(count - self.free, 40))
        self._of[name] = _Failures(count, now, now + pause)
        if len(self._of) > _MOST_REMEMBERED:
            self._of.popitem(last=False)
        return count


SIGN_IN: Final = "/sign-in"
ABOUT: Final = "/about"
ACCESSIBILITY: Final = "/accessibility"
# The key of an ASGI scope for the holder's key, once it is known.
HOLDER: Final = "dnapredict.key"
# The key for the client that rate limits count: a session, a key, or this machine; absent if anonymous.
CALLER: Final = "dnapredict.caller"
# The key of an ASGI scope for a function that checks whether the key or session may still open the address: for a long
# response, such as a stream of events. The function may read from a disk.
STILL_OPEN: Final = "dnapredict.still_open"

_PUBLIC: Final = frozenset({"/livez", "/healthz", "/readyz", SIGN_IN, ABOUT, ACCESSIBILITY})
# Length of the part that identifies a session; the rest is the seal, which is stored nowhere.
_NAMED: Final = 52
_API_PREFIX: Final = "/v1/"
# Headers that proxies add: with any of them, a request does not come from a person at this machine.
_PROXIED: Final = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip"}
)
_PROXIED_PREFIX: Final = "x-forwarded-"
_FORM: Final = "application/x-www-form-urlencoded"
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class AccessControl:
    """Answer 401, 403 or a redirect to the sign-in page, or pass the request on with its holder's key.

    Parameters
    ----------
    anonymous
        Returns the response if too many requests came without a valid key or session, or to public paths.
    failed
        Counts wrong keys.
    route_of
        The route name of a path, for the log: a path can hold anything that a person typed.
    proxies
        Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.
    """

    app: ASGIApp
    accounts: Accounts
    static_path: str
    anonymous: Callable[[Scope], Response | None]
    failed: FailedKeys
    route_of: Callable[[str], str]
    proxies: Networks = ()

    @property
    def ring(self) -> KeyRing:
        """The keys."""
        return self.accounts.ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection = scope.get(CONNECTION)
        # Not the ASGI scope's client: uvicorn overwrites it with a header that any local client can send.
        peer = connection.peer if connection else (scope.get("client") or ("",))[0]
        scope[ADDRESS] = client_address(scope, peer=peer, proxies=self.proxies)
        scope["scheme"] = request_scheme(scope, peer=peer, proxies=self.proxies)
        refusal = await self._refusal(scope)
        if HOLDER in scope:
            REQUESTED_BY.set(scope[HOLDER].key_id)
        SIGNED_IN.set(scope.get(PERSON))
        scope[STILL_OPEN] = partial(self._is_still_open, scope)
        if CALLER in scope and connection:
            connection.trust()
        if CALLER not in scope or not is_guarded(scope["path"], static_path=self.static_path):
            refusal = self.anonymous(scope) or refusal
        if refusal is None and HOLDER in scope and not _bearer(Headers(scope=scope)):
            with contextlib.suppress(StoreError):  # the session lasts as long as before
                send = renewing(scope, send, self.accounts)
        await (self.app if refusal is None else refusal)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] in _CHANGING and _is_cross_site(headers):
            return json_error(403, "This was sent by a page of another site.")
        if not is_guarded(scope["path"], static_path=self.static_path):
            await self._note_holder(scope, headers)
            return None
        try:
            if self.ring.stale:
                await run_in_threadpool(self.ring.refresh)
            return await self._check_key(scope, headers)
        except StoreError as error:
            _LOG.error("%s", error)
            return json_error(503, "The keys cannot be read. The service's log names the cause.")

    async def _note_holder(self, scope: Scope, headers: Headers) -> None:
        """Note the key's holder on a public path, which is answered with or without a key."""
        if "authorization" not in headers and SESSION_COOKIE not in headers.get("cookie", ""):
            return
        with contextlib.suppress(StoreError):
            if self.ring.stale:
                await run_in_threadpool(self.ring.refresh)
            self._own_holder(scope, headers)

    async def _check_key(self, scope: Scope, headers: Headers) -> Response | None:
        if not self.accounts.required:
            if not _is_of_this_machine(scope, headers):
                return _unauthorised(_MAKE_A_KEY)
            scope[CALLER], scope[PERSON] = _THIS_MACHINE, THIS_MACHINE
            return None
        key = await self._holder(scope, headers)
        if key is None:
            return self._wrong_key(scope, headers) or _sign_in_or_401(scope, headers)
        scope[PERSON] = key.person
        if scope["method"] in _CHANGING and not _bearer(headers) and not _names_this_site(headers):
            return json_error(403, _WITHOUT_ORIGIN)
        if not may_reach(key.held, scope["path"]):
            _LOG.warning("Key %s may not open %s.", key.key_id, self.route_of(scope["path"]))
            return _forbidden(scope, headers, key)
        scope[HOLDER] = key
        return None

    async def _holder(self, scope: Scope, headers: Headers) -> "Key | PersonHolder | TokenHolder | None":
        own = self._own_holder(scope, headers)
        token = _bearer(headers)
        issuer = self.accounts.issuer
        if own is not None or issuer is None or "." not in token:
            return own
        holder = await run_in_threadpool(issuer.holder, token)
        if holder is not None:
            scope[CALLER] = holder.key_id
        return holder

    def _own_holder(self, scope: Scope, headers: Headers) -> Key | PersonHolder | None:
        """The holder of a key of ours, or of a session."""
        token = _bearer(headers)
        session = "" if token else cookie(scope, SESSION_COOKIE)
        key = self.accounts.session_holder(session) if session else self.ring.holder(token)
        if key is not None:
            scope[PERSON] = key.person
            scope[CALLER] = f"session {session[:_NAMED]}" if session else f"key {key.key_id}"
        return key

    def _is_still_open(self, scope: Scope) -> bool:
        """Whether an accepted request would be accepted now too, as the same person in the same role.

        Raises
        ------
        StoreError
            If the keys or the ended sessions cannot be read.
        """
        if HOLDER not in scope:
            return not self.accounts.required
        if isinstance(scope[HOLDER], TokenHolder):  # a program's, which has an end of its own
            return True
        holder = self._own_holder(dict(scope), Headers(scope=scope))
        return holder is not None and holder.person == scope[PERSON]

    def _wrong_key(self, scope: Scope, headers: Headers) -> Response | None:
        """429 for an address that sent too many wrong keys; an expired session does not count."""
        token = _bearer(headers)
        if not token:
            return None
        wait = self.failed.failed(address=scope[ADDRESS], key_id=self.ring.key_id(token))
        if not wait:
            return None
        return json_error(429, f"Too many wrong keys were sent. Come again in {wait} s.", retry_after=wait)


def is_guarded(path: str, *, static_path: str) -> bool:
    """Whether a path needs a key; health checks, static files and a few pages do not."""
    return path not in _PUBLIC and not path.startswith((static_path + "/", SIGN_IN + "/"))


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


_THIS_MACHINE: Final = "this machine"
_WITHOUT_ORIGIN: Final = (
    "The browser did not say which page sent this (Origin, Sec-Fetch-Site or Referer). Allow it to, or use another one."
)
_NOT_YOURS: Final = (
    "You are signed in as a {role}. This role may not open this page. The person who runs dnapredict can change it."
)
_MAKE_A_KEY: Final = (
    "Until a key is made, the service answers the machine that it runs on and nobody else. "
    "`dnapredict keys create` makes one."
)


def _is_of_this_machine(scope: Scope, headers: Headers) -> bool:
    arrived_at = (scope.get("server") or ("", 0))[0]
    name = _host_of("//" + headers.get("host", ""))
    return (
        _is_loopback(arrived_at)
        and (_is_loopback(name) or name == "localhost")
        and not any(header in _PROXIED or header.startswith(_PROXIED_PREFIX) for header in headers)
    )


@lru_cache(maxsize=1_024)
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_cross_site(headers: Headers) -> bool:
    """Whether a browser sent this from a page of another site; programs send no such header and have no session."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and _netloc_of(origin) != headers.get("host", "")


def _names_this_site(headers: Headers) -> bool:
    """Whether a form says that a page of this site sent it; every browser of the last years does, in one of these."""
    if "sec-fetch-site" in headers or "origin" in headers:
        return not _is_cross_site(headers)
    return _netloc_of(headers.get("referer", "")) == headers.get("host", "")


def _netloc_of(address: str) -> str | None:
    """Host and port of an address; None where it cannot be parsed, such as `http://[::1`."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _sign_in_or_401(scope: Scope, headers: Headers) -> Response:
    """A redirect to the sign-in page for a person, 401 for a program.

    Status 307 makes a browser send its form again, so that its content is available after signing in and is not
    stored on this machine in the meantime. A file is not sent again: the person still has it.
    """
    if "text/html" in headers.get("accept", "") and not scope["path"].startswith(_API_PREFIX):
        query = scope.get("query_string", b"").decode("latin-1")
        is_form = scope["method"] == "POST" and headers.get("content-type", "").startswith(_FORM)
        again = unsent_form_address(scope["path"], query) if is_form else ""
        if again:
            return RedirectResponse(again, 307)
        return RedirectResponse(SIGN_IN + sign_in_query(scope["method"], scope["path"], query), 303)
    return _unauthorised("Send an API key: Authorization: Bearer KEY.")


def _forbidden(scope: Scope, headers: Headers, key: Key | PersonHolder | TokenHolder) -> Response:
    """403; for a role without lists, the start page redirects to that role's first page."""
    if scope["path"] == "/" and "text/html" in headers.get("accept", "") and may_reach(key.held, first_page(key.held)):
        return RedirectResponse(first_page(key.held), 303)
    person = key.person
    return json_error(403, "This key may not do that." if person.is_shared else _NOT_YOURS.format(role=person.role))


def _unauthorised(sentence: str) -> Response:
    return json_error(401, sentence, headers={"www-authenticate": "Bearer"})
