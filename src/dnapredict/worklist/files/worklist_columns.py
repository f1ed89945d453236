"""The columns of a worklist: of its file, of its sheets, and those that the log and the page need beside them."""

from typing import Final

import pyarrow as pa

from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.model.reasons import MOST_REASONS

_NUMBERS: Final = range(1, MOST_REASONS + 1)
REASONS: Final = tuple(f"reason_{number}" for number in _NUMBERS)
# The names of the factors behind the reasons.
FACTORS: Final = tuple(f"reason_factor_{number}" for number in _NUMBERS)
OUTCOME: Final = "outcome"
"""The column of a worklist in which somebody fills in what became of a call."""
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

# The patient's needs that the plan took account of, as names of `config.needs_config.Need` with blanks between.
NEEDS_COLUMN: Final = "needs"
FIFTH: Final = "imd_fifth"
"""The fifth of deprivation (IMD) of the patient's area, 1 the most deprived: for counts of a week, on no page."""

_TYPES: Final = {
    FIFTH: pa.int64(),
    "probability": pa.float64(),
    "rank": pa.int64(),
    "selected": pa.bool_(),
    ROW_NUMBER: pa.int64(),
    "starts_at": pa.timestamp("us"),
}
_ALL: Final = (*COLUMNS, *FACTORS, ROW_NUMBER, *LOCATION_COLUMNS, NEEDS_COLUMN, FIFTH)
SCHEMA: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _ALL])
"""All columns of a worklist in memory: those of a file, and those that the log and the page need."""
