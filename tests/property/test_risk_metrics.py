"""Rules that every figure keeps, whatever the data."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from dnapredict.model.evaluate.risk_metrics import compute_metrics, ppv_at_capacity, reach_at_capacity
from dnapredict.model.fit.calibration import fit_platt

PAIRS = st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=1, max_size=60)


def arrays(pairs: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([missed for missed, _ in pairs]), np.array([risk for _, risk in pairs])


@given(PAIRS)
def test_figures_agree_with_scikit_learn(pairs):
    dna, risk = arrays(pairs)
    found = compute_metrics(dna, risk)
    assert np.isclose(found.brier, brier_score_loss(dna, risk, labels=[False, True]))
    assert np.isclose(found.log_loss, sklearn_log_loss(dna, risk, labels=[False, True]))


@given(PAIRS)
def test_longer_lists_reach_no_fewer_and_the_longest_reaches_everyone(pairs):
    dna, risk = arrays([*pairs, (True, 0.5)])
    reached = [reach_at_capacity(dna, risk, capacity=k) for k in range(1, len(dna) + 1)]
    assert (np.diff(reached) >= 0).all()
    assert reached[-1] == 1


@given(PAIRS)
def test_reach_and_ppv_count_the_same_people(pairs):
    dna, risk = arrays([*pairs, (True, 0.5)])
    for capacity in range(1, len(dna) + 1):
        found = reach_at_capacity(dna, risk, capacity=capacity) * dna.sum()
        assert np.isclose(found, ppv_at_capacity(dna, risk, capacity=capacity) * capacity)


@given(PAIRS)
def test_calibration_never_changes_the_order(pairs):
    dna, risk = arrays(pairs)
    margin = np.sort(10 * risk)
    assert (np.diff(fit_platt(dna, margin).probability(margin)) >= 0).all()


@given(PAIRS)
def test_calibrated_risks_foretell_as_many_as_missed(pairs):
    dna, risk = arrays([*pairs, (True, 0.3), (False, 0.6)])
    margin = np.log(risk / (1 - risk))
    platt = fit_platt(dna, margin)
    assert np.isclose(platt.probability(margin).sum(), dna.sum(), atol=1e-4)
