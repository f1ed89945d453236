"""Replace one row of a kept list by its corrected version, with its rank among the other rows."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.service.api.list_columns import cell_words, wrong_cells
from dnapredict.worklist.files.kept_list import ERROR_CELL, KeptList
from dnapredict.worklist.files.unscored_rows import UnscoredRows

_REPEATED = "This row repeats an appointment_id of an earlier row."


def unscored_line(kept: KeptList, line: int) -> int | None:
    """The number in its file of the row on a line of the list; None unless the row could not be scored."""
    if not 1 <= line <= kept.worklist.num_rows or ROW_NUMBER not in kept.worklist.column_names:
        return None
    row: dict[str, Any] = kept.worklist.select([ROW_NUMBER, "error"]).slice(line - 1, 1).to_pylist()[0]
    return None if row["error"] is None else row[ROW_NUMBER]


def with_row(
    kept: KeptList, line: int, answer: pa.Table, *, unscored: UnscoredRows, unselected_action: str
) -> KeptList:
    """The list with a new result on one line, ranked by its risk among the other rows.

    Parameters
    ----------
    answer
        The row as a list of its own, with one call.
    unscored
        The row as it was sent.
    unselected_action
        What is offered without a call.
    """
    row = _row_of(answer, kept)
    if row["error"] is None and _is_elsewhere(kept, line, row["appointment_id"]):
        row |= dict.fromkeys(("probability", "band", "rank", "action"), None)
        row |= {"error": _REPEATED, "selected": False}
    if row["error"] is None:
        row |= _place(kept, row, unselected_action=unselected_action)
    else:
        cells = wrong_cells(row["error"], unscored.columns, unscored.mapping)
        row[ERROR_CELL] = cell_words(row[ROW_NUMBER], cells)
    own = pa.Table.from_pylist([row], schema=kept.worklist.schema.remove_metadata())
    parts = [kept.worklist.slice(0, line - 1), own, kept.worklist.slice(line)]
    worklist = pa.concat_tables(part.replace_schema_metadata(None) for part in parts).unify_dictionaries()
    return kept.with_rows(worklist)


def _row_of(answer: pa.Table, kept: KeptList) -> dict[str, Any]:
    found: dict[str, Any] = answer.to_pylist()[0]
    return {name: found.get(name) for name in kept.worklist.column_names}


def _is_elsewhere(kept: KeptList, line: int, appointment_id: str) -> bool:
    places = pc.indices_nonzero(pc.fill_null(pc.equal(kept.worklist["appointment_id"], appointment_id), False))
    return any(place != line - 1 for place in places.to_pylist())


def _place(kept: KeptList, row: dict[str, Any], *, unselected_action: str) -> dict[str, Any]:
    """Rank and selection of the row among the other rows, whose printed ranks do not change."""
    scored = kept.worklist.filter(pc.is_null(kept.worklist["error"]))
    risk = row["probability"]
    if risk is None:  # a trial runs: a row that is scored alone gets no call
        return {"rank": scored.num_rows + 1, "selected": False, "action": row["action"], ERROR_CELL: None}
    called = scored.filter(pc.fill_null(scored["selected"], False))["probability"]
    lowest = pc.min(called).as_py()
    is_called = bool(row["selected"]) and (lowest is None or risk >= lowest)
    return {
        "rank": 1 + int(pc.sum(pc.greater(scored["probability"], risk)).as_py() or 0),
        "selected": is_called,
        "action": row["action"] if is_called or not row["selected"] else unselected_action,
        ERROR_CELL: None,
    }
