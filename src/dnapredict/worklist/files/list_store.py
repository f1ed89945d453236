"""The lists that a home keeps, in its folder `lists/`: whole ones, and the list that was scored last.

A whole list is a Parquet file with its heading in the footer; `latest.json` holds what the page shows of the list
that was scored last. Each carries a digest that is checked when it is read.
"""

import contextlib
import datetime
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from dnapredict.data.files.atomic_write import write_atomically, write_private
from dnapredict.data.files.digests import UNSEALED, is_intact, seal
from dnapredict.data.files.loss_marks import count_in, mark_of, remove_mark, remove_with_mark, second_marks, write_count
from dnapredict.errors import StoreError
from dnapredict.worklist.files.kept_list import Heading, KeptList, all_begun
from dnapredict.worklist.files.latest_list import latest, latest_file, readable_latest, save_latest
from dnapredict.worklist.files.list_cache import LISTS_CACHED
from dnapredict.worklist.files.list_files import (
    ASSIGNED,
    CONTACTS,
    MARKER,
    UNSCORED,
    FileState,
    file_state,
    list_file,
    list_files,
    list_folder,
    loss_of,
    marked_day,
    marker_of,
    written_files,
)

_SECONDS_UNSCORED: Final = 7 * 86_400
_ID: Final = re.compile(r"[0-9a-f]{16}")
_KEY: Final = b"dnapredict.sealed-list"
# The key of the heading in lists without a seal, of earlier releases, even if a seal was removed.
_KEY_BEFORE: Final = b"dnapredict.list"
_LOG: Final = logging.getLogger("dnapredict.worklist")


def keep(home: Path, kept: KeptList) -> None:
    """Keep a list under its id, whole or not at all.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    path = _write(home, kept)
    try:
        write_private(marker_of(path), f"{kept.heading.created_at:%Y-%m-%d}")
    except StoreError:
        path.unlink(missing_ok=True)  # raised below: the caller must know that the list was not kept
        raise


def keep_changed(home: Path, kept: KeptList) -> None:
    """Save a list again after a row was corrected. Its retention period does not start again.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    path = list_file(home, kept.heading.list_id)
    times = path.stat()
    writes = 1 + max(kept.heading.writes, count_in(marker_of(path)))
    kept = replace(kept, heading=kept.heading.model_copy(update={"writes": writes}))
    _write(home, kept)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with contextlib.suppress(StoreError):  # the list is written, and an older count refuses nothing
        write_count(marker_of(path), writes, says=f"{kept.heading.created_at:%Y-%m-%d}")
    last = readable_latest(home)
    if last is not None and last.heading.list_id == kept.heading.list_id:
        save_latest(home, kept)


def _write(home: Path, kept: KeptList) -> Path:
    heading = kept.heading
    noted = kept.worklist.replace_schema_metadata({_KEY: heading.model_dump_json().encode(), **UNSEALED})
    path = list_file(home, heading.list_id)
    with write_atomically(path) as draft:
        pq.write_table(noted, draft)
        seal(draft, name=heading.list_id)
    return path


def find(home: Path, list_id: str) -> KeptList | None:
    """The kept list of that id; None if it never existed or was deleted.

    Raises
    ------
    StoreError
        If it is there and cannot be read, or is lost.
    """
    path = list_file(home, list_id)
    if not _ID.fullmatch(list_id):
        return None
    if not path.is_file():
        if lost := loss_of(path):
            raise StoreError(lost)
        return None
    try:
        state = file_state(path)
    except OSError as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None
    return _find_once(path, state)


@lru_cache(maxsize=LISTS_CACHED)
def _find_once(path: Path, _: FileState) -> KeptList:
    """A kept list, cached because call mode reads it for each patient; read and checked again after a write."""
    heading, content = _newest(path)
    try:
        return KeptList(heading, pq.read_table(pa.BufferReader(content)))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None


