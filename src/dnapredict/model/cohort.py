"""The cohort: appointments that were attended or missed, as arrays."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.features.matrix import LEAD_DAYS, PAST_APPOINTMENTS, Matrix
from dnapredict.features.scoring_clock import LabelRule

EVERYONE = "all"
BOOKED_1_DAY = "booked_1_day"
WEEKLY = "weekly"
FIRST_TIME = "first_time"
SITE = "site"
POPULATIONS = (EVERYONE, BOOKED_1_DAY, WEEKLY, FIRST_TIME)


Rows = NDArray[np.bool_] | NDArray[np.int64] | slice


@dataclass(frozen=True)
class CohortGroups:
    """The specialty, site or mode of each appointment.

    `names[codes[i]]` is the group of row i; code -1 is unknown.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]

    def take(self, rows: Rows) -> "CohortGroups":
        """The same names for some of the rows."""
        return CohortGroups(self.names, self.codes[rows])

    @property
    def labels(self) -> list[str | None]:
        """The name of each row's group."""
        return [None if code < 0 else self.names[code] for code in self.codes]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Appointments with a known outcome: arrays of one length n, ordered by `starts_at`.

    Parameters
    ----------
    factors : names of the columns of `matrix`
    matrix : (n, p) float64
        The agreed factors as known at each appointment's `scored_at`; NaN is "not known".
    dna : (n,) bool
        Whether the appointment was missed, by the configured label rule.
    patient : (n,) int64
        A code for each patient, by which metrics are resampled. Each row of an unknown patient has its own code.
    starts_at : (n,) datetime64[us], UTC
    lead_days : (n,) int64
        Whole local calendar days from booking to appointment.
    first_time : (n,) bool
        No past appointment of this patient was known at `scored_at`.
    contacted : (n,) bool, where the extract has the column
        The patient was reached by a validation call before the appointment, which may have
        changed its outcome.
    weight : (n,) float64, where weights are used
        Weight of each appointment when a model is fitted (see `exclude_contacted`).
    appointment : (n,) uint64, where known
        A fingerprint of each `appointment_id`, by which the tests of two models are paired.
    groupings : groups of the appointments, by name of the grouping
    zone : the clinic's time zone, in which days and weeks begin

    Raises
    ------
    ValueError
        If the arrays differ in length, the matrix has another width, or time runs backwards.
    """

    factors: tuple[str, ...]
    matrix: NDArray[np.float64]
    dna: NDArray[np.bool_]
    patient: NDArray[np.int64]
    starts_at: NDArray[np.datetime64]
    lead_days: NDArray[np.int64]
    first_time: NDArray[np.bool_]
    contacted: NDArray[np.bool_] | None = None
    weight: NDArray[np.float64] | None = None
    appointment: NDArray[np.uint64] | None = None
    groupings: Mapping[str, CohortGroups] = field(default_factory=dict)
    zone: str = "Europe/London"

    def __post_init__(self) -> None:
        """Refuse arrays that cannot belong together."""
        if self.matrix.shape != (len(self), len(self.factors)):
            raise ValueError(f"matrix is {self.matrix.shape}, not {(len(self), len(self.factors))}")
        if any(len(values) != len(self) for values in self._arrays().values()):
            raise ValueError("the arrays of a cohort must have one length")
        if (np.diff(self.starts_at) < np.timedelta64(0)).any():
            raise ValueError("a cohort must be ordered by starts_at")

    def __len__(self) -> int:
        """Appointments in the cohort."""
        return len(self.dna)

    def take(self, rows: Rows) -> "Cohort":
        """The appointments of a mask, or of sorted row numbers; a contiguous window is not copied."""
        wanted = _as_slice(rows)
        arrays: dict[str, Any] = {name: values[wanted] for name, values in self._arrays().items()}
        groupings = {name: grouping.take(wanted) for name, grouping in self.groupings.items()}
        return replace(self, **arrays, groupings=groupings)

    def without_factors(self) -> "Cohort":
        """The same appointments without their factors: enough to evaluate risks."""
        return replace(self, factors=(), matrix=np.empty((len(self), 0)))

    @property
    def sites(self) -> list[str | None] | None:
        """The site of each appointment, where the extract has sites."""
        return self.groupings[SITE].labels if SITE in self.groupings else None

    def populations(self) -> dict[str, NDArray[np.bool_]]:
        """A mask for each population whose metrics are reported.

        Same-day bookings are rarely missed and easy to predict, so that they flatter a metric over all rows; a
        weekly call list holds only what was booked a week ahead.
        """
        return {
            EVERYONE: np.ones(len(self), dtype=bool),
            BOOKED_1_DAY: self.lead_days >= 1,
            WEEKLY: self.lead_days >= 7,
            FIRST_TIME: self.first_time,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _as_slice(rows: Rows) -> Rows:
    """A contiguous mask as a slice: a window in time is one, and may be most of the matrix."""
    if isinstance(rows, slice) or rows.dtype != np.bool_ or not rows.any():
        return rows
    first, after = int(rows.argmax()), len(rows) - int(rows[::-1].argmax())
    return slice(first, after) if rows[first:after].all() else rows


# Groupings by which metrics are reported, and their contract columns.
GROUPINGS = {
    "specialty": "treatment_function_code",
    SITE: "site_code",
    "mode": "consultation_mechanism_code",
}
# Contract columns that a cohort needs besides the factors.
COHORT_COLUMNS = ("patient_id", "starts_at", "outcome_code", "contacted", *GROUPINGS.values())


def labelled(matrix: Matrix, *, outcomes: LabelRule) -> Matrix:
    """The appointments that were attended or missed; cancelled and future ones have no label."""
    known = pa.array([*outcomes.dna_codes, *outcomes.came_codes])
    return matrix.take(pc.is_in(matrix.table["outcome_code"], known).to_numpy())


def cohort_of(matrix: Matrix, *, outcomes: LabelRule, zone: str) -> Cohort:
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
    """A key of each appointment, by which two models' tests are paired: 64 bits of SHA-256.

    >>> first, other, again = appointment_keys(pa.chunked_array([["a", "b", "a"]]))
    >>> bool(first == again), bool(first == other)
    (True, False)
    """
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in appointment_id.to_pylist())
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def patient_codes(patient_id: pa.ChunkedArray) -> NDArray[np.int64]:
    """A code for each patient, and a separate one for each appointment without a patient."""
    encoded = patient_id.combine_chunks().dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = codes < 0
    codes[unknown] = len(encoded.dictionary) + np.arange(unknown.sum())
    return codes


def patient_halves(patient_id: pa.ChunkedArray, appointment_id: pa.ChunkedArray) -> NDArray[np.int8]:
    """The half of each appointment's patient, 0 or 1, by one bit of a hash of `patient_id`.

    The same patient is in the same half in every extract and every trust, whatever the order of rows, so that the
    sums over each half of nine trusts are those of their pooled rows. Without a patient the appointment decides.

    >>> patient_halves(pa.chunked_array([["a", "b", "a", None]]), pa.chunked_array([["1", "2", "3", "4"]])).tolist()
    [0, 1, 0, 1]
    """
    encoded = patient_id.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    halves: NDArray[np.int8] = np.append(_hash_bits(encoded.dictionary.to_pylist()), np.int8(0))[codes]
    unknown = codes < 0
    halves[unknown] = _hash_bits(appointment_id.filter(pa.array(unknown)).to_pylist())
    return halves


def _hash_bits(names: Sequence[str]) -> NDArray[np.int8]:
    digests = b"".join(hashlib.blake2b(str(name).encode(), digest_size=1).digest() for name in names)
    return np.frombuffer(digests, dtype=np.int8) & np.int8(1)


def _contacted(column: pa.ChunkedArray) -> NDArray[np.bool_] | None:
    """Whether a call reached the patient; None where the column is empty."""
    if column.null_count == len(column):
        return None
    reached: NDArray[np.bool_] = column.fill_null(False).to_numpy().astype(np.bool_)
    return reached


def _grouping(column: pa.ChunkedArray) -> CohortGroups:
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return CohortGroups(tuple(encoded.dictionary.to_pylist()), codes)
