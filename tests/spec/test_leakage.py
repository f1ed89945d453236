"""Leakage checks: when a model is too good to be true, and which factors are named.

For whoever trains or signs a model. Honest models of a whole trust have an AUROC of 0.74 to 0.77 on all appointments.
"""

import numpy as np
import pyarrow as pa
import pytest

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.model_checks import leakage_warning
from dnapredict.quality.leak_faults import list_faults

# 100 missed and 100 attended appointments. `risk` and each factor are ranked so that a missed appointment has the
# higher value in so many of 100 pairs of a missed and an attended one; a factor below 50 has the lower value.
ALARMS = """
    AUROC | limit | wait | visits | alarm | named
    0.75  | 0.80  | 0.70 | 0.60   | no    |
    0.80  | 0.80  | 0.70 | 0.60   | no    |
    0.81  | 0.80  | 0.70 | 0.60   | yes   |
    0.97  | 0.80  | 0.97 | 0.60   | yes   | wait (0.97)
    0.97  | 0.80  | 0.76 | 0.90   | yes   | visits (0.90), wait (0.76)
    0.97  | 0.80  | 0.60 | 0.05   | yes   | visits (0.95)
    0.97  | 0.98  | 0.97 | 0.60   | no    |
"""


def lines(text: str) -> list[list[str]]:
    """The cells of a table below its header."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()[1:]]


def ranked(auroc: float) -> np.ndarray:
    """Values of 100 missed and then 100 attended appointments with that AUROC."""
    above = round(100 * auroc)
    return np.concatenate([np.full(100, 2.0), np.where(np.arange(100) < above, 1.0, 3.0)])


def evaluated(**factors: float) -> Cohort:
    n = 200
    return Cohort(
        factors=tuple(factors),
        matrix=np.column_stack([ranked(auroc) for auroc in factors.values()]),
        dna=np.arange(n) < 100,
        patient=np.arange(n),
        starts_at=np.full(n, np.datetime64("2025-03-03T10:00", "us")),
        lead_days=np.full(n, 10),
        first_time=np.full(n, True),
    )


@pytest.mark.parametrize(("auroc", "limit", "wait", "visits", "alarm", "named"), lines(ALARMS))
def test_an_auroc_above_the_limit_is_an_alarm_that_names_the_strongest_factors(
    auroc, limit, wait, visits, alarm, named
):
    cohort = evaluated(wait=float(wait), visits=float(visits))
    found = leakage_warning(cohort, ranked(float(auroc)), above=float(limit))
    assert ("yes" if found else "no") == alarm
    assert (f"Highest AUROC alone: {named}." in found) if named else ("Highest AUROC" not in found)


# An extract and the lists that were drawn a week before its appointments: 1,000 appointments, 100 of them missed.
# In so many missed and attended ones the column of the extract differs from the list.
CHANGES = """
    column               | missed | attended | stops | what is said
    has_mobile           | 0      | 0        |       |
    has_mobile           | 10     | 90       |       |
    has_mobile           | 30     | 0        | yes   | has_mobile has changed since the list in 30 of 1,000 appointments, and 100 in 100 of these were missed (10 in 100 of all)
    has_mobile           | 15     | 0        | no    | has_mobile has changed since the list in 15 of 1,000 appointments, and 100 in 100
    has_mobile           | 0      | 300      | yes   | has_mobile has changed since the list in 300 of 1,000 appointments, and 0 in 100
    clinic_code          | 30     | 0        | yes   | clinic_code has changed
    times_rescheduled    | 30     | 0        | yes   | times_rescheduled has changed
    ethnic_category_code | 0      | 300      | no    | groups of the audit would depend on the outcome
    recorded_at          | 100    | 0        |       |
"""
VALUES = {
    "has_mobile": ("yes", None),
    "clinic_code": ("ENT", "ENT-DNA"),
    "times_rescheduled": ("0", "1"),
    "ethnic_category_code": (None, "A"),
    "recorded_at": (None, "2025-03-05 10:00"),
}


@pytest.mark.parametrize(("column", "missed", "attended", "stops", "said"), lines(CHANGES))
def test_a_column_that_changes_with_the_outcome_after_the_list_was_drawn_is_named(
    column, missed, attended, stops, said
):
    before, after = VALUES[column]
    changed = [*range(int(missed)), *range(100, 100 + int(attended))]
    now = [after if row in set(changed) else before for row in range(1_000)]
    with Workspace() as workspace:
        extract = contract(workspace, outcome_code=["3"] * 100 + ["5"] * 900, **{column: now})
        drawn = contract(workspace, **{column: [before] * 1_000})
        faults = list_faults(extract, [drawn, drawn], workspace, config=TrainingConfig(), rule=rule())
    assert [("yes" if fault.stops else "no") for fault in faults] == ([stops] if stops else [])
    assert said in " ".join(f"{fault.found} {fault.action}" for fault in faults)


def contract(workspace: Workspace, **columns: list[str | None]) -> Checked:
    """1,000 appointments of as many patients, checked against the contract."""
    count = 1_000
    rows = {
        "appointment_id": [f"a{n}" for n in range(count)],
        "booked_at": ["2025-01-02 10:00"] * count,
        "starts_at": ["2025-03-03 10:00"] * count,
        **columns,
    }
    cells = {name: pa.array(values, pa.string()) for name, values in rows.items()}
    table = workspace.keep(pa.table({"row_number": pa.array(range(2, count + 2), pa.int64())} | cells))
    return contract_check.check(table, workspace, source="extract", future=True)


def rule():
    return load(shipped("fairness/policy.toml"), Policy).disclosure
