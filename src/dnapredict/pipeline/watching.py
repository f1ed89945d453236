"""Score each list that is dropped into a folder, one at a time, until somebody stops it."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.engine import interruption
from dnapredict.data.files.file_lock import held
from dnapredict.errors import ConfigurationError, DnapredictError, GateFailedError, ModelError, StoreError
from dnapredict.pipeline.scoring import Say, ScoredList, open_scorer, score_list
from dnapredict.worklist.batch import Progress
from dnapredict.worklist.calls.contacts import RecordedContacts
from dnapredict.worklist.files.watch_folder import Inbox, ListDestination
from dnapredict.worklist.files.worklist_files import require_format

_LOCK: Final = ".dnapredict-watch"
# What is no fault of a list: it waits, and is tried again after so many looks.
_NOT_THE_LIST: Final = (ModelError, GateFailedError, StoreError, ConfigurationError)
_LOOKS_TO_WAIT: Final = 30


def watch(
    folder: Path,
    *,
    home: Path,
    say: Say,
    form: str = ".xlsx",
    every_seconds: float = 2.0,
    mapping: Mapping = IDENTITY,
    model: str = "champion",
    capacity: int | None = None,
    progress: Progress | None = None,
    recorded: RecordedContacts | None = None,
    looks: Iterator[object] | None = None,
) -> None:
    """Score the lists of `folder` as they come, until it is stopped.

    A list that was scored moves to `done`, beside its worklist and a message; one that cannot be moves to
    `failed` with the reason. Where model, home or configuration are at fault the list waits.

    Parameters
    ----------
    form
        Of the worklists: .xlsx, .csv or .parquet.
    every_seconds
        How often to look. A file that did not change between two looks is whole.
    recorded
        The scoring log, which knows who was reached and who asked not to be called.
    looks
        Ends with the watch, where it is not to go on for ever.

    Raises
    ------
    UsageError
        If there is no such folder.
    ModelError
        If there is no model to begin with.
    GateFailedError
        If its audit or the decision on it stands no longer.
    StoreError
        If another watch looks after the folder.
    """
    require_format(Path(f"worklist{form}"))
    inbox = Inbox.open(folder)
    open_scorer(home, model=model, mapping=mapping)

    def score(path: Path, out: Path) -> ScoredList:
        return score_list(
            path,
            out=out,
            home=home,
            mapping=mapping,
            model=model,
            capacity=capacity,
            progress=progress,
            recorded=recorded,
        )

    with held(folder / _LOCK, otherwise=f"{folder}: another watch looks after this folder already."):
        say(f"Watching {folder}. Drop lists into it; Ctrl-C ends.")
        for _ in looks or _looks(every_seconds):
            for path in inbox.complete_lists():
                with _waiting(inbox, path, say):
                    say(_answered(path, inbox, form, score))


def _looks(seconds: float) -> Iterator[None]:
    while True:
        yield None
        time.sleep(seconds)


@contextlib.contextmanager
def _waiting(inbox: Inbox, path: Path, say: Say) -> Iterator[None]:
    """What is no fault of the list leaves it where it is, to be tried again."""
    try:
        yield
    except _NOT_THE_LIST as error:
        say(f"{path.name} waits: {error}")
        inbox.postpone(path, looks=_LOOKS_TO_WAIT)


def _answered(path: Path, inbox: Inbox, form: str, score: Callable[[Path, Path], ScoredList]) -> str:
    """Score the list at `path`, move it to where it belongs, and return what became of it."""
    place = inbox.destination(path.name, folder="done")
    out = place.worklist(form)
    try:
        done = score(path, out)
    except _NOT_THE_LIST:
        raise
    except Exception as error:  # noqa: BLE001 - a list never ends the watch, and no message quotes a value
        if interruption.requested():
            raise KeyboardInterrupt from None  # the list is not at fault, and waits where it is
        if isinstance(error, DnapredictError):
            return _failed(path, inbox, str(error))
        return _failed(path, inbox, f"An error that nobody foresaw ({type(error).__name__}).")
    shutil.copymode(path, out)
    told = _told(path, out, done)
    place.move(path, told)
    return "\n".join([told.splitlines()[0], *done.notices])


def _failed(path: Path, inbox: Inbox, why: str) -> str:
    place: ListDestination = inbox.destination(path.name, folder="failed")
    told = f"{path.name} could not be scored: {why.replace(str(path), path.name)}"
    place.move(path, f"{told}\nMend the list and drop it into the folder again.")
    return told


def _told(path: Path, out: Path, done: ScoredList) -> str:
    lines = [
        f"{path.name}: {done.rows:,} rows, {done.selected:,} to call, {done.rejected:,} not scored.",
        f"The worklist is {out.name}. Model version {done.model_version}.",
    ]
    if done.rejected:
        lines.append("Rows that were not scored stand last in the worklist, each with its error.")
    if done.unknown_factors:
        lines.append(f"The list lacks columns for: {', '.join(done.unknown_factors)}.")
    if not done.has_history:
        lines.append("No attendance history is kept here: patients counted as new.")
    return "\n".join([*lines, *done.notices])
