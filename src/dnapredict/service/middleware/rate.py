"""So many requests for each key: what is over is answered 429, with when to come again.

A bucket for each key, in this worker's memory: a worker that answers knows nothing of what another
did, so a key may reach as many times the rate as there are workers. That costs no look-up and has
nothing to fail.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dnapredict.service.middleware.access import HOLDER

__all__ = ["Buckets", "RateLimit"]

_MOST_REMEMBERED: Final = 10_000
_NOBODY: Final = ""


@dataclass
class Buckets:
    """Token buckets, kept as the time at which each would be full again.

    Parameters
    ----------
    a_second
        Requests a bucket is refilled by.
    burst
        Requests a full bucket holds.
    """

    a_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _full_at: dict[str, float] = field(default_factory=dict)

    def take(self, key: str) -> float:
        """Take one for `key`: 0 if there was one, otherwise the seconds until there is."""
        now = self.clock()
        full_at = max(self._full_at.get(key, now), now) + 1 / self.a_second
        wait = full_at - now - self.burst / self.a_second
        if wait > 1e-9:
            return wait
        if len(self._full_at) >= _MOST_REMEMBERED:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        self._full_at[key] = full_at
        return 0.0


@dataclass(frozen=True)
class RateLimit:
    """Answer 429 to a key that asks for too much.

    Addresses that need no key are not counted: health checks must be answered, whoever asks.
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
        await (_come_again(wait) if wait else self.app)(scope, receive, send)


def _come_again(wait: float) -> JSONResponse:
    seconds = math.ceil(wait)
    sentence = (
        f"This key asked for too much. Come again in {seconds} s, or send several appointments at once."
    )
    return JSONResponse({"error": sentence}, 429, headers={"retry-after": str(seconds)})
