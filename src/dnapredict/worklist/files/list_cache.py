"""A cache of what is derived from the lists in use, by identity: a list that was changed is another `KeptList`.

Only what every request for a list needs is cached, such as the order of its lines. Nothing here holds contact details:
they are not part of a `KeptList`.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from dnapredict.worklist.files.kept_list import KeptList

LISTS_CACHED: Final = 4
"""The number of lists that a worker has at hand, read and with what is derived from them."""

Derived = TypeVar("Derived")


class ListCache(Generic[Derived]):
    """What `derive` returns for each of the last `LISTS_CACHED` lists.

    Safe for threads: two that ask for the same new list at the same time may both derive it.
    """

    def __init__(self, derive: Callable[[KeptList], Derived]) -> None:
        """Derive nothing yet."""
        self._derive = derive
        self._cached: tuple[tuple[KeptList, Derived], ...] = ()

    def of(self, kept: KeptList) -> Derived:
        """What is derived from a list."""
        cached = self._cached
        found = next((pair for pair in cached if pair[0] is kept), None)
        if found is None:
            found = (kept, self._derive(kept))
        if not cached or cached[0] is not found:
            others = (pair for pair in cached if pair[0] is not kept)
            self._cached = (found, *others)[:LISTS_CACHED]
        return found[1]
