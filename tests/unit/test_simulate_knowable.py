"""The best that could be known of a synthetic appointment, held against the truth."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dnapredict.model.evaluate.risk_metrics import log_loss
from dnapredict.synthetic.simulation import simulate
from dnapredict.synthetic.worlds import World


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory):
    return made(tmp_path_factory.mktemp("knowable"))


def made(folder: Path, *, world: World = World()):  # noqa: B008 (frozen)
    """Truth and appointments of those that took place, as two tables."""
    simulate(folder / "a.parquet", appointments=40_000, seed=4, truth=folder / "t.parquet", world=world)
    rows, truth = (pq.read_table(folder / name).to_pandas() for name in ("a.parquet", "t.parquet"))
    took_place = rows.outcome_code.isin(["3", "5", "6", "7"])
    return rows[took_place], truth[took_place]


def test_it_is_right_on_average_among_those_told_alike(board):
    _, truth = board
    known, true = truth.knowable_probability.to_numpy(), truth.recorded_probability.to_numpy()
    order = np.argsort(known)
    for tenth in np.array_split(order, 10):
        noise = true[tenth].std() / np.sqrt(len(tenth))
        assert known[tenth].mean() == pytest.approx(true[tenth].mean(), abs=3.5 * noise, rel=0.03)


def test_it_tells_more_than_the_base_rate_and_less_than_the_truth(board):
    rows, truth = board
    missed = rows.outcome_code.isin(["3", "7"]).to_numpy()
    base, known, true = (
        log_loss(missed, risk)
        for risk in (
            np.full(len(missed), missed.mean()),
            truth.knowable_probability.to_numpy(),
            truth.recorded_probability.to_numpy(),
        )
    )
    assert true < known < base


def test_of_a_first_visit_it_knows_nothing_of_the_tendency(board):
    """Told alike by everything else, patients differ in truth and not in what could be known."""
    rows, truth = board
    first = (~rows.patient_id.duplicated()).to_numpy()
    known, true = np.log(truth.knowable_probability[first]), np.log(truth.recorded_probability[first])
    assert known.std() < 0.8 * true.std()
    later = np.log(truth.knowable_probability[~first])
    assert later.std() > 1.1 * known.std()
