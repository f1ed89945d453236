"""What an appointment's place on the worklist rests on, as arrays: risk, patient, place and day."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.worklist import WorklistConfig
from dnapredict.lists import needs
from dnapredict.lists.calendar import due

__all__ = ["NOBODY", "WEIGHED", "Standing"]

# Stands for a patient or a group that is not known.
NOBODY: Final = -1
# The contract columns that are weighed, beside what was judged.
WEIGHED: Final = (
    "imd_decile",
    "patient_id",
    "clinic_code",
    "site_code",
    "treatment_function_code",
    "starts_local",
    *needs.COLUMNS,
    "opt_out",
)


@dataclass(frozen=True)
class Standing:
    """The appointments of a list, arrays of one length in the order of the list.

    Attributes
    ----------
    decile
        IMD decile of the area, NaN where it is not known.
    patient
        A number for each patient of the list, `NOBODY` where the patient is not known.
    day
        Local day of the appointment.
    call_by
        The day by which to call.
    """

    table: pa.Table
    probability: NDArray[np.float64]
    decile: NDArray[np.float64]
    patient: NDArray[np.int64]
    day: NDArray[np.datetime64]
    call_by: NDArray[np.datetime64]

    @classmethod
    def of(cls, judged: pa.Table, *, config: WorklistConfig) -> "Standing":
        """Read it off a table with `probability` and the columns of `WEIGHED`."""
        day = judged["starts_local"].to_numpy().astype("datetime64[D]")
        before = config.call_working_days_before
        return cls(
            judged,
            probability=judged["probability"].to_numpy(),
            decile=judged["imd_decile"].cast("float64").to_numpy(),
            patient=_numbers(judged["patient_id"]),
            day=day,
            call_by=day if before is None else due(day, working_days_before=before),
        )

    def __len__(self) -> int:
        return len(self.probability)

    @cached_property
    def clinic(self) -> NDArray[np.int64]:
        """A number for each clinic."""
        return _numbers(self.table["clinic_code"])

    def is_one_of(self, column: str, codes: Sequence[str]) -> NDArray[np.bool_]:
        """Which appointments have one of these `codes` in `column`."""
        found = pc.is_in(self.table[column], value_set=pa.array(codes, pa.string()))
        return np.asarray(found.to_numpy(), dtype=bool)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Equal texts have equal numbers, and those that are missing have `NOBODY`."""
    codes = column.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.cast(pa.int64()).fill_null(NOBODY))
