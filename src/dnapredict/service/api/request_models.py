"""Request bodies: the appointments of `POST /v1/score` and their conversion to a table, and a call's outcome.

The shape is checked here and refused as a whole, with one sentence. Values are checked by the data contract,
row by row, so that one invalid age rejects one row and not the request.
"""

import difflib
import math
import threading
from collections.abc import Iterable
from typing import Annotated, Any, Final

import pyarrow as pa
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from dnapredict.data.contract.columns import COLUMNS, CONTACT_NAMES, NAMES, REQUIRED
from dnapredict.service.call_outcomes import Barrier, CallDetails, Offer, Outcome

MOST_ROWS: Final = 5_000
LONGEST_TEXT: Final = 500
# Above 2**53 many JSON parsers lose digits of an integer.
_LARGEST_NUMBER: Final = 2**53

Cell = str | int | float | bool | None

_CELL_SCHEMA: Final = [
    {"type": "string", "maxLength": LONGEST_TEXT},
    {"type": "number", "minimum": -_LARGEST_NUMBER, "maximum": _LARGEST_NUMBER},
    {"type": "boolean"},
    {"type": "null"},
]
_ROW_SCHEMA: Final = {
    "type": "object",
    "title": "Appointment",
    "description": (
        "One row of the data contract. A cell that is not known is null or left out; "
        "a row that lacks what it needs is answered with its own error."
    ),
    "properties": {column.name: {"description": column.note, "anyOf": _CELL_SCHEMA} for column in COLUMNS},
    "additionalProperties": False,
}
Row = Annotated[dict[str, Any], WithJsonSchema(_ROW_SCHEMA)]


class ScoreRequest(BaseModel):
    """Appointments to score, as rows of the data contract."""

    # BentoML logs validation errors with a traceback, which would hold a patient's values; its JSON parser accepts NaN.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, strict=True)

    appointments: Annotated[list[Row], Field(max_length=MOST_ROWS)]
    reasons: bool = Field(True, description="Whether to return the reasons of each risk.")

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            raise ValueError('send a JSON object such as {"appointments": [...], "reasons": true}')
        unknown = [key for key in content if key not in cls.model_fields]
        if unknown:
            raise ValueError(f"the request holds an unknown key. {_nearest(unknown[0], cls.model_fields)}")
        return content

    @field_validator("appointments", mode="before")
    @classmethod
    def _rows_are_flat(cls, rows: Any) -> Any:
        if not isinstance(rows, list):
            raise ValueError("'appointments' must be a list of rows")
        if len(rows) > MOST_ROWS:
            raise ValueError(
                f"'appointments' holds {len(rows):,} rows and may hold {MOST_ROWS:,}. Send them in parts, "
                "or score the list as a file with `dnapredict score`"
            )
        for number, row in enumerate(rows, start=1):
            _check_row(row, number)
        return rows


class ActionRequest(BaseModel):
    """The outcome of a call about one appointment of a list; the last one recorded counts.

    `after` is the `recorded_at` of the last outcome that the caller has seen, null for none. If a newer outcome
    exists, nothing is recorded and the answer is 409. Without `after` there is no such check.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    appointment_id: Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_TEXT)]
    outcome: Outcome
    after: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        None, description="The `recorded_at` of the outcome that was seen last; null for none."
    )

    barrier: Barrier | None = Field(None, description="What makes it hard to attend, as the patient says.")
    offered: Offer | None = Field(None, description="What was offered in the call.")
    call_back_at: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        None, description="When the patient asked to be called back."
    )

    @property
    def details(self) -> CallDetails:
        """What is recorded with the outcome."""
        return CallDetails(self.barrier, self.offered, self.call_back_at)

    @property
    def seen(self) -> str | None:
        """For `Actions.record`: "" where the caller has seen no outcome, None where `after` was not sent."""
        if "after" not in self.model_fields_set:
            return None
        return "" if self.after is None else self.after.isoformat()


class TableShapes:
    """The sets of columns that requests are turned into, few enough that their queries stay compiled.

    A column in which no row has a value costs a single score as much as one that has: a table of all 37 columns takes
    74 ms, one of the 20 that a caller fills 48 ms (benchmarks/prepared_queries.py). Compiling the queries for another
    set takes a third of a second, so that at most `most` sets are learned; what fits none of them takes all columns.
    """

    def __init__(self, *, most: int = 4) -> None:
        """Know the set of all columns."""
        self._shapes: tuple[frozenset[str], ...] = (frozenset(NAMES),)
        self._most = most
        self._lock = threading.Lock()

    def columns_for(self, filled: Iterable[str]) -> tuple[str, ...]:
        """Columns of the contract, in its order, among them those `filled` and those that are never left out."""
        needed = _NEVER_LEFT_OUT.union(filled)
        shape = self._smallest(needed)
        if len(shape) - len(needed) > _SPARE_COLUMNS:
            with self._lock:
                if len(self._shapes) <= self._most:
                    self._shapes += (needed,)
            shape = self._smallest(needed)
        return tuple(name for name in NAMES if name in shape)

    def _smallest(self, needed: frozenset[str]) -> frozenset[str]:
        return min((shape for shape in self._shapes if needed <= shape), key=len)


# Without these columns a list is refused as a whole, or its patients have no history.
_NEVER_LEFT_OUT: Final = frozenset({*REQUIRED, "patient_id"})
_SPARE_COLUMNS: Final = 4
_SHAPES: Final = TableShapes()


def as_table(rows: list[dict[str, Any]], *, shapes: TableShapes = _SHAPES) -> pa.Table:
    """Rows as one table of text, as read from a CSV file, so that values are parsed in one place for all inputs.

    The table has every column that a list needs, so that a missing value is an error of its row and not of the
    table, and the other columns in which a row has a value (see `TableShapes`).
    """
    filled = {name for row in rows for name, cell in row.items() if cell is not None}
    names = shapes.columns_for(filled)
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names})


def _check_row(row: Any, number: int) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"'appointments', row {number:,} is not an object")
    for name, cell in row.items():
        if name in CONTACT_NAMES:
            raise ValueError(
                f"'appointments', row {number:,} holds '{name}'. A patient's name and contact details are never "
                "needed for a risk and never accepted here: leave these columns out. To call patients, send a list as "
                "a file (POST /v1/lists)"
            )
        if name not in NAMES:
            raise ValueError(
                f"'appointments', row {number:,} holds a column that the data contract does not know. "
                + _nearest(name, NAMES)
            )
        if not _is_cell(cell):
            raise ValueError(
                f"'appointments', row {number:,}, column '{name}': expected text of at most {LONGEST_TEXT} "
                "characters, a finite number, true, false or null"
            )


def _is_cell(cell: Any) -> bool:
    if isinstance(cell, str):
        return len(cell) <= LONGEST_TEXT
    if isinstance(cell, (int, float)):
        return math.isfinite(cell) and abs(cell) <= _LARGEST_NUMBER
    return cell is None


def _nearest(name: str, known: Any) -> str:
    """A hint that never quotes the unknown name: it could be a patient's value in the place of a key."""
    near = difflib.get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}"


def _text(cell: Cell) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return None if cell is None else str(cell)
