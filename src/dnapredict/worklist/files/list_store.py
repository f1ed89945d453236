"""Scored lists that are kept, each a Parquet file in the home's `lists/` with a heading in its footer.

The footer also holds the digest of the file, which is checked before the file is read. Each list has a marker
file, `ID.kept`, which is deleted with it: a marker without a list means that the list was lost.

The heading tells what a person asks of a list before opening it (its name, when it was scored, how many
calls) and what its workbook says: a list is given back as it was scored, whatever is champion by then.
"""

import contextlib
import datetime
import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.data.files.atomic_write import whole
from dnapredict.data.files.digests import UNSEALED, is_intact, seal
from dnapredict.data.files.private_files import write_private
from dnapredict.errors import StoreError
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.latest_list import Counts, LatestList, ListedAppointment

SPECIALTY: Final = "treatment_function_code"
"""By which teams may be named; no page shows it."""

_FOLDER: Final = "lists"
_MARKER: Final = ".kept"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ID: Final = re.compile(r"[0-9a-f]{16}")
_KEY: Final = b"dnapredict.sealed-list"
# The heading's key before lists were sealed. By it they are told apart, whatever happens to a seal.
_KEY_BEFORE: Final = b"dnapredict.list"
_LOG: Final = logging.getLogger("dnapredict.worklist")
_TYPES: Final = {
    "probability": pa.float64(),
    "rank": pa.int64(),
    "selected": pa.bool_(),
    "starts_at": pa.timestamp("us"),
}
_LINE: Final = pa.schema(
    [(name, _TYPES.get(name, pa.string())) for name in (*ListedAppointment.model_fields, SPECIALTY)]
)


class Heading(BaseModel):
    """What a kept list says of itself; nothing of it is about a patient."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    list_id: str
    name: str
    scored_at: datetime.datetime
    model_version: str
    synthetic: bool
    counts: Counts
    note: Note | None = None
    page_only: bool = False
    """Whether only what the page shows is kept: the first rows, without the names of the factors."""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptList:
    """A list that was scored and kept: its heading, and its rows in rank order."""

    heading: Heading
    worklist: pa.Table

    def line(self, appointment_id: str) -> dict[str, Any] | None:
        """The line of that appointment; None if it is not on the list. The first, if it is there twice."""
        found = self.worklist.filter(pc.equal(self.worklist["appointment_id"], appointment_id)).slice(0, 1)
        return next(iter(found.to_pylist()), None)

    def line_at(self, number: int) -> dict[str, Any] | None:
        """The scored line at that place of the list, counted from 1; None where there is none."""
        if not 1 <= number <= self.worklist.num_rows:
            return None
        line: dict[str, Any] = self.lines.slice(number - 1, 1).to_pylist()[0]
        return line if line["error"] is None and line["appointment_id"] is not None else None

    @property
    def calls(self) -> list[str]:
        """The appointments to call, in the order of the list."""
        selected = self.lines.filter(pc.fill_null(self.lines["selected"], False))
        return [each for each in selected["appointment_id"].to_pylist() if each is not None]

    def is_over(self, now: datetime.datetime) -> bool:
        """Whether all its appointments have begun; not where nobody knows when they are."""
        return _is_over(self.worklist, now)

    @property
    def lines(self) -> pa.Table:
        """What a page needs of each row: `latest.ListedAppointment` and `SPECIALTY`, null where unknown."""
        known = set(self.worklist.column_names)
        rows = self.worklist.num_rows
        columns = [
            self.worklist[column.name].cast(column.type) if column.name in known else pa.nulls(rows, column.type)
            for column in _LINE
        ]
        return pa.table(columns, schema=_LINE)


def new_id() -> str:
    """A name for a list that tells nothing and that nobody can guess."""
    return secrets.token_hex(8)


def keep(home: Path, worklist: pa.Table, heading: Heading) -> None:
    """Keep a list under its id, whole or not at all.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    noted = worklist.replace_schema_metadata({_KEY: heading.model_dump_json().encode(), **UNSEALED})
    path = _place(home, heading.list_id)
    with whole(path) as draft:
        pq.write_table(noted, draft)
        seal(draft, name=heading.list_id)
    try:
        write_private(_marker(path), f"{heading.scored_at:%Y-%m-%d}")
    except StoreError:
        path.unlink(missing_ok=True)  # the caller is told that the list was not kept
        raise


