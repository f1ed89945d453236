"""Limits on a worker's open connections: their number, and how long a client may stay silent.

uvicorn has no time-out for request headers and no limit by address, and asyncio accepts every pending
connection before it serves one: 2,200 idle connections used up the file descriptors of a worker, and with
them its databases. The limits are in a subclass of uvicorn's protocol. When too many connections are open,
the one of an anonymous client that has waited longest is closed and the new one is served: a client that
sends its request at once is not refused because others send nothing.
"""

import asyncio
import functools
import logging
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn.config
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from dnapredict.data.files.operating_system import is_windows
from dnapredict.service.client_address import Networks, grouped, in_networks
from dnapredict.service.open_files import ACCEPTED_AT_ONCE

# The key of the connection in the ASGI scope of a request.
CONNECTION: Final = "dnapredict.connection"
_STATE: Final = "dnapredict.connections"
_LOG: Final = logging.getLogger("dnapredict.service")
# uvicorn logs every request that is not HTTP: a stranger could fill the disk.
_HTTP_LOG: Final = logging.getLogger("uvicorn.error.requests")
_HTTP_LOG.setLevel(logging.ERROR)

_KERNEL_BACKLOG: Final = 2_048
_SECONDS_BETWEEN_SWEEPS: Final = 1.0
_SECONDS_BETWEEN_NOTES: Final = 60.0
# A body that nobody reads may go on for this long after the answer, so that the client can read the answer.
_SECONDS_TO_LINGER: Final = 2.0


