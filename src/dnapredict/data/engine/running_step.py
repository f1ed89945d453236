"""The step that this process works on, for a progress bar: its name, and how much of it is done.

Functions that take long with many rows name their step with `begin`. A program may show it, or not.
"""

import contextlib
import weakref
from dataclasses import dataclass
from typing import Any, Final, Protocol


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes
    ----------
    name
        What is done, as a phrase that begins with a verb: "Building the factors".
    done, of
        How many of how many units are done; `of` is 0 where that is not known.
    """

    name: str
    done: int = 0
    of: int = 0


class Measured(Protocol):
    """An engine that knows how much of its running query is done."""

    def share_done(self) -> float:
        """The part of the running query that is done, from 0 to 1; negative where it is not known."""


NOTHING: Final = Step("")
_running: list[Step] = [NOTHING]
_shown: list[bool] = [False]
_engines: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def begin(name: str, *, of: int = 0) -> None:
    """Say that a step begins, which ends the step before; `of` are its units."""
    _running[0] = Step(name, of=of)


def advance(done: int, *, of: int | None = None) -> None:
    """Say that so many units of the step are done, and of how many if that has changed."""
    step = _running[0]
    _running[0] = Step(step.name, done, step.of if of is None else of)


def end() -> None:
    """Say that nothing is done at the moment."""
    _running[0] = NOTHING


def running() -> Step:
    """The step that runs; `NOTHING` between steps."""
    return _running[0]


def show(*, shown: bool) -> None:
    """Say whether the step is shown from now on."""
    _shown[0] = shown


def is_shown() -> bool:
    """Whether the step is shown to somebody."""
    return _shown[0]


def measure(engine: Measured) -> None:
    """Ask `engine` how much of its query is done, as long as it exists."""
    _engines.add(engine)


def share_done() -> float | None:
    """The part of the step that is done, from 0 to 1, by its units or by the query that runs; None if not known."""
    step = running()
    if step.of:
        return min(1.0, step.done / step.of)
    for engine in list(_engines):
        with contextlib.suppress(Exception):  # it was closed meanwhile
            share = float(engine.share_done())
            if share >= 0:
                return min(1.0, share)
    return None
