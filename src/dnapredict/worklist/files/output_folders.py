"""Folders outside the home in which lists lie: where `score` writes worklists, and where lists are watched for.

The home notes them in `HOME/output-folders/`, so that retention reaches what lies there, whatever process was killed.
Beneath a watched folder, each message in `done` and `failed` says when its list was moved there: a copy changes the
times of a file, and not its text.
"""

import contextlib
import datetime
import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from dnapredict.config.service_config import Retention
from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.drafts import PRIVATE_FILE, PRIVATE_FOLDER
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError
from dnapredict.worklist.checkpoints import has_staging, remove_abandoned

FOLDER: Final = "output-folders"
DONE: Final = "done"
FAILED: Final = "failed"
_MOVED: Final = re.compile(r"Moved here on (\d{4}-\d\d-\d\d) at (\d\d:\d\d) UTC\.")
# How the messages of earlier releases, which did not say when, are known.
_IS_MESSAGE: Final = re.compile(r"^The worklist is |could not be scored: ", re.MULTILINE)
_WORKLIST: Final = r"{stem}-worklist(\.kept-[0-9-]+)?\.(xlsx|csv|parquet)"
_LIST_ENDINGS: Final = (".csv.gz", ".csv", ".xlsx", ".parquet")
_ADVICE: Final = "Remove it; the next `score` writes it again."
_LOG: Final = logging.getLogger("dnapredict.retention")


class FolderUse(StrEnum):
    """What a folder is used for."""

    SCORING = "scoring"
    WATCHED = "watched"


class _NotedFolder(StoredRecord):
    path: str
    use: FolderUse


def note_folder(home: Path, folder: Path, use: FolderUse) -> None:
    """Note that this home writes lists to the folder.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    noted = _NotedFolder(path=str(folder.resolve()), use=use)
    name = hashlib.sha256(os.fsencode(noted.path)).hexdigest()[:16]
    path = home / FOLDER / f"{name}-{use}.json"
    if not path.exists():
        write_private(path, noted.model_dump_json() + "\n", durable=False)


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each note that cannot be read."""
    for path in sorted((home / FOLDER).glob("[!.]*.json")):
        try:
            read_record(path, _NotedFolder, advice=_ADVICE)
        except StoreError as error:
            yield str(error)


def remove_left_rows(home: Path) -> None:
    """Delete what killed scorings have put on the disk of the rows of their lists, but not their risks."""
    for _, folder in _noted(home, FolderUse.SCORING):
        remove_abandoned(folder)


def remove_staging(home: Path, retention: Retention) -> int:
    """Delete interrupted scorings that began more than `staging_days` ago, and left rows; return their number."""
    before = _now().date() - datetime.timedelta(days=retention.staging_days)
    removed = 0
    for noted, folder in _noted(home, FolderUse.SCORING):
        removed += remove_abandoned(folder, begun_before=before)
        if not has_staging(folder):
            noted.unlink(missing_ok=True)
    return removed


def remove_moved(home: Path, retention: Retention) -> dict[str, int]:
    """Delete lists that were moved to `done` or `failed` more than `done_days` or `failed_days` ago.

    The worklist and the message of a list are deleted with it. Files that no message names are kept.

    Returns
    -------
    The number of lists, by the name of the folder.
    """
    days = {DONE: retention.done_days, FAILED: retention.failed_days}
    removed = dict.fromkeys(days, 0)
    for _, folder in _noted(home, FolderUse.WATCHED):
        for name, kept in days.items():
            removed[name] += _remove_before(folder / name, _now() - datetime.timedelta(days=kept))
    return removed


def when_moved(now: datetime.datetime) -> str:
    """The sentence of a message that says when its list was moved."""
    return f"Moved here on {now.astimezone(datetime.UTC):%Y-%m-%d at %H:%M} UTC."


def close(path: Path, *, within: Path) -> None:
    """Give a file or folder to its owner alone, and to the group where it may write to the folder `within`.

    A trust that shares a watched folder makes it writable for a group. Nothing happens to what belongs to another
    account: the folder that it is in is closed.
    """
    with contextlib.suppress(OSError):
        is_folder = path.is_dir()
        mode = PRIVATE_FOLDER if is_folder else PRIVATE_FILE
        top = within.stat().st_mode
        if top & stat.S_IWGRP:
            mode |= (mode & stat.S_IRWXU) >> 3 | (top & stat.S_ISGID if is_folder else 0)
        path.chmod(mode)


def stem_of(name: str) -> str:
    """The name of a list without its ending, `.csv.gz` counted as one.

    >>> stem_of("week.49.csv.gz"), stem_of("week.49.csv"), stem_of("notes")
    ('week.49', 'week.49', 'notes')
    """
    ending = next((ending for ending in _LIST_ENDINGS[:2] if name.lower().endswith(ending)), Path(name).suffix)
    return name[: len(name) - len(ending)]


def _noted(home: Path, use: FolderUse) -> Iterator[tuple[Path, Path]]:
    """The notes of folders of that use, each with its folder; one that cannot be read is logged."""
    for path in sorted((home / FOLDER).glob(f"[!.]*-{use}.json")):
        try:
            noted = read_record(path, _NotedFolder, advice=_ADVICE)
        except StoreError as error:
            _LOG.error("%s", error)
            continue
        if noted is not None:
            yield path, Path(noted.path)


def _remove_before(folder: Path, before: datetime.datetime) -> int:
    due = [path for path in folder.glob("*.txt") if (moved := _moved_at(path)) is not None and moved < before]
    return sum(map(_remove_list, due))


def _moved_at(message: Path) -> datetime.datetime | None:
    """When the list of a message was moved; None where it is no message, but a list of that ending, or gone."""
    with contextlib.suppress(OSError, ValueError):
        text = message.read_text(encoding="utf-8")
        if found := _MOVED.fullmatch(text.rstrip().rpartition("\n")[2]):
            return datetime.datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
        if _IS_MESSAGE.search(text):
            return datetime.datetime.fromtimestamp(message.stat().st_mtime, datetime.UTC)
    return None


def _remove_list(message: Path) -> bool:
    """Delete the list of a message, its worklists, and at last the message."""
    moved = message.with_suffix("")
    worklist = re.compile(_WORKLIST.format(stem=re.escape(stem_of(moved.name))))
    try:
        for path in [*(each for each in message.parent.iterdir() if worklist.fullmatch(each.name)), moved, message]:
            path.unlink(missing_ok=True)
    except OSError as error:
        _LOG.error("%s: what is past its retention cannot be deleted (%s).", message.parent, type(error).__name__)
        return False
    return True


def _now() -> datetime.datetime:
    # Not `system_clock.utc_now`, which a rehearsal sets back.
    return datetime.datetime.now(datetime.UTC)