def keep_latest(home: Path, last: LatestList) -> None:
    """Keep what there is of the list scored last, so that the next one does not take its place.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    if not _place(home, last.list_id).exists():
        found = of_latest(last)
        keep(home, found.worklist, found.heading)


def kept_files(home: Path) -> list[Path]:
    """The files of all kept lists, the one that was kept last first."""
    written = []
    for path in (home / _FOLDER).glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # another process was first
            written.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(written, reverse=True)]


def is_over(path: Path, now: datetime.datetime) -> bool:
    """Whether all appointments of the list in that file have begun; a damaged one has none to come."""
    try:
        return _is_over(pq.read_table(path, columns=["starts_at", "error"]), now)
    except FileNotFoundError:
        return False
    except (OSError, pa.ArrowException):
        return True


def forget_older(home: Path, before: float) -> int:
    """Remove lists that were kept, or scored last, before that time of the Unix clock; returns how many."""
    last = home / _FOLDER / "latest.json"
    removed = 0
    for path in [*kept_files(home), last]:
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                forget(path)
                removed += 1
    return removed


def forget(path: Path) -> None:
    """Remove a kept list on purpose.

    Raises
    ------
    OSError
        If it is there and cannot be removed, or is not there.
    """
    # The marker first: a process that is killed in between leaves a list that is kept a while longer.
    _marker(path).unlink(missing_ok=True)
    path.unlink()


def find(home: Path, list_id: str) -> KeptList | None:
    """The list of that id; None if there is none, or none any more.

    Raises
    ------
    StoreError
        If it is there and cannot be read, or is lost.
    """
    path = _place(home, list_id)
    if not _ID.fullmatch(list_id):
        return None
    if not path.is_file():
        if lost := _loss_of(path):
            raise StoreError(lost)
        return None
    return _read(path)


def every(home: Path) -> tuple[Heading, ...]:
    """The headings of all kept lists, newest first. One that is lost or cannot be read is logged and left out."""
    for marker in (home / _FOLDER).glob(f"*{_MARKER}"):
        path = marker.with_suffix(".parquet")
        if not path.exists():
            _log_once(_loss_of(path))
    return tuple(sorted(_headings(home), key=lambda heading: heading.scored_at, reverse=True))


def of_latest(latest: LatestList) -> KeptList:
    """The list scored last, of which only the first rows are kept, in the shape of the others."""
    rows = [_plain(row) for row in latest.rows]
    return KeptList(heading_of_latest(latest), pa.Table.from_pylist(rows, schema=_LINE))


def heading_of_latest(latest: LatestList) -> Heading:
    """What the list scored last says of itself."""
    return Heading(
        list_id=latest.list_id,
        name=latest.name,
        scored_at=latest.saved_at,
        model_version=latest.model_version,
        synthetic=latest.synthetic,
        counts=Counts(latest.appointments, latest.selected, latest.not_scored),
        note=latest.note,
        page_only=True,
        notices=latest.notices,
    )


def _plain(row: ListedAppointment) -> dict[str, Any]:
    """A row as the contract holds it: times in UTC without a zone."""
    values = row.model_dump()
    if row.starts_at is not None:
        values["starts_at"] = row.starts_at.astimezone(datetime.UTC).replace(tzinfo=None)
    return values


def _is_over(worklist: pa.Table, now: datetime.datetime) -> bool:
    scored = worklist.filter(pc.is_null(worklist["error"]))
    if not scored.num_rows or "starts_at" not in scored.column_names:
        return not scored.num_rows
    last = pc.max(scored["starts_at"]).as_py()
    return last is not None and last < now.astimezone(datetime.UTC).replace(tzinfo=None)


def _place(home: Path, list_id: str) -> Path:
    return home / _FOLDER / f"{list_id}.parquet"


def _marker(path: Path) -> Path:
    return path.with_suffix(_MARKER)


def _loss_of(path: Path) -> str:
    """The message that a list is lost; "" if the list exists, or was deleted together with its marker."""
    try:
        written = _marker(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    if path.exists():  # another process has just written it
        return ""
    # A damaged marker may hold the content of another file, which must not reach the log.
    day = written if _DAY.fullmatch(written) else "an unknown day"
    return (
        f"{path}: the list scored on {day} is lost. Restore it from a backup or score it again; if it was "
        f"removed on purpose, remove {_marker(path).name} too."
    )


@lru_cache(maxsize=1_000)
def _log_once(sentence: str) -> None:
    if sentence:
        _LOG.error("%s", sentence)


def _headings(home: Path) -> Iterator[Heading]:
    for path in (home / _FOLDER).glob("*.parquet"):
        try:
            state = path.stat()
        except OSError:  # another process removed it
            continue
        heading = _heading_once(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
        if heading is not None:
            yield heading


@lru_cache(maxsize=10_000)
def _heading_once(path: Path, _state: tuple[int, ...]) -> Heading | None:
    """The heading of a file, which is hashed again only when it has been written: a page lists many."""
    try:
        return _heading(path, *_content(path))
    except StoreError as error:
        if path.exists():
            _LOG.error("%s", error)
        return None


def _read(path: Path) -> KeptList:
    content, key = _content(path)
    try:
        return KeptList(_heading(path, content, key), pq.read_table(pa.BufferReader(content)))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None


def _content(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a list, once its seal agrees, and the key under which its heading stands."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None
    if is_intact(content, name=path.stem):
        return content, _KEY
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
    if heading is None or heading.list_id != path.stem:
        raise StoreError(f"{path}: the list does not say what it is. Score it again.")
    return heading
