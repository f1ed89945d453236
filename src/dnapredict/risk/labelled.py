"""From the matrix to the cohort: keep the appointments whose outcome says whether the patient came."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.features.build import Matrix
from dnapredict.features.clock import Outcomes
from dnapredict.features.matrix import LEAD_DAYS, PAST_APPOINTMENTS
from dnapredict.risk.cohort import SITE, Cohort, Grouping

__all__ = ["BESIDE", "GROUPINGS", "appointment_keys", "cohort_of", "labelled", "patient_codes"]

# How figures are told apart beside the populations, and the contract column that says so.
GROUPINGS = {
    "specialty": "treatment_function_code",
    SITE: "site_code",
    "mode": "consultation_mechanism_code",
}
# Contract columns that a cohort is made from, beside the factors.
BESIDE = ("patient_id", "starts_at", "outcome_code", "contacted", *GROUPINGS.values())


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
        contacted=_contacted(kept.table["contacted"]),
        appointment=appointment_keys(kept.table["appointment_id"]),
        groupings={name: _grouping(kept.table[column]) for name, column in GROUPINGS.items()},
        zone=zone,
    )


def appointment_keys(appointment_id: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A fingerprint of each appointment, by which two models' tests are paired: 64 bits of SHA-256.

    >>> first, other, again = appointment_keys(pa.chunked_array([["a", "b", "a"]]))
    >>> bool(first == again), bool(first == other)
    (True, False)
    """
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in appointment_id.to_pylist())
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def patient_codes(patient_id: pa.ChunkedArray) -> NDArray[np.int64]:
    """A whole number for each patient, and one of its own for each appointment without a patient."""
    encoded = patient_id.combine_chunks().dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = codes < 0
    codes[unknown] = len(encoded.dictionary) + np.arange(unknown.sum())
    return codes


def _contacted(column: pa.ChunkedArray) -> NDArray[np.bool_] | None:
    """Who was reached by a call; None where the extract does not say it of anybody."""
    if column.null_count == len(column):
        return None
    reached: NDArray[np.bool_] = column.fill_null(False).to_numpy().astype(np.bool_)
    return reached


def _grouping(column: pa.ChunkedArray) -> Grouping:
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Grouping(tuple(encoded.dictionary.to_pylist()), codes)
