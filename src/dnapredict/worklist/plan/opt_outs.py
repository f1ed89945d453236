"""Wishes not to be called, as the rows of a list state them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.worklist.plan.ranking import NOBODY


def opted_out_rows(table: pa.Table, *, refused: pa.Table) -> NDArray[np.bool_]:
    """A mask of the rows of `table` that say, or of which a refused row says, that the patient wants no call.

    Parameters
    ----------
    table
        `appointment_id`, `patient_id` and `opt_out`.
    refused
        `appointment_id` and `patient_id` of refused rows with such a wish (`Checked.opt_outs`): it counts even if
        its row cannot be scored.
    """
    is_out = pc.fill_null(table["opt_out"], False)
    for name in ("patient_id", "appointment_id"):
        values = refused[name].drop_null()
        if len(values):
            is_out = pc.or_(is_out, pc.fill_null(pc.is_in(table[name].cast(pa.string()), value_set=values), False))
    return np.asarray(is_out, dtype=bool)


def of_the_same_patients(opted_out: NDArray[np.bool_], patient: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rows of a list of every patient who opted out in one of them; `patient` is a code, `NOBODY` if unknown."""
    if not opted_out.any():
        return opted_out
    return np.asarray(opted_out | (np.isin(patient, patient[opted_out]) & (patient != NOBODY)))
