"""Refuse a body that is too large, too slow or of an unexpected type, before anything reads it.

BentoML itself sets no limit: 53 MB of JSON took a worker to 1 GB and held up its health check
for five seconds. Here the bytes are counted as they arrive, whatever the header claims.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.service.client_address import ADDRESS
from dnapredict.service.error_responses import json_error

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True)
class BodyType:
    """The content types that paths of a pattern take, and the largest body in bytes."""

    path: re.Pattern[str]
    content_types: Collection[str]
    largest: int


class AnonymousBodies:
    """Bodies that anonymous clients are sending; above the limit the oldest is cancelled.

    Ordinary clients send the body right after the header, so that the oldest body is a slow one. Refusing the
    newest instead would let slow clients block the sign-in of others.

    Parameters
    ----------
    at_once, of_address
        Bodies that may be sent at the same time, in all and from one address.
    seconds
        How long a client may take to send one.
    """

    def __init__(self, *, at_once: int, of_address: int, seconds: float) -> None:
        """Start without bodies."""
        self.seconds = seconds
        self._at_once = at_once
        self._of_address = of_address
        self._arriving: dict[asyncio.Timeout, str] = {}

    @contextlib.asynccontextmanager
    async def arriving(self, address: str) -> AsyncIterator[None]:
        """Context while a body arrives; raises TimeoutError if it takes too long or is cancelled for another."""
        self._make_room(address)
        async with asyncio.timeout(self.seconds) as deadline:
            self._arriving[deadline] = address
            try:
                yield
            finally:
                self._arriving.pop(deadline, None)

    def _make_room(self, address: str) -> None:
        own = [each for each, sender in self._arriving.items() if sender == address]
        oldest = own if len(own) >= self._of_address else list(self._arriving)
        if len(own) >= self._of_address or len(self._arriving) >= self._at_once:
            del self._arriving[oldest[0]]
            oldest[0].reschedule(asyncio.get_running_loop().time())


@dataclass
class BodyLimits:
    """Pass on a complete body, or answer 408, 413, 415, or 503 while too many are being sent.

    Parameters
    ----------
    largest
        Bytes a body may hold on a path that `body_types` does not name.
    body_types
        The content types and sizes that each path accepts.
    seconds
        How long a client with a key may take to send a body.
    at_once
        Bodies that clients with a key may send at the same time: each is held in memory.
    anonymous
        The bodies of public paths, counted apart from the others.
    guarded
        Whether a path needs a key.
    """

    app: ASGIApp
    largest: int
    body_types: Sequence[BodyType]
    seconds: float
    at_once: int
    anonymous: AnonymousBodies
    guarded: Callable[[str], bool]
    _arriving: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self.app(scope, receive, send)
            return
        kind = next((each for each in self.body_types if each.path.fullmatch(scope["path"])), None)
        largest = self.largest if kind is None else kind.largest
        refusal = _refusal(scope, kind, largest)
        if refusal is None:
            body = await self._counted_body(scope, receive, largest)
            if isinstance(body, deque):
                await self.app(scope, _replay(body, receive), send)
                return
            refusal = body
        await refusal(scope, receive, send)

    async def _counted_body(self, scope: Scope, receive: Receive, largest: int) -> deque[bytes] | JSONResponse:
        guarded = self.guarded(scope["path"])
        if guarded and self._arriving >= self.at_once:
            return _refuse(503, "Too many requests are being sent at once. Try again in a moment.")
        seconds = self.seconds if guarded else self.anonymous.seconds
        try:
            async with self._guarded() if guarded else self.anonymous.arriving(scope.get(ADDRESS, "")):
                return await _body(receive, largest)
        except TimeoutError:
            return _refuse(408, f"The request was not received within {seconds:g} seconds.")

    @contextlib.asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        self._arriving += 1
        try:
            async with asyncio.timeout(self.seconds):
                yield
        finally:
            self._arriving -= 1


def _refusal(scope: Scope, kind: BodyType | None, largest: int) -> JSONResponse | None:
    """The refusal that follows from the headers alone, if any."""
    headers = Headers(scope=scope)
    declared = headers.get("content-length", "0")
    if not declared.isdigit() or int(declared[:20]) > largest:
        return _too_large(largest)
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind is not None and media_type not in kind.content_types:
        return _refuse(415, f"Send this as {' or '.join(sorted(kind.content_types))}.")
    return None


async def _body(receive: Receive, largest: int) -> deque[bytes] | JSONResponse:
    parts: deque[bytes] = deque()
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":  # an incomplete form must not be processed
            # The client is gone, but BentoML waits for some answer.
            return _refuse(400, "The connection ended before all of the request was received.")
        part = message.get("body", b"")
        size += len(part)
        if size > largest:
            return _too_large(largest)
        parts.append(part)
        if not message.get("more_body", False):
            return parts


def _too_large(largest: int) -> JSONResponse:
    if largest < 1_048_576:
        return _refuse(413, f"The request is larger than {largest / 1_024:g} kB.")
    return _refuse(413, f"The request is larger than {largest / 1_048_576:g} MB. Send it in parts.")


def _refuse(status: int, sentence: str) -> JSONResponse:
    # The rest of the body may follow on this connection, so it cannot be used again.
    return json_error(status, sentence, retry_after=1 if status == 503 else None, headers={"connection": "close"})


def _replay(parts: deque[bytes], receive: Receive) -> Receive:
    """Replay the parts of a body that was already read, releasing each part, then pass on later messages."""

    async def next_message() -> Message:
        if not parts:
            return await receive()
        part = parts.popleft()
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return next_message
