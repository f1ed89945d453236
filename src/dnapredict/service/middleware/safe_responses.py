"""What every response has: security headers, and for an error one format, a sentence or a page for a browser.

BentoML answers an error as a list, an object or plain text, depending on its origin. Here every error is
`{"error": "a sentence"}`, without content of the request or details of the machine; on the paths of pages, a browser
gets it as a page. Uncaught exceptions are answered here too: BentoML would send nothing until its own time-out of a
minute and a half. The headers forbid to load anything from other hosts, to cache and to frame.
"""

import html
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.service.error_responses import json_error
from dnapredict.service.pages.rendering import error_page

_LOG: Final = logging.getLogger("dnapredict.service")
_SENTENCES: Final = {
    400: "The request cannot be read.",
    401: "Send an API key: Authorization: Bearer KEY.",
    403: "This key may not do that.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    500: "Something went wrong here; the request was not carried out. The service's log names the cause.",
    503: "The service is not ready. Try again in a moment.",
    504: "This took too long and was given up. Send fewer appointments at a time.",
}
_HEADING: Final = "This was not done"
_HEADINGS: Final = {
    403: "You may not do that",
    404: "There is no such page",
    413: "The file is too large",
    429: "Please wait a moment",
    500: "Something went wrong",
    503: "Please try again in a moment",
    504: "This took too long",
}
_API_PREFIX: Final = "/v1/"
# Seconds after which a model may be loaded or a database be available again.
_RETRY_AFTER: Final = "5"
# The body of a conflict also holds the outcome that counts now.
_WITH_MORE: Final = frozenset({409})
_OWN_KEYS: Final = frozenset({"error"})
_KEPT: Final = ("allow", "connection", "retry-after", "www-authenticate")


@dataclass(frozen=True)
class PlainErrors:
    """Rewrite responses of status 400 and above.

    Parameters
    ----------
    private
        Texts that no response may contain, such as the folder of the home, and their replacements.
    """

    app: ASGIApp
    private: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started: Message | None = None
        parts: list[bytes] = []
        is_answered = False

        async def send_plainly(message: Message) -> None:
            nonlocal started, is_answered
            if message["type"] == "http.response.start" and message["status"] >= 400:
                started = message
                return
            if started is None:
                is_answered = True
                await send(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                is_answered = True
                await self._plain(scope, started, b"".join(parts))(scope, receive, send)

        try:
            await self.app(scope, receive, send_plainly)
        except Exception:
            if is_answered:
                raise
            _LOG.exception("A request was not answered.")
            await self._plain(scope, {"status": 500}, b"")(scope, receive, send)

    def _plain(self, scope: Scope, started: Message, body: bytes) -> Response:
        status: int = started["status"]
        headers = Headers(raw=started.get("headers", []))
        if headers.get("content-type", "").startswith("text/html") or status in _WITH_MORE:
            public = self._without_private(body.decode("utf-8", "replace"))
            response = Response(public, status)
            response.raw_headers = [
                *((name, value) for name, value in headers.raw if name != b"content-length"),
                (b"content-length", str(len(response.body)).encode()),
            ]
            return response
        kept = {name: headers[name] for name in _KEPT if name in headers}
        if status == 503:
            kept.setdefault("retry-after", _RETRY_AFTER)
        sentence = self._without_private(_sentence(status, body))
        if _is_of_person(scope):
            return error_page(_HEADINGS.get(status, _HEADING), sentence, status=status, headers=kept)
        return json_error(status, sentence, headers=kept)

    def _without_private(self, text: str) -> str:
        for private, public in self.private.items():
            text = text.replace(private, public).replace(html.escape(private), public)
        return text


def _is_of_person(scope: Scope) -> bool:
    """Whether a browser asks for a page; some programs accept HTML too, but use other paths."""
    wanted = Headers(scope=scope).get("accept", "")
    return "text/html" in wanted and not scope["path"].startswith(_API_PREFIX)


def _sentence(status: int, body: bytes) -> str:
    try:
        content: Any = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict) and set(content) == _OWN_KEYS and status != 500:
        return str(content["error"])
    problems = content.get("detail") if isinstance(content, dict) else None
    if status == 400 and isinstance(problems, list) and problems:
        return _of_validation(problems[0])
    return _SENTENCES.get(status, "The request was refused.")


def _of_validation(problem: dict[str, Any]) -> str:
    """The first problem in pydantic's report as a sentence; the report does not contain the input."""
    if problem.get("type") == "json_invalid":
        return "The request is not valid JSON."
    if problem.get("type") == "extra_forbidden":
        return "The request holds an unknown key."  # the unknown key is not quoted: it could be a patient's value
    message = str(problem.get("msg", "")).removeprefix("Value error, ")
    if problem.get("type") == "value_error":
        return message[:1].upper() + message[1:] + ("" if message.endswith((".", "?")) else ".")
    where = ".".join(str(part) for part in problem.get("loc", ()))
    return f"'{where}': {message}."


_POLICY: Final = "content-security-policy"
SECURITY_HEADERS: Final = {
    _POLICY: ("default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not "no-referrer": browsers would then send no origin with a form, and every form would seem to be foreign.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# A response can hold a patient's appointment, so neither a browser nor a proxy may cache it.
_NOT_KEPT: Final = "no-store"
_KEPT_AN_HOUR: Final = "max-age=3600"
# Browsers that came by https use nothing else for a year, for this host and those beneath it.
_HTTPS_ONLY: Final = "strict-transport-security"
_A_YEAR: Final = "max-age=31536000; includeSubDomains"
# These headers would reveal which software runs here.
_REMOVED: Final = ("server", "x-bentoml-request-id")


@dataclass(frozen=True)
class SecurityHeaders:
    """Add the headers to every response, and remove those that describe the server."""

    app: ASGIApp
    static_path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kept = _KEPT_AN_HOUR if scope["path"].startswith(self.static_path) else _NOT_KEPT

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in _REMOVED:
                    del headers[name]
                # A page with inline styles, such as a report, sets its own policy.
                policy = headers.get(_POLICY, SECURITY_HEADERS[_POLICY])
                headers.update({**SECURITY_HEADERS, "cache-control": kept, _POLICY: policy})
                # Access control has replaced the scheme by what a trusted proxy reports.
                if scope.get("scheme") == "https":
                    headers[_HTTPS_ONLY] = _A_YEAR
            await send(message)

        await self.app(scope, receive, send_with_headers)
