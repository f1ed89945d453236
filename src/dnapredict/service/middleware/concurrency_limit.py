"""Limit the requests processed in parallel and those waiting; others are answered 503 at once.

With an unlimited queue every client would wait until its own time-out. Work that takes too long is answered 504;
a thread cannot be stopped, so that it continues after that answer and counts until it ends.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.service.error_responses import json_error
from dnapredict.service.pages.rendering import error_page

_RETRY_AFTER: Final = 1
_BUSY: Final = "The service is too busy now. Try again in a moment."
_TOO_LONG: Final = "This took too long and was given up. Send fewer appointments at a time."


@dataclass
class ConcurrencyLimit:
    """Answer 503 to requests above the limits, and 504 to those that take too long.

    Parameters
    ----------
    at_once
        Requests that are processed in parallel.
    waiting
        Requests that may wait.
    seconds_to_wait, seconds_to_answer
        How long they may wait, and how long the work may take.
    guarded
        Whether a path is subject to the limit; health checks and static files are not.
    """

    app: ASGIApp
    at_once: int
    waiting: int
    seconds_to_wait: float
    seconds_to_answer: float
    guarded: Callable[[str], bool]
    _free: asyncio.Semaphore = field(init=False)
    _queue: int = field(default=0, init=False)
    _behind: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Start without requests."""
        self._free = asyncio.Semaphore(self.at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not self.guarded(scope["path"]):
            await self.app(scope, receive, send)
        elif await self._acquire():
            await self._work(scope, receive, send)
        else:
            await _refusal(scope, 503, _BUSY)(scope, receive, send)

    async def _acquire(self) -> bool:
        # Only if no slot is free: a full queue that is just being emptied must not refuse a request that could start.
        if self._free.locked() and self._queue >= self.waiting:
            return False
        self._queue += 1
        try:
            async with asyncio.timeout(self.seconds_to_wait):
                await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self._queue -= 1
        return True

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = _Client(send)
        task = asyncio.ensure_future(self.app(scope, receive, client.send))
        self._behind.add(task)
        # The slot is released when the work ends, not when the client is answered: a thread that scores cannot be
        # stopped, and giving its slot away would let slow work pile up.
        task.add_done_callback(self._done)
        # Not `wait_for`, which would cancel the task: the thread behind it would go on without a slot.
        await asyncio.wait({task}, timeout=self.seconds_to_answer)
        if task.done():
            await task
        elif client.cut():
            await _refusal(scope, 504, _TOO_LONG)(scope, receive, send)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._behind.discard(task)
        self._free.release()
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio logs an error


class _Client:
    """The messages to a client; those after a cut are dropped."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = self._cut = False

    async def send(self, message: Message) -> None:
        if not self._cut:
            self._begun = True
            await self._send(message)

    def cut(self) -> bool:
        """Drop further messages; return whether no answer had begun, since one that has begun can only be cut off."""
        self._cut = True
        return not self._begun


def _refusal(scope: Scope, status: int, sentence: str) -> Response:
    response = json_error(status, sentence, retry_after=_RETRY_AFTER if status == 503 else None)
    if scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
        again = {name: value for name, value in response.headers.items() if name == "retry-after"}
        return error_page("This cannot be shown now", sentence, status=status, headers=again)
    return response
