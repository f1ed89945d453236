"""Scored lists that a home keeps, in its folder `lists/`: whole ones, and the list that was scored last.

A whole list is a Parquet file with a heading in its footer; `latest.json` holds what the page shows of the list
that was scored last. Each carries a digest that is checked when it is read. Each whole list has a marker file,
`ID.kept`, which is deleted with it: a marker without a list means that the list was lost.

The heading has what a person wants to know before opening a list (name, time of scoring, number of calls) and the
note of its workbook, so that a list can be downloaded as it was scored, whichever model is champion by then.
"""

import contextlib
import datetime
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnapredict.data.files.atomic_write import write_atomically, write_private
from dnapredict.data.files.digests import UNSEALED, is_intact, seal, sealed_json, unsealed_json
from dnapredict.errors import StoreError
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.worklist_files import COLUMNS, FIFTH, LOCATION_COLUMNS, NEEDS_COLUMN, SCHEMA

# The page shows no more rows than a team could read in a week; the file of `score` has all.
KEPT_ROWS: Final = 5_000
SPECIALTY: Final = "treatment_function_code"
"""Teams can be defined by it; no page shows it."""
ERROR_CELL: Final = "error_cell"
"""Where in the uploaded file to look for the error of a row, such as "row 14, column D (Appt Date)"."""

# The clinics' time zone of lists that were kept before it was recorded, and of requests.
ENGLAND: Final = "Europe/London"
_FOLDER: Final = "lists"
_LATEST: Final = "latest.json"
_MARKER: Final = ".kept"
CONTACTS: Final = ".contacts"
"""The ending of the file with the contact details of a list: see `worklist.files.contact_details`."""
_UNSCORED: Final = ".unscored"
_ASSIGNED: Final = ".assigned"
_SECONDS_UNSCORED: Final = 7 * 86_400
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ID: Final = re.compile(r"[0-9a-f]{16}")
_KEY: Final = b"dnapredict.sealed-list"
# The key of the heading in lists without a seal, of earlier releases, even if a seal was removed.
_KEY_BEFORE: Final = b"dnapredict.list"
_LOG: Final = logging.getLogger("dnapredict.worklist")
# The columns that a page shows, and those that only counts are made of.
_PAGE_COLUMNS: Final = (*COLUMNS, *LOCATION_COLUMNS, NEEDS_COLUMN, FIFTH)
_PAGE_SCHEMA: Final = pa.schema(
    [SCHEMA.field(name) for name in _PAGE_COLUMNS] + [(name, pa.string()) for name in (SPECIALTY, ERROR_CELL)]
)
_State = tuple[int, int, int, int]


@dataclass(frozen=True)
class Counts:
    """The numbers of appointments on a list, of those to call, and of those that were not scored."""

    appointments: int
    selected: int
    not_scored: int

    @property
    def heading(self) -> str:
        """The number of calls to make, in the words of the page and of the command line.

        >>> Counts(appointments=200, selected=20, not_scored=1).heading
        '20 calls to make'
        """
        return f"{_counted(self.selected, 'call')} to make"

    @property
    def summary(self) -> str:
        """How many appointments there are, and how many could not be scored.

        >>> Counts(appointments=200, selected=20, not_scored=1).summary
        'Out of 200 appointments on the list. 1 appointment could not be scored.'
        """
        words = f"Out of {_counted(self.appointments, 'appointment')} on the list."
        return words + (f" {_counted(self.not_scored, 'appointment')} could not be scored." if self.not_scored else "")

    @property
    def words(self) -> str:
        """Heading and summary in one line."""
        return f"{self.heading}. {self.summary}"

    @classmethod
    def of(cls, worklist: pa.Table) -> "Counts":
        """The counts of a whole worklist."""
        return cls(
            appointments=worklist.num_rows,
            selected=pc.sum(worklist["selected"]).as_py() or 0,
            not_scored=worklist.num_rows - worklist["error"].null_count,
        )


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


