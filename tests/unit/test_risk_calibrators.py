"""Which calibration is chosen for a slice of appointments later than the trees'."""

import numpy as np
import pytest

from dnapredict.model.fit.calibration import choose_calibrator
from dnapredict.model.risk_model import Beta, Isotonic

N = 20_000


@pytest.fixture
def margin():
    return np.random.default_rng(1).normal(-1.5, 1.0, N)


def missed(risk):
    return np.random.default_rng(2).random(N) < risk


def chosen(risk, margin):
    return choose_calibrator(missed(risk), margin, patient=np.arange(N), seed=3)


def test_a_margin_that_is_right_is_hardly_changed(margin):
    as_given = 1 / (1 + np.exp(-margin))
    found = chosen(as_given, margin)
    assert not isinstance(found, Isotonic)
    assert found.probability(margin) == pytest.approx(as_given, abs=0.02)


def test_low_risks_that_are_told_too_high_are_bent_down_and_high_ones_left(margin):
    low, high, intercept = 1.6, 0.4, 0.5
    bent = Beta(low=low, high=high, intercept=intercept).probability(margin)
    found = chosen(bent, margin)
    assert isinstance(found, Beta)
    assert (found.low, found.high, found.intercept) == pytest.approx((low, high, intercept), abs=0.3)


def test_a_step_that_no_smooth_curve_has_needs_isotonic(margin):
    found = chosen(np.where(margin > -1.5, 0.35, 0.05), margin)
    assert isinstance(found, Isotonic)
    assert found.probability(np.array([-3.0, 0.0])) == pytest.approx([0.05, 0.35], abs=0.02)


def test_a_margin_that_tells_nothing_leaves_only_the_level(margin):
    found = chosen(np.full(N, 0.2), margin)
    assert found.probability(np.array([-4.0, 1.0])) == pytest.approx([0.2, 0.2], abs=0.03)


def test_a_margin_turned_upside_down_never_turns_the_list(margin):
    risk = chosen(1 / (1 + np.exp(margin)), margin).probability(np.sort(margin))
    assert (np.diff(risk) >= 0).all()


def test_the_appointments_of_a_single_patient_are_calibrated():
    """Was ValueError: no other patient is left to choose a calibration by."""
    margin = np.linspace(-3, 3, 200)
    dna = np.random.default_rng(1).random(200) < 1 / (1 + np.exp(-margin))
    chosen = choose_calibrator(dna, margin, patient=np.zeros(200, dtype=np.int64), seed=1)
    risk = chosen.probability(margin)
    assert np.isfinite(risk).all()
    assert (np.diff(risk) > 0).all()
