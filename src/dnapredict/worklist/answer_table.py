"""The columns of a worklist: one answer for every row of the list, scored or rejected."""

import json
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.rules import sentence_of
from dnapredict.model.reasons import MOST_REASONS

_NUMBERS: Final = range(1, MOST_REASONS + 1)
REASONS: Final = tuple(f"reason_{number}" for number in _NUMBERS)
# The names of the factors behind the reasons.
FACTORS: Final = tuple(f"reason_factor_{number}" for number in _NUMBERS)
# The columns of a worklist file, in order.
COLUMNS: Final = (
    "appointment_id",
    "probability",
    "band",
    "rank",
    "selected",
    "action",
    *REASONS,
    "model_version",
    "error",
)

# Time and location, by which a clerk finds an appointment on the page.
LOCATION_COLUMNS: Final = ("starts_at", "clinic_code", "site_code")

_TYPES: Final = {
    "probability": pa.float64(),
    "rank": pa.int64(),
    "selected": pa.bool_(),
    ROW_NUMBER: pa.int64(),
    "starts_at": pa.timestamp("us"),
}
SCHEMA: Final = pa.schema(
    [(name, _TYPES.get(name, pa.string())) for name in (*COLUMNS, *FACTORS, ROW_NUMBER, *LOCATION_COLUMNS)]
)
"""All columns of a worklist in memory: those of a file, and those that the log and the page need."""

_NOTICES: Final = b"dnapredict.notices"


def scored_rows(ranked: pa.Table, *, model_version: str) -> pa.Table:
    """The scored rows, in the columns of `SCHEMA` that `ranked` has."""
    n = ranked.num_rows
    table = ranked.append_column("model_version", pa.array([model_version] * n, pa.string())).append_column(
        "error", pa.nulls(n, pa.string())
    )
    schema = pa.schema([field for field in SCHEMA if field.name in table.column_names])
    return table.select(schema.names).cast(schema)


def rejected_rows(rejected: pa.Table, schema: pa.Schema, *, model_version: str) -> pa.Table:
    """The rejected rows in the given order, each with its error, in the columns of `schema`."""
    n = rejected.num_rows
    sentences = [f"This row {sentence_of(rule)}." for rule in rejected["rule"].to_pylist()]
    known = {
        "appointment_id": rejected["appointment_id"].cast(pa.string()),
        "selected": pa.array([False] * n, pa.bool_()),
        "model_version": pa.array([model_version] * n, pa.string()),
        "error": pa.array(sentences, pa.string()),
        ROW_NUMBER: rejected[ROW_NUMBER].cast(pa.int64()),
    }
    return pa.table({field.name: known.get(field.name, pa.nulls(n, field.type)) for field in schema}, schema=schema)


def with_notices(worklist: pa.Table, notices: Sequence[str]) -> pa.Table:
    """The worklist with notices for its readers, such as that the calls database was damaged."""
    return worklist.replace_schema_metadata({_NOTICES: json.dumps(list(notices))} if notices else None)


def notices_of(worklist: pa.Table) -> tuple[str, ...]:
    """The notices for the readers of a worklist; usually none."""
    return tuple(json.loads((worklist.schema.metadata or {}).get(_NOTICES, b"[]")))
