"""What inputs in use are compared with: read in parts, those of the whole extract before the test period."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dnapredict.features.matrix import Matrix
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.pipeline.audited_lists import PastLists
from dnapredict.pipeline.routine.reference_inputs import ReferenceInputs
from dnapredict.pipeline.routine.stored_outcomes import references_of

TEST_FROM = datetime.date(2026, 3, 4)  # a Wednesday, so that its week is in both periods
OUTCOMES = LabelRule(("3", "7"))
INPUTS = ("site_code", "age_years", "distance_km")


def extract(rows: int, seed: int) -> pa.Table:
    """Appointments in order of time: attended, missed, cancelled before and after they were scored, unrecorded."""
    rng = np.random.default_rng(seed)
    starts = np.sort(np.datetime64("2025-12-01T08:00", "us") + rng.integers(0, 150 * 86_400, rows).astype("m8[s]"))
    scored = starts - np.timedelta64(7, "D")
    codes = rng.choice(["5", "3", "2", "4", None], rows, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    recorded = scored + rng.integers(-5 * 86_400, 9 * 86_400, rows).astype("m8[s]")
    return pa.table(
        {
            "starts_local": pa.array(starts),
            "scored_at": pa.array(scored),
            "recorded_at": pa.array(recorded, mask=rng.random(rows) < 0.2),
            "outcome_code": pa.array(codes.tolist(), pa.string()),
            "site_code": pa.array(rng.choice(["RX1", "RX2", None], rows).tolist(), pa.string()),
            "age_years": pa.array(rng.integers(0, 99, rows), pa.int64()),
            "distance_km": pa.array(rng.gamma(2.0, 4.0, rows), mask=rng.random(rows) < 0.1),
        }
    )


def before(day: datetime.date, table: pa.Table) -> pa.Table:
    return table.filter(pc.less(table["starts_local"], pa.scalar(day).cast(pa.timestamp("us"))))


@pytest.mark.parametrize("rows", [1, 999, 1_000])
def test_references_of_parts_are_those_of_the_whole(rows: int):
    table = extract(5_000, seed=rows)
    whole = PastLists.of(Matrix(table, ()), outcomes=OUTCOMES, knows_cancellations=True).matrix.table
    earlier = whole.filter(pc.less(whole["starts_local"], pa.scalar(TEST_FROM).cast(pa.timestamp("us"))))
    with ReferenceInputs(TEST_FROM, INPUTS) as inputs:
        assert inputs.until == datetime.date(2026, 3, 9)
        for batch in before(inputs.until, table).to_batches(max_chunksize=rows):
            inputs.keep(batch)
        found = inputs.references(outcomes=OUTCOMES)
    assert found == references_of(earlier.select(INPUTS))


def test_too_few_appointments_before_the_test_period_are_no_reference():
    with ReferenceInputs(TEST_FROM, INPUTS) as inputs:
        for batch in before(inputs.until, extract(1_200, seed=1)).to_batches():
            inputs.keep(batch)
        assert inputs.references(outcomes=OUTCOMES) == {}
