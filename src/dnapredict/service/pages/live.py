"""Live lists: server-sent events that tell an open page which lines colleagues have changed.

An event contains line numbers and the progress of the list, and nothing about a patient. The script of the page
(`static/live.js`) then fetches the page and replaces the changed lines. Without JavaScript, the page has a link.

A stream mostly waits, so it takes no slot of `ConcurrencyLimit`. Streams have a limit of their own, so that open pages
never use up a worker's connections; one person can use only a part of it. Each stream ends after less than a minute,
and the browser connects again with the number of the last event that it saw; after a restart it does the same. A stream
also ends within seconds of the end of its session, key or role.
"""

import asyncio
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from dnapredict.errors import DnapredictError
from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.auth.access_control import STILL_OPEN
from dnapredict.service.auth.staff import THIS_MACHINE, Person, person_of
from dnapredict.service.call_actions import Actions
from dnapredict.service.call_progress import list_progress
from dnapredict.service.connections import CONNECTION
from dnapredict.service.error_responses import json_error
from dnapredict.service.log.action_feed import ActionFeed
from dnapredict.service.pages.lists.list_view import LIST_PAGES, ONE_LIST, list_heading
from dnapredict.service.pages.posted_forms import whole_number
from dnapredict.worklist.files.kept_list import KeptList

LIVE: Final = "/live"
SINCE: Final = "since"
_IS_LIVE: Final = re.compile(LIST_PAGES + "/[^/]+" + LIVE)
_LOG: Final = logging.getLogger("dnapredict.service")
_NO_LIST: Final = "This list does not exist or has been deleted."
_TOO_MANY_OF_ONE: Final = (
    "You have too many pages of lists open to keep all of them up to date. Close some, or load the page again to see "
    "what was recorded."
)
_TOO_MANY: Final = "Too many pages are kept up to date now. Load the page again to see what was recorded."
_SECONDS_BETWEEN_LOOKS: Final = 1.0
# Shorter than the silence after which proxies close a connection, by default a minute.
_SECONDS_BETWEEN_SIGNS: Final = 15.0
_SECONDS_OPEN: Final = 50.0
_RETRY_AFTER: Final = 30
_MILLISECONDS_TO_RECONNECT: Final = 3_000
_MOST_DIGITS: Final = 18
_MOST_LISTS: Final = 32
_MOST_CHANGES: Final = 256
# A person has a list or two open, on a telephone perhaps too. Of a shared key nobody knows how many people use it.
_MOST_OF_A_PERSON: Final = 8


def is_live(path: str) -> bool:
    """Whether a path is that of a stream of events."""
    return _IS_LIVE.fullmatch(path) is not None


