"""Delays after wrong keys, counted by address and by key; each further one doubles the delay.

Only wrong keys are delayed. A key has 256 random bits, so that guessing is hopeless; and if valid keys were
delayed too, a stranger could lock people out by sending wrong ones from their address or for their key. No
request is held open: one that comes too soon is answered with the seconds to wait.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

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
