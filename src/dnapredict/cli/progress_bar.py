"""The progress bar of a command: the step that runs, how much of it is done, and the time since the command began."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dnapredict.data.engine import running_step

if TYPE_CHECKING:
    from dnapredict.model.fit.tuning import TuningProgress

_FULL = 100


def shows_progress(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with a progress bar on standard error, where that is a terminal."""

    @functools.wraps(verb)
    def run(*given: object, **named: object) -> None:
        with progress_bar():
            verb(*given, **named)

    run.__signature__ = inspect.signature(verb)  # type: ignore[attr-defined]
    return run


@contextmanager
def progress_bar() -> Iterator[None]:
    """Show the running step until the block ends; nothing where standard error is not a terminal."""
    running_step.end()
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    class Bar(Progress):
        """A bar that looks up the step each time it is drawn."""

        def get_renderable(self) -> object:  # type: ignore[override]
            step, share = running_step.running(), running_step.share_done()
            for task in self.task_ids:
                self.update(
                    task,
                    description=step.name,
                    completed=_FULL * (share or 0.0),
                    total=None if share is None else _FULL,
                    visible=bool(step.name),
                )
            return super().get_renderable()

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    # Paths in messages are not broken into lines, and a result that goes to a file does not go to the terminal.
    console, redirected = Console(stderr=True, soft_wrap=True), sys.stdout.isatty()
    with Bar(*columns, console=console, transient=True, redirect_stdout=redirected) as bar:
        bar.add_task("", total=None, visible=False)
        running_step.show(shown=True)
        try:
            yield
        finally:
            running_step.show(shown=False)
            running_step.end()


def show_tuning(progress: "TuningProgress") -> None:
    """Show how many trials of tuning are done, and the best log loss."""
    running_step.begin(f"Tuning: best log loss {progress.best:.5f}", of=progress.wanted)
    running_step.advance(progress.done)


def show_rows(done: int, of: int) -> None:
    """Show how many rows of a list are scored; until they are counted, that the list is read."""
    if of and done >= of:
        # While a folder is watched, no bar is shown between two lists.
        running_step.end()
        return
    running_step.begin("Scoring" if of else "Reading and checking the list", of=of)
    running_step.advance(done)
