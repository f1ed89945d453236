"""The outcome store of a home: one row for each scored appointment, with its risk, its calls and its outcome.

Appointments and patients are keyed hashes (HMAC-SHA-256). Groups (age, deprivation, ethnic category and others) are as
in the extract from which the outcome was read, by the names and codes of the contract.
"""

from typing import Final

import pyarrow as pa

GROUP_COLUMNS: Final = pa.schema(
    [
        ("provider_code", pa.string()),
        ("site_code", pa.string()),
        ("clinic_code", pa.string()),
        ("treatment_function_code", pa.string()),
        ("consultation_mechanism_code", pa.string()),
        ("first_attendance_code", pa.string()),
        ("age_years", pa.float64()),
        ("gender_code", pa.string()),
        ("imd_decile", pa.int64()),
        ("ethnic_category_code", pa.string()),
        ("disability_flag", pa.string()),
        ("interpreter_needed", pa.bool_()),
        ("has_mobile", pa.bool_()),
        ("plus_group", pa.string()),
    ]
)
"""The columns of the contract by which effects and alarms are reported."""

OUTCOME_SCHEMA: Final = pa.schema(
    [
        ("appointment", pa.string()),
        ("patient", pa.string()),
        # The last list with the appointment before its calls ended; a later export replaces an earlier one.
        ("list_id", pa.string()),
        ("scored_at", pa.timestamp("us")),
        ("starts_at", pa.timestamp("us")),
        ("booked_at", pa.timestamp("us")),
        ("model_version", pa.string()),
        ("probability", pa.float64()),
        ("challenger_version", pa.string()),
        ("challenger_probability", pa.float64()),
        ("rank", pa.int64()),
        # Whether the list planned a call, and the day on which it was due.
        ("selected", pa.bool_()),
        ("call_by", pa.date32()),
        # The trial that the appointment was allocated in, its stratum and its arm (codes.TRIAL_ARM); null without one.
        ("trial", pa.string()),
        ("stratum", pa.string()),
        ("trial_arm", pa.string()),
        # Calls that were recorded before the appointment, by any list; `call_outcome` is the last one's code.
        ("attempts", pa.int64()),
        ("reached", pa.bool_()),
        ("opted_out", pa.bool_()),
        ("call_outcome", pa.string()),
        ("barrier", pa.string()),
        ("offered", pa.string()),
        # From the extract; null while it is not recorded. `outcome_code` has the contract's codes.
        ("outcome_code", pa.string()),
        ("missed", pa.bool_()),
        ("recorded_at", pa.timestamp("us")),
        # `calls` or `extract`: where `contacted` came from. The extract's own value comes first.
        ("contacted", pa.bool_()),
        ("contacted_source", pa.string()),
        *((field.name, field.type) for field in GROUP_COLUMNS),
    ]
)
"""The columns of the store. Null means not known."""
