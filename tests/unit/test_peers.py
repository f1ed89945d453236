"""How another program's risks are paired with ours, before any of it is believed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.peers import Scores, theirs, verdict

from dnapredict.model.cohort import Cohort, appointment_keys
from dnapredict.model.evaluate import metric_intervals
from dnapredict.model.evaluate.metric_intervals import PairedDifference


@pytest.fixture
def mine() -> metric_intervals.HoldoutRisks:
    names = ["a", "b", "c"]
    cohort = Cohort(
        factors=(),
        matrix=np.empty((3, 0)),
        dna=np.array([True, False, False]),
        patient=np.arange(3),
        starts_at=np.array(["2016-05-30"] * 3, dtype="datetime64[us]"),
        lead_days=np.zeros(3, dtype=np.int64),
        first_time=np.zeros(3, dtype=bool),
        appointment=appointment_keys(pa.chunked_array([names])),
    )
    return metric_intervals.HoldoutRisks(cohort, np.full(3, 0.2))


def scores(tmp_path: Path, *lines: str) -> Scores:
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["appointment_id,probability", *lines]) + "\n", encoding="utf-8")
    return Scores("a peer", 1, path)


def test_risks_are_paired_by_identifier_and_not_by_row(mine: metric_intervals.HoldoutRisks, tmp_path: Path):
    found = theirs(scores(tmp_path, "c,0.3", "d,0.9", "a,0.1", "b,0.2"), mine)
    assert found.probability.tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["a,0.1", "b,0.2"], "1 of 3 tested appointments have no risk"),
        (["a,0.1", "b,0.2", "c,1.3"], "1 of 3 tested appointments have no risk"),
        (["a,0.1", "b,0.2", "c,"], "1 of 3 tested appointments have no risk"),
        (["a,0.1", "b,0.2", "c,0.3", "c,0.3"], "stands there twice"),
    ],
)
def test_risks_that_do_not_fit_are_refused(
    mine: metric_intervals.HoldoutRisks, tmp_path: Path, lines: list[str], complaint: str
):
    with pytest.raises(SystemExit, match=complaint):
        theirs(scores(tmp_path, *lines), mine)


def test_a_lower_log_loss_and_a_higher_auroc_are_better():
    assert verdict("auroc", PairedDifference(0.01, 0.002, 0.02)) == "yes, better"
    assert verdict("log_loss", PairedDifference(-0.01, -0.02, -0.002)) == "yes, better"
    assert verdict("log_loss", PairedDifference(0.01, 0.002, 0.02)) == "yes, worse"
    assert verdict("auroc", PairedDifference(0.01, -0.002, 0.02)) == "no"


def test_a_name_may_hold_spaces_and_colons():
    assert Scores.parse("A peer: trees:7=x/y.csv") == Scores("A peer: trees", 7, Path("x/y.csv"))
