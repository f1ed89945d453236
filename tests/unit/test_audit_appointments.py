"""What the audit refuses, in words that name columns, counts and rows and never a value."""

import pyarrow as pa
import pytest

from dnapredict.errors import DataError, NoEventsError
from dnapredict.fairness.measure.audited_appointments import AuditData

ROWS = {
    "patient": [1, 2, 3],
    "dna": [True, False, False],
    "probability": [0.2, 0.3, 0.4],
    "selected": [False, True, True],
    "starts_at": [0, 0, 0],
}


def test_a_probability_outside_0_and_1_is_refused_without_showing_it():
    with pytest.raises(DataError) as refusal:
        AuditData.of(pa.table(ROWS | {"probability": [0.2, 17.125, 0.4]}))
    expected = "audit: column 'probability' is not between 0 and 1 in 1 of 3 rows (rows 2)."
    assert str(refusal.value) == expected


@pytest.mark.parametrize("blank", [None, float("nan")])
def test_a_missing_score_is_refused(blank):
    with pytest.raises(DataError, match=r"'probability' is blank in 1 of 3 rows \(rows 3\)"):
        AuditData.of(pa.table(ROWS | {"probability": [0.2, 0.3, blank]}))


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="dna, selected are missing"):
        AuditData.of(pa.table({k: v for k, v in ROWS.items() if k not in ("dna", "selected")}))


def test_without_a_missed_appointment_there_is_nothing_to_say():
    with pytest.raises(NoEventsError):
        AuditData.of(pa.table(ROWS | {"dna": [False] * 3}))


def test_the_strict_label_leaves_out_those_who_came_late():
    table = pa.table(ROWS | {"outcome_code": ["3", "5", "7"], "dna": [True, False, True]})
    kept = AuditData.of(table).strictly_labelled()
    assert kept is not None
    assert kept.tolist() == [True, True, False]


def test_the_strict_label_leaves_out_a_missed_appointment_with_a_reason_on_the_trusts_side():
    """A letter that was never sent is no more the patient's doing than a clinic that did not see them."""
    table = pa.table(ROWS | {"trust_side_reason": [True, True, None], "dna": [True, False, True]})
    kept = AuditData.of(table).strictly_labelled()
    assert kept is not None
    assert kept.tolist() == [False, True, True]


def test_the_strict_label_is_nothing_new_where_nobody_came_late():
    assert AuditData.of(pa.table(ROWS | {"outcome_code": ["3", "5", "5"]})).strictly_labelled() is None
