"""From the matrix to the cohort: keep the appointments whose outcome says whether the patient came."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.features.build import Matrix
from dnapredict.features.clock import Outcomes
from dnapredict.features.matrix import LEAD_DAYS, PAST_APPOINTMENTS
from dnapredict.risk.cohort import Cohort

__all__ = ["BESIDE", "cohort_of", "labelled", "patient_codes"]

# Contract columns that a cohort is made from, beside the factors.
BESIDE = ("patient_id", "starts_at", "outcome_code")


def labelled(matrix: Matrix, *, outcomes: Outcomes) -> Matrix:
    """The appointments that were attended or missed; cancelled and future ones carry no label."""
    known = pa.array([*outcomes.dna_codes, *outcomes.came_codes])
    return Matrix(matrix.table.filter(pc.is_in(matrix.table["outcome_code"], known)), matrix.factors)


def cohort_of(matrix: Matrix, *, outcomes: Outcomes, zone: str) -> Cohort:
    """The labelled appointments of `matrix`, which must be ordered by `starts_at`, as a cohort."""
    kept = labelled(matrix, outcomes=outcomes)
    past = kept.table[PAST_APPOINTMENTS].fill_null(0).to_numpy()
    return Cohort(
        factors=kept.factors,
        matrix=kept.values,
        dna=pc.is_in(kept.table["outcome_code"], pa.array(outcomes.dna_codes)).to_numpy(),
        patient=patient_codes(kept.table["patient_id"]),
        starts_at=kept.table["starts_at"].to_numpy(),
        lead_days=kept.table[LEAD_DAYS].to_numpy().astype(np.int64),
        first_time=past == 0,
        zone=zone,
    )


def patient_codes(patient_id: pa.ChunkedArray) -> NDArray[np.int64]:
    """A whole number for each patient, and one of its own for each appointment without a patient."""
    encoded = patient_id.combine_chunks().dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = codes < 0
    codes[unknown] = len(encoded.dictionary) + np.arange(unknown.sum())
    return codes
