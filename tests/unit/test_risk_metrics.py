"""What the figures say, on cases small enough to work out by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from dnapredict.errors import NoEventsError
from dnapredict.model.evaluate.logistic import calibration_in_the_large, calibration_line, log_odds
from dnapredict.model.evaluate.risk_metrics import compute_metrics, ppv_at_capacity, reach_at_capacity
from dnapredict.model.fit.calibration import fit_platt

NOBODY = np.array([False, False, False])
RISKS = np.array([0.1, 0.2, 0.3])


def outcomes(risk: np.ndarray, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(len(risk)) < risk


def test_a_population_without_appointments_has_n_and_nothing_else():
    found = compute_metrics(np.zeros(0, dtype=bool), np.zeros(0)).as_dict()
    assert found.pop("n") == 0
    assert set(found.values()) == {None}


def test_where_nobody_missed_only_what_needs_no_missed_appointment_is_given():
    found = {name for name, value in compute_metrics(NOBODY, RISKS).as_dict().items() if value is not None}
    assert found == {"n", "base_rate", "brier", "log_loss", "ppv_at_10"}


def test_the_figures_have_exactly_the_published_names():
    assert list(compute_metrics(NOBODY, RISKS).as_dict()) == [
        *("n", "base_rate", "auroc", "average_precision", "brier", "log_loss"),
        *("calibration_slope", "calibration_intercept", "sensitivity_at_10", "ppv_at_10"),
    ]


@pytest.mark.parametrize("decimals", [1, 2, 12], ids=["many ties", "some ties", "no ties"])
def test_auroc_and_average_precision_are_scikit_learns(decimals: int):
    risk = np.round(np.random.default_rng(5).beta(2, 8, 3_000), decimals)
    dna = outcomes(risk)
    found = compute_metrics(dna, risk)
    assert found.auroc == pytest.approx(roc_auc_score(dna, risk), abs=1e-12)
    assert found.average_precision == pytest.approx(average_precision_score(dna, risk), abs=1e-12)


def test_true_risks_have_slope_one_and_intercept_nought():
    risk = np.random.default_rng(1).beta(2, 8, 200_000)
    found = compute_metrics(outcomes(risk), risk)
    assert found.calibration_slope == pytest.approx(1, abs=0.02)
    assert found.calibration_intercept == pytest.approx(0, abs=0.02)


def test_risks_twice_as_far_apart_as_the_truth_have_slope_one_half():
    margin = np.random.default_rng(2).normal(-1, 1, 200_000)
    dna = outcomes(1 / (1 + np.exp(-margin)))
    line = calibration_line(dna, 2 * margin)
    assert line is not None
    assert line.slope == pytest.approx(0.5, abs=0.01)


def test_the_line_is_the_one_scikit_learn_finds():
    margin = np.random.default_rng(3).normal(size=2_000)
    dna = outcomes(1 / (1 + np.exp(-margin)))
    line = calibration_line(dna, margin)
    known = LogisticRegression(C=np.inf, tol=1e-10).fit(margin[:, None], dna)
    assert line is not None
    assert line.slope == pytest.approx(known.coef_[0, 0], abs=1e-5)
    assert line.intercept == pytest.approx(known.intercept_[0], abs=1e-5)


def test_a_certain_mistake_keeps_every_figure_finite():
    found = compute_metrics(np.array([True, False, True]), np.array([0.0, 1.0, 0.5])).as_dict()
    assert all(np.isfinite(value) for value in found.values() if value is not None)


def test_no_line_where_one_outcome_is_missing_or_the_margin_says_nothing_or_all():
    margin = np.array([0.1, 0.2, 0.3, 0.4])
    assert calibration_line(np.array([True] * 4), margin) is None
    assert calibration_line(np.array([True, False, True, False]), np.ones(4)) is None
    assert calibration_line(np.array([False, False, True, True]), margin) is None
    assert calibration_in_the_large(np.array([True] * 4), margin) is None


def test_a_slice_that_would_turn_the_list_upside_down_only_sets_the_level():
    margin = np.linspace(-2, 2, 1_000)
    platt = fit_platt(outcomes(1 / (1 + np.exp(margin))), margin)
    assert platt.slope == 1
    assert (np.diff(platt.probability(margin)) > 0).all()


def test_reach_of_nobody_is_refused():
    with pytest.raises(NoEventsError, match="nobody in this group missed"):
        reach_at_capacity(NOBODY, RISKS, capacity=1)


def test_ties_are_broken_by_position():
    dna, even = np.array([True, False, False, True]), np.full(4, 0.5)
    assert reach_at_capacity(dna, even, capacity=1) == 0.5
    assert ppv_at_capacity(dna, even, capacity=3) == pytest.approx(1 / 3)


def test_the_level_is_right_after_the_intercept_is_added():
    margin = np.random.default_rng(4).normal(-3, 1, 5_000)
    dna = outcomes(1 / (1 + np.exp(-margin - 0.7)))
    shift = calibration_in_the_large(dna, margin)
    assert shift is not None
    assert (1 / (1 + np.exp(-margin - shift))).mean() == pytest.approx(dna.mean(), abs=1e-9)


def test_log_odds_of_certainty_are_finite():
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
