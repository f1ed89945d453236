"""Limits on requests: how many are processed in parallel or wait (503, 504), and how many a key may send (429).

With an unlimited queue every client would wait until its own time-out, so the surplus is answered at once. Work that
takes too long is answered 504; a thread cannot be stopped, so that it continues after that answer and counts until it
ends. The rate has a token bucket for each key, and for each address without one, in the memory of the worker: a key
may reach the rate times the number of workers. This needs no look-up in a shared store, which could fail.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.service.auth.access_control import CALLER, HOLDER
from dnapredict.service.client_address import ADDRESS
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


_MOST_REMEMBERED: Final = 10_000
_NOBODY: Final = ""
_TOO_MUCH: Final = "This key sent too many requests. {}, or send several appointments at once."
_HEALTH: Final = frozenset({"/livez", "/healthz", "/readyz"})


@dataclass
class Buckets:
    """Token buckets, each stored as the time at which it will be full again.

    Parameters
    ----------
    a_second
        Requests by which a bucket is refilled each second.
    burst
        Requests in a full bucket.
    """

    a_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _full_at: dict[str, float] = field(default_factory=dict)

    def take(self, key: str) -> float:
        """Take a token for `key`: 0 if there was one, otherwise the seconds until there is."""
        now = self.clock()
        # One number for each key instead of tokens and a time: a bucket that refills needs no timer.
        full_at = max(self._full_at.get(key, now), now) + 1 / self.a_second
        wait = full_at - now - self.burst / self.a_second
        # Rounding of floats must not refuse the last token of a burst.
        if wait > 1e-9:
            return wait
        # Bounded memory: a stranger can send from a million addresses. Forgetting a full bucket changes nothing.
        if key not in self._full_at and len(self._full_at) >= _MOST_REMEMBERED:
            self._make_room(now)
        self._full_at[key] = full_at
        return 0.0

    def is_half_empty(self, key: str) -> bool:
        """Whether more than half of the burst of `key` is used up."""
        return (self._full_at.get(key, 0.0) - self.clock()) * self.a_second > self.burst / 2

    def _make_room(self, now: float) -> None:
        """Forget the full buckets; if none is full, the oldest tenth."""
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        if len(self._full_at) >= _MOST_REMEMBERED:
            for name in list(self._full_at)[: _MOST_REMEMBERED // 10]:
                del self._full_at[name]


@dataclass(frozen=True)
class RateLimit:
    """Answer 429 to a key with too many requests.

    Addresses that need no key are counted by `AnonymousRate`.
    """

    app: ASGIApp
    buckets: Buckets
    guarded: Callable[[str], bool]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        wait = 0.0
        if scope["type"] == "http" and self.guarded(scope["path"]):
            holder = scope.get(HOLDER)
            wait = self.buckets.take(holder.key_id if holder else _NOBODY)
        await (_come_again(_TOO_MUCH, wait) if wait else self.app)(scope, receive, send)


class AnonymousRate:
    """Rate limits of requests without a key, by client address and in total.

    Requests for public paths with a session or a key are counted by that, so that people behind one address do not
    share a bucket. Health checks have separate buckets: page requests from an address cannot make its probes fail.

    Parameters
    ----------
    a_second, burst
        The limits of one address, as in `Buckets`.
    a_second_in_all, burst_in_all
        The limits of all addresses together; an address whose own bucket is at least half full is served
        all the same.
    """

    def __init__(
        self,
        *,
        a_second: float,
        burst: int,
        a_second_in_all: float,
        burst_in_all: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with full buckets."""
        self._own = {health: Buckets(a_second, burst, clock) for health in (True, False)}
        self._all = {health: Buckets(a_second_in_all, burst_in_all, clock) for health in (True, False)}

    def __call__(self, scope: Scope) -> JSONResponse | None:
        """The response to send if this request exceeds a limit."""
        wait = self._wait(scope)
        return _come_again("Too many requests came from this address. {}.", wait) if wait else None

    def _wait(self, scope: Scope) -> float:
        caller, health = scope.get(CALLER), scope["path"] in _HEALTH
        own = self._own[health]
        name = scope.get(ADDRESS, "") if caller is None else caller
        wait = own.take(name)
        if wait or caller is not None or not own.is_half_empty(name):
            return wait
        return self._all[health].take(_NOBODY)


def _come_again(sentence: str, wait: float) -> JSONResponse:
    seconds = math.ceil(wait)
    return json_error(429, sentence.format(f"Come again in {seconds} s"), retry_after=seconds)
