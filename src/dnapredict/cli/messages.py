"""Messages and progress bars for the person who typed a command, on standard error."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dnapredict.data.validation.checked import Checked
    from dnapredict.model.fit.tuning import ProgressCallback, TuningProgress
    from dnapredict.worklist.batch import Progress as Rows


def say(text: str) -> None:
    """Print a message on standard error; standard output holds only the result that was asked for."""
    typer.echo(text, err=True)


def say_rejections(extract: Path, checked: "Checked") -> None:
    """Print how many rows keep the contract, and which rules the others break; never a value."""
    from dnapredict.pipeline.checking import contract_sentences

    for sentence in contract_sentences(checked, source=extract.name):
        say(sentence)


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