class Connections:
    """All open connections of a worker, those of anonymous clients apart and by address.

    Parameters
    ----------
    most
        Connections in all.
    most_of_address
        Connections of anonymous clients of one address; a connection that carried a request with a valid
        key or session, or comes from one of `proxies`, is not counted by address.
    seconds_to_ask
        Seconds until the whole header of a request must have arrived, and a connection may stay idle.
    seconds_to_read
        Seconds within which a client must read some of its answer.
    """

    def __init__(
        self,
        *,
        most: int,
        most_of_address: int,
        seconds_to_ask: float,
        seconds_to_read: float,
        proxies: Networks = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without connections."""
        self.most = most
        self.clock = clock
        self._most_of_address = most_of_address
        self._seconds_to_ask = seconds_to_ask
        self._seconds_to_read = seconds_to_read
        self._proxies = proxies
        # Dictionaries keep insertion order: the first connection is the one that has waited longest.
        self._anonymous: dict[GuardedProtocol, None] = {}
        self._known: dict[GuardedProtocol, None] = {}
        self._by_address: dict[str, dict[GuardedProtocol, None]] = {}
        self._sweeping = False
        self._closed = 0
        self._noted_at = -float("inf")

    def __len__(self) -> int:
        """Number of open connections."""
        return len(self._anonymous) + len(self._known)

    def opened(self, connection: "GuardedProtocol") -> None:
        """Add a connection, closing another one if there is no room."""
        self._anonymous[connection] = None
        own = self._of_address(connection)
        if own is not None:
            own[connection] = None
            # The oldest of the same address first: one client's connections must not displace those of others.
            if len(own) > self._most_of_address:
                self._drop(next(iter(own)))
        if len(self) > self.most:
            self._drop(self._least_missed(connection))
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SECONDS_BETWEEN_SWEEPS, self._sweep_again)

    def closed(self, connection: "GuardedProtocol") -> None:
        """Remove a closed connection."""
        self._known.pop(connection, None)
        self._anonymous.pop(connection, None)
        self._leave_address(connection)

    def request_arrived(self, connection: "GuardedProtocol") -> None:
        """Note a request on a connection: it is no longer the one that has waited longest."""
        for those in (self._known, self._anonymous, self._by_address.get(connection.address, {})):
            if connection in those:
                those[connection] = those.pop(connection)

    def trust(self, connection: "GuardedProtocol") -> None:
        """Note a valid key or session: the connection is no longer counted by address."""
        if connection in self._anonymous:
            del self._anonymous[connection]
            self._leave_address(connection)
            self._known[connection] = None

    def sweep(self) -> None:
        """Close every connection whose client has been silent for too long."""
        now = self.clock()
        for connection in [*self._anonymous, *self._known]:
            if connection.is_overdue(now, to_ask=self._seconds_to_ask, to_read=self._seconds_to_read):
                self._drop(connection)
        self._note(now)

    def _sweep_again(self) -> None:
        try:
            self.sweep()
        finally:
            self._sweeping = bool(len(self))
            if self._sweeping:
                asyncio.get_running_loop().call_later(_SECONDS_BETWEEN_SWEEPS, self._sweep_again)

    def _least_missed(self, newest: "GuardedProtocol") -> "GuardedProtocol":
        """The connection to close: the anonymous one that has waited longest, else an idle one, else the newest."""
        if len(self._anonymous) > 1:
            return next(iter(self._anonymous))
        return next((each for each in self._known if each.is_idle), newest)

    def _of_address(self, connection: "GuardedProtocol") -> "dict[GuardedProtocol, None] | None":
        if in_networks(connection.peer, self._proxies):
            return None
        return self._by_address.setdefault(connection.address, {})

    def _leave_address(self, connection: "GuardedProtocol") -> None:
        own = self._by_address.get(connection.address)
        if own is not None:
            own.pop(connection, None)
            if not own:
                del self._by_address[connection.address]

    def _drop(self, connection: "GuardedProtocol") -> None:
        self.closed(connection)
        self._closed += 1
        # Not close(): that would wait for a client that reads nothing.
        connection.transport.abort()

    def _note(self, now: float) -> None:
        if self._closed and now - self._noted_at >= _SECONDS_BETWEEN_NOTES:
            _LOG.warning("%s connections were closed: their clients were slow, or too many were open.", self._closed)
            self._closed, self._noted_at = 0, now


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, held to the limits of `Connections`; it takes no web sockets."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """As uvicorn makes its protocols; without `ConnectionsMiddleware`, nothing is limited."""
        super().__init__(*arguments, **more)
        self.logger = _HTTP_LOG
        self.peer = self.address = ""
        self._held: Connections | None = self.app_state.get(_STATE)
        self._running = 0
        self._waiting_since: float | None = None
        self._stuck_since: float | None = None
        self.is_ending = False
        self.app = functools.partial(self._ask, self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        self.address = grouped(self.peer)
        if self._held is not None:
            self._waiting_since = self._held.clock()
            self._held.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        if self._held is not None:
            self._held.closed(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops once all open responses have ended; an endless response checks `is_ending`."""
        self.is_ending = True
        super().shutdown()

    def pause_writing(self) -> None:
        """The client reads more slowly than the service writes."""
        self._stuck_since = None if self._held is None else self._held.clock()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stuck_since = None
        super().resume_writing()

    def trust(self) -> None:
        """Note a valid key or session on this connection."""
        if self._held is not None:
            self._held.trust(self)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being served on this connection."""
        return not self._running

    def is_overdue(self, now: float, *, to_ask: float, to_read: float) -> bool:
        """Whether the client has been silent for longer than allowed."""
        if self._stuck_since is not None and now - self._stuck_since > to_read:
            return True
        if self._waiting_since is None:
            return False
        allowed = _SECONDS_TO_LINGER if self._sends_what_nobody_reads() else to_ask
        return now - self._waiting_since > allowed

    def _sends_what_nobody_reads(self) -> bool:
        return bool(self.cycle) and self.cycle.response_complete and self.cycle.more_body

    async def _ask(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; meanwhile the client waits for the service, so that no limit applies to it."""
        scope[CONNECTION] = self
        self._running += 1
        self._waiting_since = None
        if self._held is not None:
            self._held.request_arrived(self)
        try:
            await app(scope, receive, send)
        finally:
            self._running -= 1
            if self._held is not None and not self._running:
                self._waiting_since = self._held.clock()

    def _should_upgrade(self) -> bool:
        return False


class ConnectionsMiddleware:
    """ASGI middleware that hands `Connections` to the worker's protocols."""

    def __init__(self, app: ASGIApp, *, connections: Connections) -> None:
        """Count connections in `connections`."""
        self.app = app
        self.connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the counter over when the worker starts."""
        if scope["type"] == "lifespan" and "state" in scope:
            scope["state"][_STATE] = self.connections
        await self.app(scope, receive, send)


class AcceptingLoop(asyncio.SelectorEventLoop):
    """An event loop that accepts a few connections a round: a burst cannot take every file descriptor.

    asyncio accepts as many connections at once as the backlog allows; the others stay in the kernel's queue.
    """

    async def create_server(self, *arguments: Any, **more: Any) -> asyncio.Server:
        """Override of asyncio's method with a smaller backlog per round."""
        listening: socket.socket | None = more.get("sock")
        server = await super().create_server(*arguments, **more | {"backlog": ACCEPTED_AT_ONCE})
        if listening is not None:
            listening.listen(_KERNEL_BACKLOG)
        return server


def accepting_loop(*, use_subprocess: bool = False) -> Callable[[], asyncio.AbstractEventLoop]:  # noqa: ARG001
    """The event loop factory that uvicorn calls."""
    return AcceptingLoop


def use_guarded_protocol() -> None:
    """Register protocol and loop as uvicorn's "auto" choices.

    BentoML always starts uvicorn with `http="auto"` and `loop="auto"`.
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{GuardedProtocol.__name__}"
    if not is_windows():
        uvicorn.config.LOOP_FACTORIES["auto"] = f"{__name__}:{accepting_loop.__name__}"
