"""A list that was scored: its rows in rank order, and its heading.

The heading has what a person wants to know before opening a list (name, time of scoring, number of calls) and the
note of its workbook, so that a list can be downloaded as it was scored, whichever model is champion by then.
"""

import datetime
import secrets
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field

from dnapredict.data.files.json_records import StoredRecord
from dnapredict.data.system_clock import utc_now
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.worklist_columns import COLUMNS, FIFTH, LOCATION_COLUMNS, NEEDS_COLUMN, SCHEMA

SPECIALTY: Final = "treatment_function_code"
"""Teams can be defined by it; no page shows it."""
ERROR_CELL: Final = "error_cell"
"""Where in the uploaded file to look for the error of a row, such as "row 14, column D (Appt Date)"."""

# The clinics' time zone of lists that were kept before it was recorded, and of requests.
ENGLAND: Final = "Europe/London"
PAGE_COLUMNS: Final = (*COLUMNS, *LOCATION_COLUMNS, NEEDS_COLUMN, FIFTH)
"""The columns that a page shows, and those that only counts are made of."""
PAGE_SCHEMA: Final = pa.schema(
    [SCHEMA.field(name) for name in PAGE_COLUMNS] + [(name, pa.string()) for name in (SPECIALTY, ERROR_CELL)]
)


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


class Heading(StoredRecord):
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
        A keyed hash of the uploaded file, to distinguish a second click from a second list.
    lacks
        Sentences on missing columns of the list, and the factors that need them.
    ends_at
        When the last appointment starts; None where that is not known without reading the list.
    writes
        How often the list was written: once, and again for each row that was corrected.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

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
    writes: int = 1

    @property
    def zone(self) -> datetime.tzinfo:
        """The time zone of the clinics, in which times are shown."""
        return ZoneInfo(self.timezone)

    @property
    def day(self) -> datetime.date:
        """The day on which the list was scored."""
        return self.created_at.astimezone(self.zone).date()


@dataclass(frozen=True)
class ListOrigin:
    """Where an uploaded list comes from: the fields of the same names of its `Heading`."""

    team: str = ""
    uploaded_by: str = ""
    follows: str = ""
    upload_hash: str = ""
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListIdentity:
    """The id of a scored list and when it was scored (with a zone), known before it is kept.

    `row_called` is set where one row of it is scored again alone: whether the list calls about it.
    """

    list_id: str
    scored_at: datetime.datetime
    row_called: bool | None = None

    @classmethod
    def new(cls) -> "ListIdentity":
        """A new random id, and the present."""
        return cls(secrets.token_hex(8), utc_now())


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
        identity: ListIdentity | None = None,
    ) -> "KeptList":
        """A newly scored list, under its `identity`, by default a new random id.

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
        identity = identity or ListIdentity.new()
        heading = Heading(
            list_id=identity.list_id,
            name=name,
            created_at=identity.scored_at,
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
        return all_begun(self.worklist, now) if self.heading.ends_at is None else self.heading.ends_at < now

    @cached_property
    def page_rows(self) -> pa.Table:
        """The columns that a page shows, and `SPECIALTY`; null if absent."""
        known, rows = set(self.worklist.column_names), self.worklist.num_rows
        columns = [
            self.worklist[field.name].cast(field.type) if field.name in known else pa.nulls(rows, field.type)
            for field in PAGE_SCHEMA
        ]
        return pa.table(columns, schema=PAGE_SCHEMA)


def all_begun(worklist: pa.Table, now: datetime.datetime) -> bool:
    """Whether all scored appointments of a worklist have begun; False if their times are not known."""
    scored = worklist.filter(pc.is_null(worklist["error"]))
    if not scored.num_rows or "starts_at" not in scored.column_names:
        return not scored.num_rows
    last = pc.max(scored["starts_at"]).as_py()
    return last is not None and last < now.astimezone(datetime.UTC).replace(tzinfo=None)


def _last_start(worklist: pa.Table) -> datetime.datetime | None:
    """When the last scored appointment starts; None if no row has a time."""
    if "starts_at" not in worklist.column_names:
        return None
    last = pc.max(worklist.filter(pc.is_null(worklist["error"]))["starts_at"]).as_py()
    return None if last is None else last.replace(tzinfo=datetime.UTC)
