"""The list that was scored last: `lists/latest.json`, which holds what the page shows of it."""

import datetime
import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pydantic import ConfigDict, ValidationError

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.digests import sealed_json, unsealed_json
from dnapredict.data.files.json_records import StoredRecord
from dnapredict.errors import StoreError
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.kept_list import ENGLAND, PAGE_COLUMNS, PAGE_SCHEMA, Counts, Heading, KeptList
from dnapredict.worklist.files.list_files import FileState, file_state, list_folder

# The page shows no more rows than a team could read in a week; the file of `score` has all.
KEPT_ROWS: Final = 5_000
_LATEST: Final = "latest.json"
_LOG: Final = logging.getLogger("dnapredict.worklist")


class ListedAppointment(StoredRecord):
    """One row of a worklist in `latest.json`: scored, or with the `error` that kept it from being scored.

    `starts_at` is in UTC, as everywhere in the contract.
    """

    model_config = ConfigDict(allow_inf_nan=False)

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


class LatestList(StoredRecord):
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


def latest_file(home: Path) -> Path:
    """Where the latest list is stored."""
    return list_folder(home) / _LATEST


def save_latest(home: Path, kept: KeptList) -> KeptList:
    """Save a list as the latest one, replacing the one before; return the part that is stored.

    Raises
    ------
    StoreError
        If the home cannot be written to. The list saved before stays as it was.
    """
    heading = kept.heading
    names = [name for name in PAGE_COLUMNS if name in kept.worklist.column_names]
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
    write_private(latest_file(home), sealed_json(stored.model_dump_json(exclude_none=True)))
    return _of_latest(stored)


def latest(home: Path) -> KeptList | None:
    """The stored part of the latest list (`latest.json`); None if no list was scored yet.

    Raises
    ------
    StoreError
        If it is there and cannot be read. The message holds nothing of its content.
    """
    path = latest_file(home)
    try:
        return _latest_once(path, file_state(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except ValidationError:
        raise StoreError(f"{path}: is damaged. Score a list again to replace it.") from None


def readable_latest(home: Path) -> KeptList | None:
    """As `latest`; None also if it cannot be read, which is logged.

    For pages of other lists, which a damaged copy of the latest one must not take along.
    """
    try:
        return latest(home)
    except StoreError as error:
        _LOG.error("%s", error)
        return None


@lru_cache(maxsize=1)
def _latest_once(path: Path, _: FileState) -> KeptList:
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
    return KeptList(heading, pa.Table.from_pylist(rows, schema=PAGE_SCHEMA))


def _in_utc(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times of the contract have no zone and are UTC; JSON states the zone."""
    starts_at = row.get("starts_at")
    return {**row, "starts_at": starts_at and starts_at.replace(tzinfo=datetime.UTC)}
