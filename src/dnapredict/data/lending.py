"""Engines that are lent for a piece of work: what suits so many rows, empty again afterwards."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from dnapredict.data.engines import Engine
from dnapredict.data.handful.certainty import NotCertain
from dnapredict.data.handful.engine import Handful
from dnapredict.data.workspace import Workspace

__all__ = ["HANDFUL", "done", "lent"]

Found = TypeVar("Found")

HANDFUL: Final = 64
"""Up to so many rows, to plan a query takes longer than to answer it (benchmarks/handful.py)."""

# Up to so many rows a piece of work is small: one thread, and no time spent on a better plan.
_FEW: Final = 4_096
_RESTING: Final[dict[bool, deque[Workspace]]] = {True: deque(maxlen=16), False: deque(maxlen=4)}


def done(work: Callable[[Engine], Found], *, rows: int) -> Found:
    """What a piece of work on about so many `rows` comes to, by the engine that suits them.

    The work may be begun twice, and must change nothing but what the engine holds.
    """
    if rows <= HANDFUL:
        with contextlib.suppress(NotCertain):
            return work(Handful())
    with lent(rows=rows) as workspace:
        return work(workspace)


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
