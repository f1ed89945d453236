"""Workspaces that are lent for a piece of work and rest, empty, until the next."""

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Final

from dnapredict.data.workspace import Workspace

__all__ = ["lent"]

# Up to so many rows a piece of work is small: one thread, and no time spent on a better plan.
_FEW: Final = 4_096
_RESTING: Final[dict[bool, deque[Workspace]]] = {True: deque(maxlen=16), False: deque(maxlen=4)}


@contextlib.contextmanager
def lent(*, rows: int) -> Iterator[Workspace]:
    """A workspace for work on about so many `rows`. After an error it is not lent again."""
    few = rows <= _FEW
    try:
        workspace = _RESTING[few].pop()
    except IndexError:
        workspace = Workspace(few_rows=few)
    try:
        workspace.begin()
        yield workspace
        workspace.empty()
    except BaseException:
        workspace.close()
        raise
    if workspace.is_worn or len(_RESTING[few]) == _RESTING[few].maxlen:
        workspace.close()
    else:
        _RESTING[few].append(workspace)
