"""The limit on open files, and how many connections it leaves room for."""

from typing import Final

from dnapredict.data.files import operating_system

# File descriptors reserved for databases, the history store, the model and threads, and for the connections of a
# burst that are accepted before surplus ones are closed (four rounds of the loop). Accepting few in a round also
# gives a new client time to send its request before it can be displaced.
ACCEPTED_AT_ONCE: Final = 16
_RESERVED_FILES: Final = 4 * ACCEPTED_AT_ONCE + 360
# A connection can need a second descriptor: the static file that it is being sent.
_FILES_A_CONNECTION: Final = 2
_FEWEST_CONNECTIONS: Final = 16
_WANTED_FILES: Final = (65_536, 10_240, 4_096, 2_048)
# Windows' select() takes 512 sockets, whatever the limit on files is.
_MOST_ON_WINDOWS: Final = 400


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard limit; returns the limit.

    Windows has no such limit; the returned value then means none.
    """
    return operating_system.raise_file_limit(_WANTED_FILES)


def connections_for(files: int, *, wanted: int) -> int:
    """How many connections a process with that limit on open files may hold, at most `wanted`.

    >>> connections_for(65_536, wanted=1_000), connections_for(1_024, wanted=1_000)
    (1000, 300)
    """
    possible = max(_FEWEST_CONNECTIONS, (files - _RESERVED_FILES) // _FILES_A_CONNECTION)
    if operating_system.is_windows():
        possible = min(possible, _MOST_ON_WINDOWS)
    return min(wanted, possible)