class _Stored(BaseModel):
    """Base of stored records: frozen, without unknown keys, and with errors that quote no patient's value."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class Heading(_Stored):
    """The heading of a kept list; it holds nothing about a patient.

    Attributes
    ----------
    page_only
        Whether only what the page shows is kept: the first rows, without the names of the factors.
    timezone
        That of the clinics; a list that was kept before it was recorded is of England.
    team, uploaded_by
        The team that works on the list, and the person who uploaded it; "" where neither is known, as of a list
        that `score` made or that was kept before lists belonged to teams.
    follows
        The id of the list of which this is a later export; "" where there is none.
    upload_hash
        A keyed hash of the uploaded file, by which a second click is told from a second list.
    lacks
        Sentences on what the list has no column for, and what that means for its reasons.
    ends_at
        When the last appointment starts; None where that is not known without reading the list.
    """

    list_id: str
    name: str
    # The stored name is that of the first release; in the code `scored_at` is the cut-off of an appointment.
    created_at: datetime.datetime = Field(validation_alias="scored_at", serialization_alias="scored_at")
    model_version: str
    synthetic: bool
    counts: Counts
    note: Note | None = None
    page_only: bool = False
    notices: tuple[str, ...] = ()
    timezone: str = ENGLAND
    team: str = ""
    uploaded_by: str = ""
    follows: str = ""
    upload_hash: str = ""
    lacks: tuple[str, ...] = ()
    ends_at: datetime.datetime | None = None

    @property
    def zone(self) -> datetime.tzinfo:
        """The time zone of the clinics, in which times are shown."""
        return ZoneInfo(self.timezone)

    @property
    def day(self) -> datetime.date:
        """The day on which the list was scored."""
        return self.created_at.astimezone(self.zone).date()


class ListedAppointment(_Stored):
    """One row of a worklist in `latest.json`: scored, or with the `error` that kept it from being scored.

    `starts_at` is in UTC, as everywhere in the contract.
    """

    appointment_id: str | None = None
    probability: float | None = None
    band: str | None = None
    rank: int | None = None
    selected: bool | None = None
    action: str | None = None
    reason_1: str | None = None
    reason_2: str | None = None
    reason_3: str | None = None
    model_version: str | None = None
    error: str | None = None
    starts_at: datetime.datetime | None = None
    clinic_code: str | None = None
    site_code: str | None = None
    needs: str | None = None
    imd_fifth: int | None = None


class LatestList(_Stored):
    """The content of `latest.json`: the first `KEPT_ROWS` rows in rank order, and the counts of the whole list."""

    saved_at: datetime.datetime
    name: str
    model_version: str
    synthetic: bool
    appointments: int
    selected: int
    not_scored: int
    rows: tuple[ListedAppointment, ...]
    list_id: str
    note: Note | None = None
    notices: tuple[str, ...] = ()
    timezone: str = ENGLAND


@dataclass(frozen=True)
class ListOrigin:
    """Where an uploaded list comes from: the fields of the same names of its `Heading`."""

    team: str = ""
    uploaded_by: str = ""
    follows: str = ""
    upload_hash: str = ""
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptList:
    """A list that was scored: its heading, and its rows in rank order."""

    heading: Heading
    worklist: pa.Table

    @classmethod
    def new(
        cls,
        worklist: pa.Table,
        *,
        name: str,
        model_version: str,
        synthetic: bool,
        counts: Counts | None = None,
        note: Note | None = None,
        notices: tuple[str, ...] = (),
        timezone: str = ENGLAND,
        origin: ListOrigin = ListOrigin(),
    ) -> "KeptList":
        """A newly scored list, under a new random id.

        Parameters
        ----------
        worklist
            The result of `Scorer.score`, in rank order, or its first rows; then `counts` are those of all rows.
        name
            The name of the list, such as its file name.
        note
            The note of its workbook, if there is one.
        notices
            Limitations of this list, which the page shows.
        timezone
            The time zone of the clinics, in which the page shows times.
        origin
            Who uploaded it, and which list it follows.
        """
        heading = Heading(
            list_id=secrets.token_hex(8),
            name=name,
            created_at=datetime.datetime.now(datetime.UTC),
            model_version=model_version,
            synthetic=synthetic,
            counts=counts or Counts.of(worklist),
            note=note,
            notices=notices,
            timezone=timezone,
            ends_at=_last_start(worklist),
            **vars(origin),
        )
        return cls(heading, worklist)

    def row_of(self, appointment_id: str) -> dict[str, Any] | None:
        """The row of that appointment, the first if there are two; None if it is not on the list."""
        rows = self.worklist.filter(pc.equal(self.worklist["appointment_id"], appointment_id)).slice(0, 1)
        return next(iter(rows.to_pylist()), None)

    def row_at(self, number: int) -> dict[str, Any] | None:
        """The scored row with that number on the list, counted from 1; None if there is none."""
        if not 1 <= number <= self.worklist.num_rows:
            return None
        row: dict[str, Any] = self.page_rows.slice(number - 1, 1).to_pylist()[0]
        return row if row["error"] is None and row["appointment_id"] is not None else None

    @property
    def calls(self) -> list[str]:
        """The appointments to call, in the order of the list."""
        selected = self.page_rows.filter(pc.fill_null(self.page_rows["selected"], False))
        return [each for each in selected["appointment_id"].to_pylist() if each is not None]

    def with_rows(self, worklist: pa.Table) -> "KeptList":
        """The list with other rows: its counts, and when its last appointment starts, are those of these."""
        changed = {"counts": Counts.of(worklist), "ends_at": _last_start(worklist)}
        return replace(self, worklist=worklist, heading=self.heading.model_copy(update=changed))

    def is_over(self, now: datetime.datetime) -> bool:
        """Whether all its appointments have begun; False if their times are not known."""
        return _is_over(self.worklist, now) if self.heading.ends_at is None else self.heading.ends_at < now

    @cached_property
    def page_rows(self) -> pa.Table:
        """The columns that a page shows, and `SPECIALTY`; null if absent."""
        known, rows = set(self.worklist.column_names), self.worklist.num_rows
        columns = [
            self.worklist[field.name].cast(field.type) if field.name in known else pa.nulls(rows, field.type)
            for field in _PAGE_SCHEMA
        ]
        return pa.table(columns, schema=_PAGE_SCHEMA)


def keep(home: Path, kept: KeptList) -> None:
    """Keep a list under its id, whole or not at all.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    heading = kept.heading
    noted = kept.worklist.replace_schema_metadata({_KEY: heading.model_dump_json().encode(), **UNSEALED})
    path = _path(home, heading.list_id)
    with write_atomically(path) as draft:
        pq.write_table(noted, draft)
        seal(draft, name=heading.list_id)
    try:
        write_private(_marker(path), f"{heading.created_at:%Y-%m-%d}")
    except StoreError:
        path.unlink(missing_ok=True)  # raised below: the caller must know that the list was not kept
        raise


