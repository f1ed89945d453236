"""A bar for long work: on a terminal, and nowhere else."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnapredict.risk.tuning import Progress, Watch

__all__ = ["tuning_bar"]


@contextlib.contextmanager
def tuning_bar() -> "Iterator[Watch | None]":
    """What to tell the trials of tuning to; None in a pipe, where nothing may move.

    The bar shows itself at the first trial, so that a training without tuning has none.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Tuning", total=None, visible=False)

        def watch(progress: "Progress") -> None:
            told = f"Tuning: best log loss {progress.best:.5f}"
            bar.update(task, completed=progress.done, total=progress.wanted, description=told, visible=True)

        yield watch