def find_shown(home: Path, list_id: str) -> KeptList | None:
    """The list that the page of that id shows: a kept one, or the stored part of the latest list.

    Raises
    ------
    StoreError
        As `find` and `latest`.
    """
    kept = find(home, list_id)
    if kept is None:
        last = latest(home)
        kept = last if last is not None and last.heading.list_id == list_id else None
    return kept


def shown_states(home: Path, list_ids: Iterable[str]) -> tuple[tuple[str, FileState | None], ...]:
    """Each list with the state of the file from which `find_shown` reads it, None where there is none.

    What was derived from lists is valid as long as these are the same.
    """
    return tuple((list_id, _state_of(list_file(home, list_id)) or _state_of(latest_file(home))) for list_id in list_ids)


def _state_of(path: Path) -> FileState | None:
    try:
        return file_state(path)
    except OSError:
        return None


def newest(home: Path) -> KeptList | None:
    """The latest list, whole if it is kept; None if there is none, or it cannot be read.

    Raises
    ------
    StoreError
        As `find`.
    """
    last = readable_latest(home)
    return None if last is None else find(home, last.heading.list_id) or last


def headings(home: Path) -> tuple[Heading, ...]:
    """The headings of all lists that can be shown, newest first. Lost and unreadable ones are logged and left out."""
    for marker in list_folder(home).glob(f"[!.]*{MARKER}"):  # with a dot: the draft of a marker
        path = marker.with_suffix(".parquet")
        if not path.exists():
            _log_once(loss_of(path))
    by_id = {heading.list_id: heading for heading in _headings(home)}
    last = readable_latest(home)
    if last is not None:
        by_id.setdefault(last.heading.list_id, last.heading)
    return tuple(sorted(by_id.values(), key=lambda heading: heading.created_at, reverse=True))


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each list that is lost or cannot be read, the latest one included."""
    for marker in sorted(list_folder(home).glob(f"[!.]*{MARKER}")):  # with a dot: the draft of a marker
        if lost := loss_of(marker.with_suffix(".parquet")):
            yield lost
    for path in sorted(kept_files(home)):
        try:
            find(home, path.stem)
        except StoreError as error:
            yield str(error)
    try:
        latest(home)
    except StoreError as error:
        yield str(error)


def kept_files(home: Path) -> list[Path]:
    """The files of all kept lists, newest first."""
    return [path for path, _ in sorted(list_files(home), key=lambda file: (file[1][2], file[0]), reverse=True)]


def is_over(path: Path, now: datetime.datetime) -> bool:
    """Whether all appointments of the list in that file have begun; True for a damaged file."""
    try:
        return all_begun(pq.read_table(path, columns=["starts_at", "error"]), now)
    except FileNotFoundError:
        return False
    except (OSError, pa.ArrowException):
        return True


def remove_older(home: Path, before: float) -> int:
    """Delete lists that were kept before that Unix time, including the latest; return their number.

    The mark of a list says since when it is kept: a backup that is put back may give its file another time.
    """
    removed = 0
    for path in [*kept_files(home), latest_file(home)]:
        with contextlib.suppress(OSError):
            if min(path.stat().st_mtime, _end_of_marked_day(path)) < before:
                forget(path)
                removed += 1
    return removed


def _end_of_marked_day(path: Path) -> float:
    """The end of the day (UTC) on which a list was kept, as its mark says; infinity where there is no sound mark."""
    try:
        day = marked_day(path)
    except (OSError, ValueError):
        return math.inf
    return datetime.datetime.combine(day, datetime.time.max, datetime.UTC).timestamp()


def forget(path: Path) -> None:
    """Delete a kept list.

    Raises
    ------
    OSError
        If it is there and cannot be removed, or is not there.
    """
    # The marker first: if the process is killed in between, a list without a marker is left, and not a lost list.
    remove_mark(marker_of(path))
    for ending in (CONTACTS, UNSCORED, ASSIGNED):
        remove_with_mark(path.with_suffix(ending))
    path.unlink()


def delete(home: Path, list_id: str) -> bool:
    """Delete a list with its contact details and unscored rows, and as the latest one; return whether it was there.

    Raises
    ------
    StoreError
        If it cannot be removed. A part may then remain; deleting it again removes the rest.
    """
    last = latest(home)
    is_latest = last is not None and last.heading.list_id == list_id
    paths = [list_file(home, list_id), *([latest_file(home)] if is_latest else [])] if _ID.fullmatch(list_id) else []
    removed = False
    for path in paths:
        try:
            forget(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{path}: the list cannot be deleted ({type(error).__name__}). Try again.") from None
        removed = True
    return removed


def remove_unscored(home: Path, now: datetime.datetime) -> None:
    """Delete the unscored rows of deleted lists and of lists whose appointments are over: they hold contact details.

    The rows of a list without any scored row, and of a damaged list, are kept for a week.
    """
    for rows in written_files(home, UNSCORED):
        path = rows.with_suffix(".parquet")
        with contextlib.suppress(OSError):
            written = rows if rows.exists() else mark_of(rows)
            is_old = now.timestamp() - written.stat().st_mtime > _SECONDS_UNSCORED
            if not path.exists() or (is_over(path, now) and (is_old or _has_scored(path))):
                remove_with_mark(rows)


def left_counts(home: Path) -> list[Path]:
    """The counts in `newest` of lists that are gone: a process was killed, or a person deleted the files of a list."""
    # The counts first: each is written after its list.
    counts = list(second_marks(list_folder(home)))
    ids = {path.stem for path in list_folder(home).glob("*") if path.suffix in (".parquet", MARKER)}
    return [path for path in counts if path.name.partition(".")[0] not in ids]


def remove_left_counts(home: Path) -> None:
    """Delete the counts of `left_counts`."""
    for path in left_counts(home):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _has_scored(path: Path) -> bool:
    """Whether a list has a scored row; False for a damaged file."""
    try:
        return bool(pq.read_table(path, columns=["error"])["error"].null_count)
    except (OSError, pa.ArrowException):
        return False


@lru_cache(maxsize=1_000)
def _log_once(message: str) -> None:
    if message:
        _LOG.error("%s", message)


def _headings(home: Path) -> Iterator[Heading]:
    for path, state in list_files(home):
        heading = _heading_once(path, state)
        if heading is None and not marker_of(path).exists():  # removed on purpose, as the message of an older copy says
            heading = _heading_once(path, state, is_marked=False)
        if heading is not None:
            yield heading


@lru_cache(maxsize=10_000)
def _heading_once(path: Path, _: FileState, *, is_marked: bool = True) -> Heading | None:  # noqa: ARG001 - the cache's
    """The heading of a file, cached since a page lists many; hashed again only after the file was written."""
    try:
        return _newest(path)[0]
    except StoreError as error:
        if path.exists():
            _LOG.error("%s", error)
        return None


def _newest(path: Path) -> tuple[Heading, bytes]:
    """The heading and the bytes of a list, unless it is an older copy."""
    marked = count_in(marker_of(path))  # first: another process may write between the two
    content, key = _content(path)
    heading = _heading(path, content, key)
    if heading.writes < marked:
        raise StoreError(
            f"{path}: is an older copy: a row of this list was corrected later. Restore the newest backup, or score "
            f"the list again; to go on with this copy on purpose, remove {marker_of(path).name}."
        )
    return heading, content


def _content(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a list whose seal is valid, and the key of its heading."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None
    if is_intact(content, name=path.stem):
        return content, _KEY
    # The key of the heading tells a damaged list from an old one without a seal, which is read unchecked.
    if _KEY in content:
        raise StoreError(f"{path}: the list is damaged; it is not what was kept. Score it again.")
    return content, _KEY_BEFORE


def _heading(path: Path, content: bytes, key: bytes) -> Heading:
    try:
        metadata = pq.read_schema(pa.BufferReader(content)).metadata or {}
        heading = Heading.model_validate_json(metadata.get(key, b""))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None
    except ValidationError:
        heading = None
    # A file that was copied under another name is not that list: outcomes would be recorded on the wrong lines.
    if heading is None or heading.list_id != path.stem:
        raise StoreError(f"{path}: the list has no valid heading. Score it again.")
    return heading
