"""Refuse a body that is too large, too slow or of an unexpected type, before anything reads it.

BentoML itself sets no limit: 53 MB of JSON took a worker to 1 GB and held up its health check
for five seconds. Here the bytes are counted as they come, whatever the header promises.
"""

import asyncio
import re
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimits"]

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass
class BodyLimits:
    """Let a body through whole, or answer 408, 413, 415, or 503 while too many are being sent.

    Parameters
    ----------
    largest
        Bytes a body may hold.
    content_types
        For a pattern of paths, the content types they take; any other path takes no body.
    seconds
        How long a client may take to send a body.
    at_once
        Bodies that may be on their way at the same time: each is held in memory.
    """

    app: ASGIApp
    largest: int
    content_types: Sequence[tuple[re.Pattern[str], Collection[str]]]
    seconds: float
    at_once: int
    _arriving: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            body = await self._counted_body(receive)
            if isinstance(body, deque):
                await self.app(scope, _replay(body, receive), send)
                return
            refusal = body
        await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """What the headers alone already tell."""
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "0")
        if not declared.isdigit() or int(declared[:20]) > self.largest:
            return self._too_large()
        allowed = next((kinds for path, kinds in self.content_types if path.fullmatch(scope["path"])), None)
        if allowed is None:
            return None
        media_type = headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type not in allowed:
            return _refuse(415, f"Send this as {' or '.join(sorted(allowed))}.")
        return None

    async def _counted_body(self, receive: Receive) -> deque[bytes] | JSONResponse:
        if self._arriving >= self.at_once:
            return _refuse(503, "Too many requests are being sent at once. Try again in a moment.")
        self._arriving += 1
        try:
            return await self._body(receive)
        finally:
            self._arriving -= 1

    async def _body(self, receive: Receive) -> deque[bytes] | JSONResponse:
        parts: deque[bytes] = deque()
        size = 0
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    message = await receive()
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self.largest:
                        return self._too_large()
                    parts.append(part)
                    if not message.get("more_body", False):
                        return parts
        except TimeoutError:
            return _refuse(408, f"The request was not received within {self.seconds:g} seconds.")

    def _too_large(self) -> JSONResponse:
        return _refuse(413, f"The request is larger than {self.largest / 1_048_576:g} MB. Send it in parts.")


def _refuse(status: int, sentence: str) -> JSONResponse:
    # What follows on this connection may be the rest of a body nobody will read.
    headers = {"connection": "close"} | ({"retry-after": "1"} if status == 503 else {})
    return JSONResponse({"error": sentence}, status, headers=headers)


def _replay(parts: deque[bytes], receive: Receive) -> Receive:
    """Give the parts of a body that was already read, each let go as it is given; then what comes next."""

    async def next_message() -> Message:
        if not parts:
            return await receive()
        part = parts.popleft()
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return next_message
