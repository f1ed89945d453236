"""Refuse requests that two programs would read differently.

A proxy and the service that disagree on where a request ends let a client hide a second request in the first (request
smuggling); programs that disagree on which of two values counts let a client show one value to a check and another to
the work.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.service.error_responses import json_error

# Headers that decide who sent a request, from where, or how it is read; starlette would use the first of several.
_SENT_ONCE: Final = (
    "authorization",
    "content-length",
    "content-type",
    "host",
    "origin",
    "sec-fetch-site",
    "transfer-encoding",
)
_TWO_LENGTHS: Final = "The request has both Content-Length and Transfer-Encoding: send one of them."
_NO_CODING: Final = "HTTP/1.0 has no Transfer-Encoding: send the Content-Length."
_REPEATED_KEY: Final = "The request holds a key twice in one JSON object."
_NO_JSON: Final = "The request is not valid JSON."
_JSON: Final = "application/json"
# Larger bodies are read in a thread: the event loop serves other requests meanwhile.
_READ_AT_ONCE: Final = 65_536


@dataclass(frozen=True)
class UnambiguousHeaders:
    """Answer 400 to a request with two lengths, a transfer coding that its HTTP lacks, or a deciding header repeated.

    RFC 9112 lets a server ignore `Content-Length` beside `Transfer-Encoding`. It is refused here, since a proxy may
    have used the other one.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        sentence = _ambiguity(scope["headers"], scope.get("http_version", "")) if scope["type"] == "http" else ""
        if not sentence:
            await self.app(scope, receive, send)
            return
        # What follows on this connection may be the rest of a body.
        await json_error(400, sentence, headers={"connection": "close"})(scope, receive, send)


def _ambiguity(headers: Iterable[tuple[bytes, bytes]], version: str) -> str:
    counts = Counter(name.decode("latin-1").lower() for name, _ in headers)
    if counts["content-length"] and counts["transfer-encoding"]:
        return _TWO_LENGTHS
    if version == "1.0" and counts["transfer-encoding"]:  # RFC 9112, 6.1: a proxy of 1.0 does not know where it ends
        return _NO_CODING
    repeated = next((name for name in _SENT_ONCE if counts[name] > 1), "")
    return f"The request has the header {repeated} more than once." if repeated else ""


@dataclass(frozen=True)
class UniqueJsonKeys:
    """Answer 400 to a JSON body with a key twice in one object; RFC 8259 leaves open which of the values counts."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or not _is_json(scope):
            await self.app(scope, receive, send)
            return
        parts: list[bytes] = []
        message: Message = {"more_body": True}
        while message.get("more_body", False):
            message = await receive()
            parts.append(message.get("body", b""))
        body = b"".join(parts)
        parts.clear()
        sentence = _fault(body) if len(body) <= _READ_AT_ONCE else await run_in_threadpool(_fault, body)
        if sentence:
            await json_error(400, sentence)(scope, receive, send)
        else:
            await self.app(scope, _once(body, receive), send)


def _is_json(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").split(";")[0].strip().lower() == _JSON


class _RepeatedKeyError(ValueError):
    """A JSON object has a key twice."""


def _require_unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _RepeatedKeyError


def _fault(body: bytes) -> str:
    """What is wrong with a JSON body; "" if it can be read in one way only."""
    try:
        # Only keys are looked at: converting numbers would take most of the time, and fails on very long ones.
        json.loads(
            body.decode("utf-8"), object_pairs_hook=_require_unique, parse_int=str, parse_float=str, parse_constant=str
        )
    except _RepeatedKeyError:
        return _REPEATED_KEY
    except (ValueError, RecursionError):
        return _NO_JSON
    return ""


def _once(body: bytes, receive: Receive) -> Receive:
    """Replay a body that was already read, then pass on later messages."""
    parts = [body]

    async def next_message() -> Message:
        return {"type": "http.request", "body": parts.pop(), "more_body": False} if parts else await receive()

    return next_message
