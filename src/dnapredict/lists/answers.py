"""The worklist as a table: one answer for every row that was asked about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.rules import sentence_of
from dnapredict.risk.reasons import Reason

__all__ = ["COLUMNS", "MOST_REASONS", "PLACES", "Answers", "worklist_table"]

MOST_REASONS: Final = 3
# What a file holds, in this order.
COLUMNS: Final = (
    "appointment_id",
    "probability",
    "band",
    "rank",
    "selected",
    "action",
    *(f"reason_{place}" for place in range(1, MOST_REASONS + 1)),
    "model_version",
    "error",
)

# When and where, by which a clerk finds an appointment on the page.
PLACES: Final = ("starts_at", "clinic_code", "site_code")


@dataclass(frozen=True)
class Answers:
    """Scored rows, arrays of one length."""

    row_number: pa.ChunkedArray
    appointment_id: pa.ChunkedArray
    probability: NDArray[np.float64]
    band: Sequence[str]
    rank: NDArray[np.int64]
    selected: NDArray[np.bool_]
    reasons: Sequence[tuple[Reason, ...]]
    action: Sequence[str]
    places: Mapping[str, pa.ChunkedArray]


def worklist_table(answers: Answers, rejected: pa.Table, *, model_version: str) -> pa.Table:
    """Scored rows in rank order, then rejected ones by row number, each with its sentence.

    Beside `COLUMNS` the table holds `row_number`, when and where (`PLACES`), and `reason_factor_1` to
    `_3`, the names of the factors behind the reasons.
    """
    scored = _scored(answers, model_version)
    table = pa.concat_tables([scored, _rejected(rejected, scored.schema, model_version)])
    return table.select([*COLUMNS, *(n for n in table.column_names if n not in COLUMNS)])


def _scored(answers: Answers, model_version: str) -> pa.Table:
    n = len(answers.probability)
    columns = {
        "appointment_id": answers.appointment_id.cast(pa.string()),
        "probability": pa.array(answers.probability, pa.float64()),
        "band": pa.array(answers.band, pa.string()),
        "rank": pa.array(answers.rank, pa.int64()),
        "selected": pa.array(answers.selected, pa.bool_()),
        "action": pa.array(answers.action, pa.string()),
        **_reasons(answers.reasons),
        "model_version": pa.array([model_version] * n, pa.string()),
        "error": pa.nulls(n, pa.string()),
        ROW_NUMBER: answers.row_number.cast(pa.int64()),
        **answers.places,
    }
    return pa.table(columns).take(pa.array(np.argsort(answers.rank)))


def _reasons(reasons: Sequence[tuple[Reason, ...]]) -> dict[str, pa.Array]:
    columns = {}
    for place in range(MOST_REASONS):
        told = [row[place] if len(row) > place else None for row in reasons]
        columns[f"reason_{place + 1}"] = pa.array([r.text if r else None for r in told], pa.string())
        columns[f"reason_factor_{place + 1}"] = pa.array([r.factor if r else None for r in told], pa.string())
    return columns


def _rejected(rejected: pa.Table, schema: pa.Schema, model_version: str) -> pa.Table:
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