@dataclass
class LiveLists:
    """The streams of events of a worker.

    Parameters
    ----------
    most
        Gives the number of streams that may be open at the same time.
    """

    lists: TeamLists
    actions: Actions
    feed: ActionFeed
    most: Callable[[], int]
    open_streams: dict[Response, str] = field(default_factory=dict, init=False)
    _starting: Counter[str] = field(default_factory=Counter, init=False)
    _hashes: dict[str, Sequence[str]] = field(default_factory=dict, init=False)
    _changes: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict, init=False)
    _changing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def last_number(self) -> int:
        """The number of the last action now, which a page hands to its script.

        Raises
        ------
        StoreError
            If the scoring log cannot be read.
        """
        return self.feed.last_number()

    def routes(self) -> Sequence[BaseRoute]:
        """The route of the streams."""
        return [Route(ONE_LIST + LIVE, self.stream, methods=["GET"])]

    async def stream(self, request: Request) -> Response:
        """Send an event for each change of a list, from the number that the page or the last event names."""
        person = person_of(request.scope)
        whose = "" if person is None else person.key_id
        # Streams that are still reading their list count too, or a burst of requests would pass the limit.
        by_key = self._starting + Counter(self.open_streams.values())
        if by_key.total() >= self.most():
            return json_error(503, _TOO_MANY, retry_after=_RETRY_AFTER)
        if by_key[whose] >= self._most_of(person):
            return json_error(503, _TOO_MANY_OF_ONE, retry_after=_RETRY_AFTER)
        self._starting[whose] += 1
        try:
            return await self._started(request, whose)
        finally:
            self._starting[whose] -= 1

    def _most_of(self, person: Person | None) -> int:
        """How many streams a person may have; where nobody signs in, there is nobody to leave room for."""
        if person is None or person is THIS_MACHINE:
            return self.most()
        return max(1, self.most() // 2) if person.is_shared else _MOST_OF_A_PERSON

    async def _started(self, request: Request, whose: str) -> Response:
        list_id = request.path_params["list_id"]
        try:
            kept = await run_in_threadpool(self.lists.shown, list_id)
            since = _number(request)
            since = await run_in_threadpool(self.last_number) if since is None else since
        except DnapredictError as error:
            _LOG.error("%s", error)
            return json_error(503, _TOO_MANY, retry_after=_RETRY_AFTER)
        if kept is None:
            return json_error(404, _NO_LIST)
        return _Stream(self._events(request, list_id, since), self.open_streams, whose)

    async def _events(self, request: Request, list_id: str, since: int) -> AsyncIterator[str]:
        connection, is_still_open = request.scope.get(CONNECTION), request.scope[STILL_OPEN]
        ends_at = time.monotonic() + _SECONDS_OPEN
        sign_at = 0.0
        yield f"retry: {_MILLISECONDS_TO_RECONNECT}\nid: {since}\ndata: {{}}\n\n"
        # A server that is stopping waits for open responses.
        while time.monotonic() < ends_at and not (connection and connection.is_ending):
            try:
                if not await run_in_threadpool(is_still_open):
                    return
                number, event = await self._next(list_id, since)
            except DnapredictError as error:  # the browser connects again; the log may then be readable
                _LOG.error("%s", error)
                return
            if number > since:
                since = number
                yield event
            elif time.monotonic() >= sign_at:
                sign_at = time.monotonic() + _SECONDS_BETWEEN_SIGNS
                yield ":\n\n"
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def _next(self, list_id: str, since: int) -> tuple[int, str]:
        """The number of the last action and the event about the actions since; the same number where there is none."""
        if self.feed.is_stale:
            await run_in_threadpool(self.feed.refresh)
        if self.feed.known_number <= since:
            return since, ""
        return await run_in_threadpool(self._change, list_id, since)

    def _change(self, list_id: str, since: int) -> tuple[int, str]:
        """The number of the last action, and the event about the actions since; computed once for all streams."""
        with self._changing:
            if (list_id, since) not in self._changes:
                if len(self._changes) >= _MOST_CHANGES:
                    self._changes.clear()
                self._changes[list_id, since] = self._event_since(list_id, since)
            return self._changes[list_id, since]

    def _event_since(self, list_id: str, since: int) -> tuple[int, str]:
        """The same; without a changed line, the event is a new number only."""
        changes = self.feed.since(since)
        kept = self.lists.shown(list_id)
        if kept is None:
            return changes.number, _event(changes.number, "gone", {})
        hashes = enumerate(self._hashes_of(kept), start=1)
        lines = [number for number, each in hashes if each in changes.appointments]
        if not lines and changes.is_complete:
            return changes.number, f"id: {changes.number}\ndata: {{}}\n\n"
        progress = list_progress(kept.calls, self.actions.latest(kept.calls))
        said: dict[str, Any] = {
            "lines": lines if changes.is_complete else [],
            "progress": progress.words,
            "heading": list_heading(kept, progress),
        }
        return changes.number, _event(changes.number, "changed", said)

    def _hashes_of(self, kept: KeptList) -> Sequence[str]:
        """The hash of the appointment on each line, computed once for each state of a list."""
        state = f"{kept.heading.list_id} {kept.heading.created_at} {kept.worklist.num_rows}"
        hashes = self._hashes.get(state)
        if hashes is None:
            names = kept.worklist["appointment_id"].to_pylist()
            hashes = tuple("" if name is None else self.feed.hash_of(name) for name in names)
            if len(self._hashes) >= _MOST_LISTS:
                self._hashes.clear()
            self._hashes[state] = hashes
        return hashes


class _Stream(StreamingResponse):
    """A stream of events with the id of its key; it counts as open until its client disconnects or it ends."""

    def __init__(self, events: AsyncIterator[str], open_streams: dict[Response, str], whose: str) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._open_streams = open_streams
        self._whose = whose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        self._open_streams[self] = self._whose
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open_streams.pop(self, None)


def _event(number: int, name: str, said: Mapping[str, Any]) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(said)}\n\n"


def _number(request: Request) -> int | None:
    """The number of the last event that the browser saw, or else the one in the page's address."""
    named = request.headers.get("last-event-id") or request.query_params.get(SINCE, "")
    return whole_number(named, most_digits=_MOST_DIGITS)
