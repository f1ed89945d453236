"""Read any vendor's scores for an audit: one probability for each labelled appointment."""

from collections.abc import Sequence
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.errors import DataError, UsageError

_COLUMNS = ("appointment_id", "probability")


def vendor_scores(
    path: Path | None,
    appointment_id: pa.ChunkedArray,
    *,
    required: NDArray[np.bool_],
    known: Sequence[pa.ChunkedArray],
) -> NDArray[np.float64]:
    """The probability of each of `appointment_id`, in that order; NaN where it is not `required` and not given.

    Parameters
    ----------
    required
        Which of them must have a score: those with an outcome.
    known
        All appointments of the extract, including rejected ones and those without an outcome: their scores are
        unused, but are no sign that the file belongs to another extract.

    Raises
    ------
    DataError
        If a column is missing, an appointment is scored twice or not at all, a score belongs to an
        appointment that is not in the extract, or is not in [0, 1].
    """
    if path is None:
        raise UsageError("Give either --model or --scores.")
    with Workspace() as workspace:
        table = workspace.backend.to_pyarrow(_typed(table_file.read(path, workspace), path.name))
    _refuse(path, "a blank appointment_id", pc.is_null(table["appointment_id"]), table)
    probability = table["probability"]
    sound = pc.and_(pc.greater_equal(probability, 0), pc.less_equal(probability, 1))
    _refuse(path, "a probability that is not a number from 0 to 1", pc.invert(pc.fill_null(sound, False)), table)
    ids = table["appointment_id"].to_pandas()
    _refuse(path, "an appointment that has a score already", pa.array(ids.duplicated()), table)
    unknown = ~ids.isin(pd.concat([column.to_pandas() for column in known]))
    _refuse(path, "the score of an appointment that is not in the extract", pa.array(unknown), table)
    index = ids.reset_index().set_index("appointment_id")["index"].reindex(appointment_id.to_pandas())
    missing = int((index.isna().to_numpy() & required).sum())
    if missing:
        raise DataError(
            f"{path.name}: {missing:,} of {int(required.sum()):,} attended or missed appointments of "
            "the extract have no score. An audit that leaves some out cannot be trusted; score them all."
        )
    scores = np.full(len(index), np.nan)
    given = index.notna().to_numpy()
    scores[given] = probability.to_numpy()[index[given].to_numpy(dtype=np.int64)]
    return scores


def _typed(table: ir.Table, source: str) -> ir.Table:
    names = {name.strip().lower(): name for name in table.columns}
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise DataError(f"{source}: column '{missing[0]}' is missing. Scores need {' and '.join(_COLUMNS)}.")
    return table.select(
        ROW_NUMBER,
        appointment_id=table[names["appointment_id"]].cast("string").strip().nullif(""),
        probability=table[names["probability"]].try_cast("float64"),
    ).order_by(ROW_NUMBER)


def _refuse(path: Path, problem: str, bad: pa.ChunkedArray | pa.Array, table: pa.Table) -> None:
    rows = table[ROW_NUMBER].filter(bad).to_pylist()
    if rows:
        first = ", ".join(f"{row:,}" for row in rows[:5])
        raise DataError(f"{path.name}: {len(rows):,} rows hold {problem} (rows {first}).")
