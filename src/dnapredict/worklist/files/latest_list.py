"""The list scored last, kept in the home so that the page can show it to a booking team."""

import datetime
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.digests import sealed_json, unsealed_json
from dnapredict.errors import StoreError
from dnapredict.worklist.files.excel_worklist import Note

# A page is for people: more than a team could read in a week is left to the file that `score` writes.
KEPT_ROWS = 5_000

_PLACE = Path("lists") / "latest.json"


class _Stored(BaseModel):
    """Base of what is stored: frozen, closed, and silent about values, which belong to patients."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class ListedAppointment(_Stored):
    """One line of a worklist: scored, or with the `error` that kept it from being scored.

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

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that there are, strongest first."""
        return tuple(reason for reason in (self.reason_1, self.reason_2, self.reason_3) if reason)


class LatestList(_Stored):
    """A scored list: its first `KEPT_ROWS` lines in rank order and the counts of the whole.

    `list_id` is its name on the page, so that what is recorded of it is never taken for that of a newer one.
    """

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


@dataclass(frozen=True)
class Counts:
    """How many appointments a list has, how many of them are to be called, how many were not scored."""

    appointments: int
    selected: int
    not_scored: int


def save(
    home: Path,
    worklist: pa.Table,
    *,
    name: str,
    model_version: str,
    synthetic: bool,
    list_id: str | None = None,
    counts: Counts | None = None,
    note: Note | None = None,
    notices: tuple[str, ...] = (),
) -> LatestList:
    """Keep `worklist` as the list scored last; it replaces the one before in a single step.

    Parameters
    ----------
    home
        The home; the list is kept in `lists/latest.json`, readable by its owner alone.
    worklist
        What `Scorer.score` returned, in rank order. Of its columns those are kept that
        `ListedAppointment` names; others are left out.
    name
        What a person calls the list, such as the name of its file.
    list_id
        Under which the whole of it is kept by the service, if it is; otherwise it gets a new one.
    counts
        Those of the whole list, where `worklist` is only its first rows.
    note
        What its workbook says, if it is known.
    notices
        What could not be known as the list was made; the page shows it.

    Raises
    ------
    StoreError
        If the home cannot be written to. The list kept before stays as it was.
    """
    counts = counts or counted(worklist)
    latest = LatestList(
        saved_at=datetime.datetime.now(datetime.UTC),
        name=name,
        model_version=model_version,
        synthetic=synthetic,
        appointments=counts.appointments,
        selected=counts.selected,
        not_scored=counts.not_scored,
        list_id=list_id or secrets.token_hex(8),
        note=note,
        notices=notices,
        rows=_lines(worklist.slice(0, KEPT_ROWS)),
    )
    write_private(home / _PLACE, sealed_json(latest.model_dump_json(exclude_none=True)))
    return latest


def counted(worklist: pa.Table) -> Counts:
    """The counts of a whole worklist."""
    return Counts(
        appointments=worklist.num_rows,
        selected=pc.sum(worklist["selected"]).as_py() or 0,
        not_scored=worklist.num_rows - worklist["error"].null_count,
    )


def read(home: Path) -> LatestList | None:
    """The list scored last, or None where no list has been scored yet.

    Raises
    ------
    StoreError
        If there is one and it cannot be read. The message holds nothing of its content.
    """
    path = home / _PLACE
    try:
        return LatestList.model_validate_json(unsealed_json(path.read_bytes()) or b"")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except ValidationError:
        raise StoreError(f"{path}: is damaged. Score a list again to replace it.") from None


def _lines(worklist: pa.Table) -> tuple[ListedAppointment, ...]:
    known = [name for name in worklist.column_names if name in ListedAppointment.model_fields]
    return tuple(ListedAppointment(**_in_utc(line)) for line in worklist.select(known).to_pylist())


def _in_utc(line: dict[str, Any]) -> dict[str, Any]:
    """The contract's times carry no zone and mean UTC; say so before they are stored."""
    if line.get("starts_at") is not None:
        line["starts_at"] = line["starts_at"].replace(tzinfo=datetime.UTC)
    return line
