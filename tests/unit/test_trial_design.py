"""The size of a trial: the formula against simulated trials, published figures and its own limits."""

import numpy as np
import pytest
from scipy.stats import norm

from dnapredict.errors import DataError
from dnapredict.trial.trial_design import (
    FEWEST_MISSED,
    TrialInputs,
    design_effect,
    detectable_relative_risk,
    intracluster_correlation,
    power_of,
    relative_risk_of_reached,
    size_for,
)

TRIALS = 20_000


def share_found(called: int, held_out: int, *, missed: float, relative_risk: float, critical: float) -> float:
    """The share of simulated trials whose difference is beyond `critical` standard errors, the arms not pooled."""
    draw = np.random.default_rng(3)
    one = draw.binomial(called, missed * relative_risk, TRIALS) / called
    other = draw.binomial(held_out, missed, TRIALS) / held_out
    error = np.sqrt(one * (1 - one) / called + other * (1 - other) / held_out)
    return float((np.abs(one - other) > critical * error).mean())


@pytest.mark.parametrize("missed", [0.12, 0.25, 0.4])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("relative_risk", [0.61, 0.85])
def test_the_planned_size_finds_the_effect_in_80_of_100_trials(missed: float, share: float, relative_risk: float):
    inputs = TrialInputs(calls_a_week=80, share_missed=missed, share_held_out=share)
    size = size_for(inputs, relative_risk)
    found = share_found(
        size.called, size.held_out, missed=missed, relative_risk=relative_risk, critical=inputs.critical
    )
    # The test is a little liberal or conservative where one arm is small.
    assert found == pytest.approx(0.8, abs=0.035)


@pytest.mark.parametrize("design", [1.0, 1.5])
def test_a_large_effect_is_planned_with_enough_missed_appointments_to_claim_it(design: float):
    inputs = TrialInputs(calls_a_week=80, share_missed=0.25, share_held_out=0.5, design_effect=design)
    size = size_for(inputs, 0.3)
    missed = size.called * 0.25 * 0.3
    assert norm.sf((FEWEST_MISSED - missed) / np.sqrt(design * missed)) == pytest.approx(0.99, abs=0.001)
    assert detectable_relative_risk(inputs, weeks=0.8) is None  # what chance explains, and too few to claim


def test_calls_that_do_nothing_are_found_in_at_most_5_of_100_trials():
    inputs = TrialInputs(calls_a_week=80, share_missed=0.25, share_held_out=0.2)
    assert share_found(900, 225, missed=0.25, relative_risk=1, critical=inputs.critical) <= 0.05


def test_patients_with_several_appointments_need_the_design_effect():
    """Simulated patients with two appointments, alike by the correlation that the design effect assumes."""
    correlation, draw = 0.3, np.random.default_rng(5)
    inputs = TrialInputs(
        calls_a_week=80, share_missed=0.25, share_held_out=0.5, design_effect=design_effect(np.full(9, 2), correlation)
    )
    size = size_for(inputs)
    patients = size.held_out // 2
    differences = [
        _mean_missed(draw, patients, 0.25, correlation) - _mean_missed(draw, patients, 0.25 * 0.61, correlation)
        for _ in range(4_000)
    ]
    error = np.std(differences)
    assert np.mean(np.array(differences) > norm.ppf(1 - 0.0225) * error) == pytest.approx(0.8, abs=0.04)


def _mean_missed(draw: np.random.Generator, patients: int, missed: float, correlation: float) -> float:
    """The share missed of two appointments each: with a chance of `correlation` both have one outcome."""
    first = draw.random(patients) < missed
    second = np.where(draw.random(patients) < correlation, first, draw.random(patients) < missed)
    return float((first.mean() + second.mean()) / 2)


def test_the_size_of_a_textbook_example():
    # Without looks, equal arms, shares 0.25 and 0.40: n = ((1.960 sqrt(2 * 0.325 * 0.675) + 0.842
    # sqrt(0.1875 + 0.24)) / 0.15)^2 = 151.9 in each arm.
    inputs = TrialInputs(calls_a_week=10, share_missed=0.4, share_held_out=0.5, alpha_of_looks=0)
    size = size_for(inputs, 0.25 / 0.4)
    assert (size.called, size.held_out) == (152, 152)
    assert size.weeks == 16  # 304 appointments, of which 20 come in a week


def test_what_a_trial_can_show_is_what_it_has_the_power_for():
    inputs = TrialInputs(calls_a_week=60, share_missed=0.2, share_held_out=0.2, design_effect=1.2)
    risk = detectable_relative_risk(inputs, weeks=20)
    assert risk is not None
    assert power_of(inputs, risk, inputs.appointments_a_week * 20) == pytest.approx(0.8)
    assert abs(size_for(inputs, risk).weeks - 20) <= 1
    longer = detectable_relative_risk(inputs, weeks=40)
    assert longer is not None
    assert risk < longer < 1
    assert detectable_relative_risk(inputs, weeks=0.05) is None


@pytest.mark.parametrize(("missed", "relative_risk"), [(0.0, 0.61), (1.0, 0.61), (0.25, 1.0), (0.6, 1.8)])
def test_a_size_for_nothing_to_find_is_refused(missed: float, relative_risk: float):
    with pytest.raises(DataError, match="A trial cannot be planned"):
        size_for(TrialInputs(calls_a_week=80, share_missed=missed, share_held_out=0.2), relative_risk)


def test_the_correlation_of_simulated_patients_is_found_again():
    draw = np.random.default_rng(1)
    first = draw.random(20_000) < 0.2
    second = np.where(draw.random(20_000) < 0.3, first, draw.random(20_000) < 0.2)
    patient = np.arange(20_000)
    found = intracluster_correlation(np.concatenate([first, second]), np.concatenate([patient, patient]))
    assert found == pytest.approx(0.3, abs=0.02)
    assert intracluster_correlation(first, patient) == 0.15  # nobody has two appointments
    assert intracluster_correlation(np.array([True, False, True, False]), np.array([0, 0, 1, 1])) == 0


def test_calls_that_reach_few_need_a_larger_effect_on_those():
    assert relative_risk_of_reached(0.61, 1.0) == pytest.approx(0.61)
    assert relative_risk_of_reached(0.61, 0.6) == pytest.approx(0.35)
    assert relative_risk_of_reached(0.61, 0.3) < 0
