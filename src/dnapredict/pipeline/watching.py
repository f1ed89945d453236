"""Score each list that is put into a folder, one at a time, until the process is stopped.

A list is complete if it did not change between two polls. Polling works on network shares too, which send no change
events, and does not depend on the clocks of other machines.
"""

import contextlib
import datetime
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import Retention
from dnapredict.data.engine import interruption
from dnapredict.data.files.drafts import PRIVATE_FOLDER
from dnapredict.data.files.file_lock import locked
from dnapredict.data.retention_clock import is_clock_believed
from dnapredict.errors import ConfigurationError, DnapredictError, GateFailedError, ModelError, StoreError, UsageError
from dnapredict.pipeline.comparison.challenger_scoring import score_with_challenger
from dnapredict.pipeline.scoring import Say, ScoredList, open_scorer, score_list
from dnapredict.worklist.batch import Progress
from dnapredict.worklist.calls.known_contacts import RecordedContacts
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.files.output_folders import (
    DONE,
    FAILED,
    FolderUse,
    close,
    note_folder,
    remove_moved,
    stem_of,
    when_moved,
)
from dnapredict.worklist.files.worklist_files import require_format

_ENDINGS: Final = (".csv", ".csv.gz", ".xlsx", ".parquet")
# Temporary and lock files of programs that have a file open or are still copying it.
_UNFINISHED: Final = re.compile(r"^[.~]|\.(tmp|part|partial|crdownload|filepart)$", re.IGNORECASE)


@dataclass(frozen=True)
class ListDestination:
    """The destination of a list, its worklist and its message, under one unused name.

    Attributes
    ----------
    folder
        `done` or `failed`.
    name
        Name of the list, with a number if that name is in use.
    """

    folder: Path
    name: str

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return stem_of(self.name)

    def worklist(self, form: str) -> Path:
        """Path of the worklist."""
        return self.folder / f"{self.stem}-worklist{form}"

    @property
    def message(self) -> Path:
        """Path of the message with the result."""
        return self.folder / f"{self.name}.txt"

    def move(self, path: Path, message: str) -> None:
        """Write the message, then move the list at `path` here.

        Raises
        ------
        StoreError
            If that cannot be done; the list stays where it is.
        """
        try:
            text = f"{message.rstrip()}\n{when_moved(datetime.datetime.now(datetime.UTC))}\n"
            self.message.write_text(text, encoding="utf-8")
            os.replace(path, self.folder / self.name)
            for each in (self.message, self.folder / self.name):
                close(each, within=self.folder.parent)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be written ({error.strerror}).") from None


@dataclass
class Inbox:
    """The lists of one folder that wait to be scored."""

    folder: Path
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _postponed: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "Inbox":
        """The folder, with `done` and `failed` inside, which only their owner may enter.

        Where a group may write to the folder, it may enter them too.

        Raises
        ------
        UsageError
            If there is no such folder.
        StoreError
            If it cannot be written to.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder}: is no folder. Make it, or name another.")
        try:
            for name in (DONE, FAILED):
                (folder / name).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
                close(folder / name, within=folder)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
        return cls(folder)

    def complete_lists(self) -> list[Path]:
        """Lists that have not changed since the last poll, oldest first."""
        try:
            states = {path: (stat.st_mtime_ns, stat.st_size) for path, stat in self._lists()}
        except OSError:
            return []  # a network share may be away for a moment
        steady = [path for path, state in states.items() if self._seen.get(path) == state and state[1]]
        self._seen = states
        self._postponed = {path: looks - 1 for path, looks in self._postponed.items() if looks > 1}
        steady = [path for path in steady if path not in self._postponed]
        return sorted(steady, key=lambda path: (states[path][0], path.name))

    def postpone(self, path: Path, *, looks: int) -> None:
        """Skip `path` for that number of polls."""
        self._postponed[path] = looks

    def destination(self, name: str, *, folder: str) -> ListDestination:
        """The destination of a list called `name`, stable until the list is moved there.

        Two lists whose names differ only in their endings would share a worklist, so the later one gets a number.
        """
        target, number = self.folder / folder, 1
        stem = stem_of(name)
        numbered = stem
        while any((target / f"{numbered}{ending}").exists() for ending in (*_ENDINGS, name[len(stem) :])):
            number += 1
            numbered = f"{stem} ({number})"
        return ListDestination(target, f"{numbered}{name[len(stem) :]}")

    def _lists(self) -> Iterator[tuple[Path, os.stat_result]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not _UNFINISHED.search(entry.name) and entry.is_file():
                    yield Path(entry.path), entry.stat()


_LOCK: Final = ".dnapredict-watch"
# Errors that are not caused by the list: it stays in the folder, and is tried again after some polls.
_NOT_THE_LIST: Final = (ModelError, GateFailedError, StoreError, ConfigurationError)
_LOOKS_TO_WAIT: Final = 30
_SECONDS_BETWEEN_RETENTION: Final = 3_600.0
_LOG: Final = logging.getLogger("dnapredict.retention")


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
    retention: Retention = Retention(),  # noqa: B008 - frozen
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
    retention
        How long lists are kept in `done` and `failed`.
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
        note_folder(home, folder, FolderUse.WATCHED)
        due = 0.0
        for _ in looks or _looks(every_seconds):
            if time.monotonic() >= due:
                due = time.monotonic() + _SECONDS_BETWEEN_RETENTION
                _apply_retention(home, retention)
            for path in inbox.complete_lists():
                with _waiting(inbox, path, say):
                    done = _processed(path, inbox, form, score)
                    say(done.message)
                    if done.identity is not None:
                        score_with_challenger(
                            done.path, home=home, identity=done.identity, mapping=mapping, recorded=recorded, say=say
                        )


def _apply_retention(home: Path, retention: Retention) -> None:
    """Delete what is past its period in the watched folders of the home, if this machine's clock is believed."""
    if is_clock_believed(home):
        removed = remove_moved(home, retention)
        if any(removed.values()):
            _LOG.info("Retention run: deleted lists in done %s, lists in failed %s.", removed[DONE], removed[FAILED])


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


@dataclass(frozen=True)
class _Processed:
    """The message about a list, where it is now, and as what it was scored; None where it was not."""

    message: str
    path: Path
    identity: ListIdentity | None = None


def _processed(path: Path, inbox: Inbox, form: str, score: Callable[[Path, Path], ScoredList]) -> _Processed:
    """Score the list at `path` and move it."""
    destination = inbox.destination(path.name, folder=DONE)
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
    close(out, within=inbox.folder)
    message = _message(path, out, scored)
    destination.move(path, message)
    shown = "\n".join([message.splitlines()[0], *scored.notices])
    return _Processed(shown, destination.folder / destination.name, scored.identity)


def _failed(path: Path, inbox: Inbox, why: str) -> _Processed:
    destination: ListDestination = inbox.destination(path.name, folder=FAILED)
    message = f"{path.name} could not be scored: {why.replace(str(path), path.name)}"
    destination.move(path, f"{message}\nMend the list and drop it into the folder again.")
    return _Processed(message, path)


def _message(path: Path, out: Path, scored: ScoredList) -> str:
    lines = [
        f"{path.name}: {scored.counts.words}",
        f"The worklist is {out.name}. Model version {scored.model_version}.",
    ]
    if scored.rejected:
        lines.append("Rows that were not scored come last in the worklist, each with its error.")
    if scored.unknown_factors:
        lines.append(f"The list lacks columns for: {', '.join(scored.unknown_factors)}.")
    if not scored.has_history:
        lines.append("No attendance history is kept here: patients counted as new.")
    return "\n".join([*lines, *scored.notices])
