"""The statistics that model and audit share agree with scikit-learn, scipy and the formulas of their papers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score
from tests.examples import examples

from dnapredict.fairness.measure.intervals import Rate, z_of
from dnapredict.model.evaluate.logistic import between_group_variance, calibration_in_the_large, calibration_line
from dnapredict.model.evaluate.risk_metrics import auroc, log_loss

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and log odds of risks with many ties."""
    random = np.random.default_rng(seed)
    margin = np.round(random.normal(-1, 1, n), 1)
    dna = random.random(n) < 1 / (1 + np.exp(-0.8 * margin))
    dna[:2] = True, False
    return dna, margin


@given(SEEDS)
@settings(max_examples=examples(25), deadline=None)
def test_auroc_and_log_loss_are_scikit_learns(seed: int):
    dna, margin = drawn(seed)
    risk = 1 / (1 + np.exp(-margin))
    assert auroc(dna, risk) == pytest.approx(roc_auc_score(dna, risk), abs=1e-12)
    assert log_loss(dna, risk) == pytest.approx(sklearn_log_loss(dna, risk), abs=1e-12)


@given(SEEDS)
@settings(max_examples=examples(15), deadline=None)
def test_a_calibration_line_is_an_unpenalised_logistic_regression(seed: int):
    dna, margin = drawn(seed)
    line = calibration_line(dna, margin)
    fitted = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-10).fit(margin[:, None], dna)
    assert line is not None
    assert (line.slope, line.intercept) == pytest.approx((fitted.coef_[0, 0], fitted.intercept_[0]), abs=1e-6)


@given(SEEDS)
@settings(max_examples=examples(15), deadline=None)
def test_rows_that_are_counted_together_have_the_same_line(seed: int):
    """The audit fits on bins: missed of all appointments at each risk."""
    dna, margin = drawn(seed)
    values, at = np.unique(margin, return_inverse=True)
    trials, missed = np.bincount(at).astype(float), np.bincount(at, dna).astype(float)
    assert calibration_line(missed, values, trials=trials) == pytest.approx(calibration_line(dna, margin), abs=1e-7)


@given(SEEDS, st.floats(-6, 6))
@settings(max_examples=examples(25), deadline=None)
def test_the_intercept_makes_the_mean_risk_the_share_missed_however_far_off_it_is(seed: int, away: float):
    dna, margin = drawn(seed)
    shift = calibration_in_the_large(dna, margin + away)
    assert shift is not None
    assert float((1 / (1 + np.exp(-(margin + away + shift)))).mean()) == pytest.approx(dna.mean(), abs=1e-9)


@given(SEEDS, st.integers(2, 12))
@settings(max_examples=examples(25), deadline=None)
def test_the_variance_between_groups_is_the_moment_estimator(seed: int, groups: int):
    random = np.random.default_rng(seed)
    values, variances = random.normal(0, 0.3, groups), random.uniform(0.01, 0.2, groups)
    weights = 1 / variances
    q = sum(w * (v - np.average(values, weights=weights)) ** 2 for w, v in zip(weights, values, strict=True))
    expected = (q - groups + 1) / (weights.sum() - (weights**2).sum() / weights.sum())
    assert between_group_variance(values, variances).variance == pytest.approx(max(expected, 0.0), abs=1e-12)


@given(st.integers(1, 500), st.floats(0, 1))
@settings(max_examples=examples(50), deadline=None)
def test_wilsons_interval_is_scipys_where_patients_come_once(n: int, share: float):
    missed = round(share * n)
    found, scipys = Rate(missed, n).interval(z_of(0.95)), binomtest(missed, n).proportion_ci(method="wilson")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=1e-12)