def keep_changed(home: Path, kept: KeptList) -> None:
    """Keep a list again in which a row was put right. It is not younger for that: its retention period goes on.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    path = _path(home, kept.heading.list_id)
    times = path.stat()
    keep(home, kept)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    last = latest(home)
    if last is not None and last.heading.list_id == kept.heading.list_id:
        save_latest(home, kept)


def save_latest(home: Path, kept: KeptList) -> KeptList:
    """Save a list as the latest one, replacing the one before; return the part that is stored.

    Raises
    ------
    StoreError
        If the home cannot be written to. The list saved before stays as it was.
    """
    heading = kept.heading
    names = [name for name in _PAGE_COLUMNS if name in kept.worklist.column_names]
    rows = kept.worklist.select(names).slice(0, KEPT_ROWS).to_pylist()
    stored = LatestList(
        saved_at=heading.created_at,
        name=heading.name,
        model_version=heading.model_version,
        synthetic=heading.synthetic,
        appointments=heading.counts.appointments,
        selected=heading.counts.selected,
        not_scored=heading.counts.not_scored,
        list_id=heading.list_id,
        note=heading.note,
        notices=heading.notices,
        timezone=heading.timezone,
        rows=tuple(ListedAppointment(**_in_utc(row)) for row in rows),
    )
    write_private(home / _FOLDER / _LATEST, sealed_json(stored.model_dump_json(exclude_none=True)))
    return _of_latest(stored)


def latest(home: Path) -> KeptList | None:
    """The stored part of the latest list (`latest.json`); None if no list was scored yet.

    Raises
    ------
    StoreError
        If it is there and cannot be read. The message holds nothing of its content.
    """
    path = home / _FOLDER / _LATEST
    try:
        return _latest_once(path, _state(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except ValidationError:
        raise StoreError(f"{path}: is damaged. Score a list again to replace it.") from None


def find(home: Path, list_id: str) -> KeptList | None:
    """The kept list of that id; None if it never existed or was deleted.

    Raises
    ------
    StoreError
        If it is there and cannot be read, or is lost.
    """
    path = _path(home, list_id)
    if not _ID.fullmatch(list_id):
        return None
    if not path.is_file():
        if lost := _loss_of(path):
            raise StoreError(lost)
        return None
    try:
        state = _state(path)
    except OSError as error:
        raise StoreError(f"{path}: the list cannot be read ({type(error).__name__}).") from None
    return _find_once(path, state)


@lru_cache(maxsize=4)
def _find_once(path: Path, _: _State) -> KeptList:
    """A kept list, cached since call mode reads it for each patient; read and checked again once it was written."""
    content, key = _content(path)
    heading = _heading(path, content, key)
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


def newest(home: Path) -> KeptList | None:
    """The latest list, whole if it is kept; None if there is none.

    Raises
    ------
    StoreError
        As `find` and `latest`.
    """
    last = latest(home)
    return None if last is None else find(home, last.heading.list_id) or last


def headings(home: Path) -> tuple[Heading, ...]:
    """The headings of all lists that can be shown, newest first. Lost and unreadable ones are logged and left out.

    Raises
    ------
    StoreError
        If `latest.json` cannot be read.
    """
    for marker in (home / _FOLDER).glob(f"*{_MARKER}"):
        path = marker.with_suffix(".parquet")
        if not path.exists():
            _log_once(_loss_of(path))
    by_id = {heading.list_id: heading for heading in _headings(home)}
    last = latest(home)
    if last is not None:
        by_id.setdefault(last.heading.list_id, last.heading)
    return tuple(sorted(by_id.values(), key=lambda heading: heading.created_at, reverse=True))


def kept_files(home: Path) -> list[Path]:
    """The files of all kept lists, newest first."""
    return [path for path, _ in sorted(_files(home), key=lambda file: (file[1][2], file[0]), reverse=True)]


def is_over(path: Path, now: datetime.datetime) -> bool:
    """Whether all appointments of the list in that file have begun; True for a damaged file."""
    try:
        return _is_over(pq.read_table(path, columns=["starts_at", "error"]), now)
    except FileNotFoundError:
        return False
    except (OSError, pa.ArrowException):
        return True


def remove_older(home: Path, before: float) -> int:
    """Delete lists that were kept before that Unix time, including the latest; return their number."""
    removed = 0
    for path in [*kept_files(home), home / _FOLDER / _LATEST]:
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                forget(path)
                removed += 1
    return removed


def forget(path: Path) -> None:
    """Delete a kept list.

    Raises
    ------
    OSError
        If it is there and cannot be removed, or is not there.
    """
    # The marker first: if the process is killed in between, a list without a marker is left, and not a lost list.
    _marker(path).unlink(missing_ok=True)
    path.with_suffix(CONTACTS).unlink(missing_ok=True)
    path.with_suffix(_UNSCORED).unlink(missing_ok=True)
    path.with_suffix(_ASSIGNED).unlink(missing_ok=True)
    path.unlink()


def delete(home: Path, list_id: str) -> bool:
    """Delete a list with its contact details and unscored rows, and as the latest one; return whether it was there.

    Raises
    ------
    StoreError
        If it cannot be removed: it may then be there in part, and deleting it again removes the rest.
    """
    last = latest(home)
    is_latest = last is not None and last.heading.list_id == list_id
    paths = [_path(home, list_id), *([home / _FOLDER / _LATEST] if is_latest else [])] if _ID.fullmatch(list_id) else []
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
    """Delete the unscored rows of lists that are gone or whose appointments are over: they hold contact details.

    Of a list without any scored row they are kept for a week.
    """
    for rows in (home / _FOLDER).glob(f"*{_UNSCORED}"):
        path = rows.with_suffix(".parquet")
        with contextlib.suppress(OSError):
            is_old = now.timestamp() - rows.stat().st_mtime > _SECONDS_UNSCORED
            if not path.exists() or (is_over(path, now) and (is_old or _has_scored(path))):
                rows.unlink(missing_ok=True)


def _has_scored(path: Path) -> bool:
    return bool(pq.read_table(path, columns=["error"])["error"].null_count)


def _is_over(worklist: pa.Table, now: datetime.datetime) -> bool:
    scored = worklist.filter(pc.is_null(worklist["error"]))
    if not scored.num_rows or "starts_at" not in scored.column_names:
        return not scored.num_rows
    last = pc.max(scored["starts_at"]).as_py()
    return last is not None and last < now.astimezone(datetime.UTC).replace(tzinfo=None)


def _last_start(worklist: pa.Table) -> datetime.datetime | None:
    """When the last scored appointment starts; None where no row says so."""
    if "starts_at" not in worklist.column_names:
        return None
    last = pc.max(worklist.filter(pc.is_null(worklist["error"]))["starts_at"]).as_py()
    return None if last is None else last.replace(tzinfo=datetime.UTC)


def unscored_file(home: Path, list_id: str) -> Path:
    """Where the rows of a list that could not be scored are kept."""
    return home / _FOLDER / f"{list_id}{_UNSCORED}"


def assigned_file(home: Path, list_id: str) -> Path:
    """Where it is kept who calls about which lines of a list."""
    return home / _FOLDER / f"{list_id}{_ASSIGNED}"


def contacts_file(home: Path, list_id: str) -> Path:
    """Where the contact details of a list are kept."""
    return home / _FOLDER / f"{list_id}{CONTACTS}"


def kept_list_ids(home: Path) -> frozenset[str]:
    """The ids of all lists that are kept whole."""
    return frozenset(path.stem for path, _ in _files(home))


def _path(home: Path, list_id: str) -> Path:
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
def _log_once(message: str) -> None:
    if message:
        _LOG.error("%s", message)


def _state(path: Path) -> _State:
    """A state of the file that changes with every write.

    Raises
    ------
    OSError
        If it does not exist or is not a regular file: opening a named pipe would block for ever.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise OSError("not a regular file")
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _files(home: Path) -> Iterator[tuple[Path, _State]]:
    """The regular files of kept lists, each with its state; another process may remove one meanwhile."""
    for path in (home / _FOLDER).glob("*.parquet"):
        with contextlib.suppress(OSError):
            yield path, _state(path)


