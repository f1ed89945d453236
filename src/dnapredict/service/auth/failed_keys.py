"""Wrong keys, counted by address and by key: each one more makes the next wait longer.

Only wrong keys wait. A key has 256 random bits, so that guessing is no danger; a right key that had to wait
would let a stranger keep people out, by sending wrong ones from their address or for their key. No
request waits: one that comes too soon is answered with the seconds to wait.
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
# Without another failure for so many times the longest wait, the count of a name starts again.
_FORGOTTEN_AFTER: Final = 2


@dataclass(frozen=True)
class _Failures:
    count: int
    at: float
    next_at: float


@dataclass
class FailedKeys:
    """How often a wrong key came from an address or for a key, in this worker's memory.

    Parameters
    ----------
    free
        Failures that are answered at once.
    longest
        Seconds that a wait grows to; it begins at one second and doubles.
    """

    free: int
    longest: float
    clock: Callable[[], float] = time.monotonic
    _of: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)

    def failed(self, *, address: str, key_id: str = "") -> int:
        """A wrong key came: 0 if it is answered now, otherwise the whole seconds until another one may be.

        Parameters
        ----------
        address
            Where it came from.
        key_id
            The key that it was meant for, where there is such a key.
        """
        now = self.clock()
        names = [f"address {address}", *([f"key {key_id}"] if key_id else [])]
        wait = max(self._wait(name, now) for name in names)
        if wait > 0:
            return math.ceil(wait)
        count, *_ = [self._count(name, now) for name in names]
        # The key is never logged, nor which key was meant: whoever mistypes one may have typed a password.
        _LOG.warning("A wrong key came from %s: %s in a row.", address, count)
        return 0

    def _wait(self, name: str, now: float) -> float:
        known = self._of.get(name)
        return 0.0 if known is None else known.next_at - now

    def _count(self, name: str, now: float) -> int:
        known = self._of.pop(name, None)
        fresh = known is None or now - known.at > _FORGOTTEN_AFTER * self.longest
        count = 1 if known is None or fresh else known.count + 1
        # From some 40 doublings on, the longest wait in any case.
        pause = 0.0 if count < self.free else min(self.longest, 2.0 ** min(count - self.free, 40))
        self._of[name] = _Failures(count, now, now + pause)
        if len(self._of) > _MOST_REMEMBERED:
            self._of.popitem(last=False)
        return count
