"""What is watched without an extract: the risks, calls and outcomes in the outcome store of the home."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.errors import DataError
from dnapredict.fairness.measure.audited_appointments import GROUP_COLUMNS, AuditData
from dnapredict.monitoring.input_drift import InputReference
from dnapredict.monitoring.weekly_counts import in_settled_weeks, weeks_of
from dnapredict.worklist.follow_up import outcome_store
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

if TYPE_CHECKING:
    from dnapredict.monitoring.alarms import AuditedLevels
    from dnapredict.monitoring.monitor_result import Watched

FIRST_WEEKS: Final = 8
"""Inputs are compared with those of so many first weeks where those of the training are not known."""

# Names for the figures are those of the contract; these are for joins, or new every week.
_NOT_INPUTS: Final = ("provider_code", "clinic_code", "plus_group")
_INPUTS: Final = tuple(name for name in outcome_store.GROUP_COLUMNS.names if name not in _NOT_INPUTS)
_GROUPS: Final = tuple(name for name in GROUP_COLUMNS if name in OUTCOME_SCHEMA.names)
_RISKS: Final = ("starts_at", "probability")
_READ: Final = tuple(
    dict.fromkeys((*_RISKS, "patient", "model_version", "selected", "missed", "outcome_code", *_GROUPS, *_INPUTS)),
)
_RECORDED: Final = "is_recorded"
# Characters of a patient's hash that tell patients apart: 64 bits, which of 10,000,000 patients two share with a
# probability of 3 in 1,000,000.
_PREFIX: Final = 16


def stored_outcomes(home: Path, version: str, *, timezone: str, audited: "AuditedLevels") -> "Watched":
    """The appointments that this version scored, with the outcomes that came back.

    Inputs are those in the extract from which an outcome was read, compared with those of the first weeks.

    Raises
    ------
    StoreError
        If there is no outcome store, or it is damaged.
    DataError
        If no appointment that this version scored has an outcome.
    """
    from dnapredict.monitoring.monitor_result import Watched

    scored, recorded, is_known = _in_settled_weeks(*_read(OutcomeStore(home), version, timezone))
    if not is_known.any():
        raise DataError(
            f"{home}: no appointment that version {version} scored before it began has an outcome yet. Run "
            "'dnapredict outcomes EXTRACT' with an extract of a later day."
        )
    inputs = recorded.select(_INPUTS)
    return Watched(
        outcomes=_outcomes(recorded),
        scored=scored,
        inputs=inputs,
        references=references_of(first_weeks(inputs, recorded["starts_at"])),
        audited=audited,
        has_inputs=is_known,
    )


def first_weeks(table: pa.Table, starts_at: pa.ChunkedArray) -> pa.Table:
    """The rows of the first `FIRST_WEEKS` weeks."""
    _, week = weeks_of(starts_at)
    return table.filter(pa.array(week < FIRST_WEEKS))


def references_of(table: pa.Table) -> dict[str, InputReference]:
    """The reference of each column that has a value."""
    return {
        name: InputReference.of(table[name]) for name in table.column_names if table[name].null_count < table.num_rows
    }


def _read(store: OutcomeStore, version: str, timezone: str) -> tuple[pa.Table, pa.Table, NDArray[np.bool_]]:
    """The risks of all appointments that the version scored and whether their outcome is recorded, the columns of those
    that were attended or missed, and which those are.

    The store is read in parts, and only what is counted is kept: of ten million rows, whole rows would take 6 GB.
    """
    store.verify()
    scored, recorded, is_known = [], [], []
    for part in itertools.chain([OUTCOME_SCHEMA.empty_table().select(_READ)], store.batches(_READ)):
        rows = _scored(part, version, timezone)
        known = pc.is_valid(rows["missed"])
        is_recorded = pc.or_(known, pc.is_valid(rows["outcome_code"]))
        scored.append(rows.select(_RISKS).append_column(_RECORDED, is_recorded))
        recorded.append(_with_patient_numbers(rows.filter(known)))
        is_known.append(np.asarray(known.to_numpy(), dtype=np.bool_))
    return pa.concat_tables(scored), pa.concat_tables(recorded), np.concatenate(is_known)


def _in_settled_weeks(
    scored: pa.Table, recorded: pa.Table, is_known: NDArray[np.bool_]
) -> tuple[pa.Table, pa.Table, NDArray[np.bool_]]:
    """The same without the outcomes of the last weeks, of which too many are still to come."""
    is_recorded = np.asarray(scored[_RECORDED].to_numpy(), dtype=np.bool_)
    risks = scored.drop_columns([_RECORDED])
    if not is_known.any():
        return risks, recorded, is_known
    _, week = weeks_of(risks["starts_at"])
    settled = in_settled_weeks(week, recorded=is_recorded, probability=risks["probability"].to_numpy())
    return risks, recorded.filter(pa.array(settled[is_known])), is_known & settled


def _scored(rows: pa.Table, version: str, timezone: str) -> pa.Table:
    """The appointments that the version scored, with the clinics' clock."""
    is_scored = pc.and_(pc.equal(rows["model_version"], version), pc.is_valid(rows["probability"]))
    kept = rows.filter(pc.fill_null(is_scored, False)).drop_columns(["model_version"])
    utc = pc.assume_timezone(kept["starts_at"], "UTC").cast(pa.timestamp("us", timezone))
    return _with(kept, "starts_at", pc.local_timestamp(utc))


def _with_patient_numbers(rows: pa.Table) -> pa.Table:
    """A number for each patient in place of the hash, null where there is no patient."""
    first = pc.binary_slice(rows["patient"].cast(pa.binary()), 0, _PREFIX)
    halves = np.array(pc.fill_null(first, b"").to_pylist(), dtype=f"S{_PREFIX}").view(np.uint64).reshape(-1, 2)
    # An odd factor, since the two halves of a hash in hexadecimal have the same sixteen characters.
    mixed = halves[:, 0] ^ (halves[:, 1] * np.uint64(0x9E3779B97F4A7C15))
    number = pa.array(mixed, mask=np.asarray(rows["patient"].is_null().to_numpy(), dtype=np.bool_))
    return _with(rows, "patient", pa.chunked_array([number], pa.uint64()))


def _outcomes(recorded: pa.Table) -> AuditData:
    selected = pc.fill_null(recorded["selected"], False)
    computed = {"patient": _patient_codes(recorded["patient"]), "dna": recorded["missed"], "selected": selected}
    kept = {name: recorded[name] for name in (*_RISKS, *_GROUPS)}
    return AuditData.of(pa.table(computed | kept))


def _patient_codes(numbers: pa.ChunkedArray) -> pa.Array:
    """A code for each patient, and a separate one for each appointment without a patient."""
    found, code = np.unique(pc.fill_null(numbers, 0).to_numpy(), return_inverse=True)
    unknown = np.asarray(numbers.is_null().to_numpy(), dtype=np.bool_)
    code = code.reshape(-1).astype(np.int64)
    code[unknown] = len(found) + np.arange(int(unknown.sum()))
    return pa.array(code)


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