def _in_utc(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times of the contract have no zone and are UTC; JSON states the zone."""
    starts_at = row.get("starts_at")
    return {**row, "starts_at": starts_at and starts_at.replace(tzinfo=datetime.UTC)}


@lru_cache(maxsize=1)
def _latest_once(path: Path, _: _State) -> KeptList:
    """Cached, since a page needs it several times; read again only after it was written."""
    return _of_latest(LatestList.model_validate_json(unsealed_json(path.read_bytes()) or b""))


def _of_latest(stored: LatestList) -> KeptList:
    heading = Heading(
        list_id=stored.list_id,
        name=stored.name,
        created_at=stored.saved_at,
        model_version=stored.model_version,
        synthetic=stored.synthetic,
        counts=Counts(stored.appointments, stored.selected, stored.not_scored),
        note=stored.note,
        page_only=True,
        notices=stored.notices,
        timezone=stored.timezone,
    )
    rows = [row.model_dump() for row in stored.rows]
    for row in rows:
        if row["starts_at"] is not None:
            row["starts_at"] = row["starts_at"].astimezone(datetime.UTC).replace(tzinfo=None)
    return KeptList(heading, pa.Table.from_pylist(rows, schema=_PAGE_SCHEMA))


def _headings(home: Path) -> Iterator[Heading]:
    for path, state in _files(home):
        heading = _heading_once(path, state)
        if heading is not None:
            yield heading


@lru_cache(maxsize=10_000)
def _heading_once(path: Path, _: _State) -> Heading | None:
    """The heading of a file, cached since a page lists many; hashed again only after the file was written."""
    try:
        return _heading(path, *_content(path))
    except StoreError as error:
        if path.exists():
            _LOG.error("%s", error)
        return None


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
