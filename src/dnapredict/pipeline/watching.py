"""Score each list that is put into a folder, one at a time, until the process is stopped."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.engine import interruption
from dnapredict.data.files.file_lock import locked
from dnapredict.errors import ConfigurationError, DnapredictError, GateFailedError, ModelError, StoreError
from dnapredict.pipeline.scoring import Say, ScoredList, open_scorer, score_list
from dnapredict.worklist.batch import Progress
from dnapredict.worklist.calls.contacts import RecordedContacts
from dnapredict.worklist.files.watch_folder import Inbox, ListDestination
from dnapredict.worklist.files.worklist_files import require_format

_LOCK: Final = ".dnapredict-watch"
# Errors that are not caused by the list: it stays in the folder, and is tried again after some polls.
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
    """Score the lists of `folder` as they arrive, until the process is stopped.

    A scored list moves to `done`, with its worklist and a message; a list that cannot be scored moves to
    `failed` with the reason. If the cause is the model, the home or the configuration, the list waits.

    Parameters
    ----------
    form
        File ending of the worklists: .xlsx, .csv or .parquet.
    every_seconds
        Time between two polls. A file that did not change in between is complete.
    recorded
        The scoring log, which knows who was reached and who opted out of calls.
    looks
        Ends the watch when it is exhausted; without it the watch never ends.

    Raises
    ------
    UsageError
        If there is no such folder.
    ModelError
        If there is no model in use.
    GateFailedError
        If its audit or the decision on it no longer allows it.
    StoreError
        If another process watches the folder.
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

    with locked(folder / _LOCK, busy_message=f"{folder}: another watch looks after this folder already."):
        say(f"Watching {folder}. Drop lists into it; Ctrl-C ends.")
        for _ in looks or _looks(every_seconds):
            for path in inbox.complete_lists():
                with _waiting(inbox, path, say):
                    say(_processed(path, inbox, form, score))


def _looks(seconds: float) -> Iterator[None]:
    while True:
        yield None
        time.sleep(seconds)


@contextlib.contextmanager
def _waiting(inbox: Inbox, path: Path, say: Say) -> Iterator[None]:
    """Leave the list in the folder if the error is not caused by it."""
    try:
        yield
    except _NOT_THE_LIST as error:
        say(f"{path.name} waits: {error}")
        inbox.postpone(path, looks=_LOOKS_TO_WAIT)


def _processed(path: Path, inbox: Inbox, form: str, score: Callable[[Path, Path], ScoredList]) -> str:
    """Score the list at `path`, move it, and return a message about the result."""
    destination = inbox.destination(path.name, folder="done")
    out = destination.worklist(form)
    try:
        scored = score(path, out)
    except _NOT_THE_LIST:
        raise
    except Exception as error:  # noqa: BLE001 - one list must not end the watch; messages quote no value
        if interruption.requested():
            raise KeyboardInterrupt from None  # the list is not the cause, so it stays
        if isinstance(error, DnapredictError):
            return _failed(path, inbox, str(error))
        return _failed(path, inbox, f"An unexpected error ({type(error).__name__}).")
    shutil.copymode(path, out)
    message = _message(path, out, scored)
    destination.move(path, message)
    return "\n".join([message.splitlines()[0], *scored.notices])


def _failed(path: Path, inbox: Inbox, why: str) -> str:
    destination: ListDestination = inbox.destination(path.name, folder="failed")
    message = f"{path.name} could not be scored: {why.replace(str(path), path.name)}"
    destination.move(path, f"{message}\nMend the list and drop it into the folder again.")
    return message


def _message(path: Path, out: Path, scored: ScoredList) -> str:
    lines = [
        f"{path.name}: {scored.rows:,} rows, {scored.selected:,} to call, {scored.rejected:,} not scored.",
        f"The worklist is {out.name}. Model version {scored.model_version}.",
    ]
    if scored.rejected:
        lines.append("Rows that were not scored come last in the worklist, each with its error.")
    if scored.unknown_factors:
        lines.append(f"The list lacks columns for: {', '.join(scored.unknown_factors)}.")
    if not scored.has_history:
        lines.append("No attendance history is kept here: patients counted as new.")
    return "\n".join([*lines, *scored.notices])
