"""What is watched without an extract: the risks, calls and outcomes in the outcome store of the home."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.errors import DataError
from dnapredict.fairness.measure.audited_appointments import GROUP_COLUMNS, AuditData
from dnapredict.model.cohort import patient_codes
from dnapredict.monitoring.input_drift import InputReference
from dnapredict.monitoring.weekly_counts import weeks_of
from dnapredict.worklist.follow_up import outcome_store
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

if TYPE_CHECKING:
    from dnapredict.monitoring.alarms import AuditedLevels
    from dnapredict.monitoring.monitor_result import Watched

FIRST_WEEKS: Final = 8
"""Inputs are compared with those of so many first weeks where those of the training are not known."""

# Names for the figures are those of the contract; these are for joins, or new every week.
_NOT_INPUTS: Final = ("provider_code", "clinic_code", "plus_group")
_READ: Final = (
    *("appointment", "patient", "starts_at", "model_version", "probability", "selected", "missed", "contacted"),
    *("trial_arm", "outcome_code", *outcome_store.GROUP_COLUMNS.names),
)


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

    rows = _scored(OutcomeStore(home).read(_READ), version, timezone)
    known = pc.is_valid(rows["missed"])
    if not pc.any(known).as_py():
        raise DataError(
            f"{home}: no appointment that version {version} scored before it began has an outcome yet. Run "
            "'dnapredict outcomes EXTRACT' with an extract of a later day."
        )
    recorded = rows.filter(known)
    inputs = recorded.select([name for name in outcome_store.GROUP_COLUMNS.names if name not in _NOT_INPUTS])
    return Watched(
        outcomes=_outcomes(recorded),
        scored=rows.select(["starts_at", "probability"]),
        inputs=inputs,
        references=references_of(first_weeks(inputs, recorded["starts_at"])),
        audited=audited,
        has_inputs=np.asarray(known.to_numpy(), dtype=np.bool_),
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


def _scored(rows: pa.Table, version: str, timezone: str) -> pa.Table:
    """The appointments that the version scored, in order of time, with the clinics' clock."""
    is_scored = pc.and_(pc.equal(rows["model_version"], version), pc.is_valid(rows["probability"]))
    kept = rows.filter(pc.fill_null(is_scored, False)).sort_by(
        [("starts_at", "ascending"), ("appointment", "ascending")]
    )
    utc = pc.assume_timezone(kept["starts_at"], "UTC").cast(pa.timestamp("us", timezone))
    return _with(kept, "starts_at", pc.local_timestamp(utc))


def _outcomes(recorded: pa.Table) -> AuditData:
    table = _with(recorded, "selected", pc.fill_null(recorded["selected"], False))
    groups = [name for name in GROUP_COLUMNS if name in OUTCOME_SCHEMA.names]
    computed = {"patient": pa.array(patient_codes(table["patient"])), "dna": table["missed"]}
    kept = {name: table[name] for name in ("probability", "selected", "starts_at", *groups)}
    return AuditData.of(pa.table(computed | kept))


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
