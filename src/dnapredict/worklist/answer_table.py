"""The worklist as a table: one answer for every row that was asked about."""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.rules import sentence_of
from dnapredict.model.reasons import MOST_REASONS

_NUMBERS: Final = range(1, MOST_REASONS + 1)
REASONS: Final = tuple(f"reason_{place}" for place in _NUMBERS)
# The names of the factors behind the reasons.
FACTORS: Final = tuple(f"reason_factor_{place}" for place in _NUMBERS)
# What a file holds, in this order.
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

# When and where, by which a clerk finds an appointment on the page.
PLACES: Final = ("starts_at", "clinic_code", "site_code")

_NOTICES: Final = b"dnapredict.notices"


def worklist_table(judged: pa.Table, plan: pa.Table, rejected: pa.Table, *, model_version: str) -> pa.Table:
    """Scored rows in rank order, then rejected ones by row number, each with its sentence.

    Beside `COLUMNS` the table holds `row_number`, when and where (`PLACES`), and `FACTORS`.

    Parameters
    ----------
    judged
        What was said of each row, with its `appointment_id` and `PLACES`.
    plan
        What is to be done, row for row: `band`, `rank`, `selected`, `action`.
    """
    n = judged.num_rows
    own = ("band", "rank", "selected", "action")
    columns = {name: judged[name] for name in (ROW_NUMBER, "probability", *REASONS, *FACTORS, *PLACES)}
    columns |= {name: _plain(plan[name]) for name in own}
    columns["appointment_id"] = judged["appointment_id"].cast(pa.string())
    columns["model_version"] = pa.array([model_version] * n, pa.string())
    columns["error"] = pa.nulls(n, pa.string())
    order = pa.array(np.argsort(plan["rank"].to_numpy()))
    scored = pa.table(columns).select([*COLUMNS, *FACTORS, ROW_NUMBER, *PLACES]).take(order)
    return pa.concat_tables([scored, rejected_rows(rejected, scored.schema, model_version=model_version)])


def with_notices(worklist: pa.Table, notices: Sequence[str]) -> pa.Table:
    """The worklist with sentences for its readers, such as that the calls database was damaged."""
    return worklist.replace_schema_metadata({_NOTICES: json.dumps(list(notices))} if notices else None)


def notices_of(worklist: pa.Table) -> tuple[str, ...]:
    """The sentences for the readers of a worklist; mostly none."""
    return tuple(json.loads((worklist.schema.metadata or {}).get(_NOTICES, b"[]")))


def rejected_rows(rejected: pa.Table, schema: pa.Schema, *, model_version: str) -> pa.Table:
    """Rejected rows by row number, each with its sentence, in the columns of `schema`."""
    n = rejected.num_rows
    rows = rejected.sort_by(ROW_NUMBER)
    sentences = [f"This row {sentence_of(rule)}." for rule in rows["rule"].to_pylist()]
    known = {
        "appointment_id": rows["appointment_id"].cast(pa.string()),
        "selected": pa.array([False] * n, pa.bool_()),
        "model_version": pa.array([model_version] * n, pa.string()),
        "error": pa.array(sentences, pa.string()),
        ROW_NUMBER: pc.cast(rows[ROW_NUMBER], pa.int64()),
    }
    return pa.table({f.name: known.get(f.name, pa.nulls(n, f.type)) for f in schema})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as texts, also where equal ones were kept once."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
