"""Progress bars for long work, on a terminal only."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnapredict.model.fit.tuning import ProgressCallback, TuningProgress
    from dnapredict.worklist.batch import Progress as Rows


@contextlib.contextmanager
def tuning_bar() -> "Iterator[ProgressCallback | None]":
    """A callback that shows the trials of tuning; None where standard error is not a terminal.

    The bar appears at the first trial, so that a training without tuning has none.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Tuning", total=None, visible=False)

        def watch(progress: "TuningProgress") -> None:
            description = f"Tuning: best log loss {progress.best:.5f}"
            bar.update(task, completed=progress.done, total=progress.wanted, description=description, visible=True)

        yield watch


@contextlib.contextmanager
def rows_bar(title: str) -> "Iterator[Rows | None]":
    """A callback that shows how many rows are scored; None where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, visible=False)

        def watch(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of, visible=True)

        yield watch
