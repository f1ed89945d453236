"""The limit on open files, and how many connections it leaves room for."""

import os
import sys
from typing import Final

# File descriptors that are kept free of connections: databases, the history store, the model, threads, and
# the connections of a burst that are accepted before the surplus is closed (four rounds of the loop).
# Few a round also give a client that was just accepted the time to send, before others take its place.
ACCEPTED_AT_ONCE: Final = 16
_RESERVED_FILES: Final = 4 * ACCEPTED_AT_ONCE + 360
# A connection can hold a second file: the static file that it is being sent.
_FILES_A_CONNECTION: Final = 2
_FEWEST_CONNECTIONS: Final = 16
_WANTED_FILES: Final = (65_536, 10_240, 4_096, 2_048)
# Windows' select() takes 512 sockets, whatever the limit on files is.
_MOST_ON_WINDOWS: Final = 400


def raise_file_limit() -> int:
    """Ask for more open files, up to the hard limit; returns the limit that holds now.

    On Windows there is no such limit, and the returned value stands for none.
    """
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    for wanted in _WANTED_FILES:
        target = wanted if hard == unlimited else min(wanted, hard)
        if soft == unlimited or soft >= target:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):  # macOS takes no more than its kernel's own limit
            continue
        return target
    return sys.maxsize if soft == unlimited else soft


def connections_for(files: int, *, wanted: int) -> int:
    """How many connections a process with that limit on open files may hold, at most `wanted`.

    >>> connections_for(65_536, wanted=1_000), connections_for(1_024, wanted=1_000)
    (1000, 300)
    """
    possible = max(_FEWEST_CONNECTIONS, (files - _RESERVED_FILES) // _FILES_A_CONNECTION)
    if os.name == "nt":
        possible = min(possible, _MOST_ON_WINDOWS)
    return min(wanted, possible)
