"""Reasons: exact, true of the patient, and never about who the patient is."""

import numpy as np
import pytest
from tests.reasons_by_row import reasons
from tests.unit.risk_worlds import CONFIG, register, world

from dnapredict.model.fit.training import Training, train
from dnapredict.model.risk_model import fit_splines

WORDS = {
    "lead_days": "Booked {lead_days} days ahead",
    "past_dnas": "Missed {value} past appointments",
    "age_years": "Is {value} years old",
}


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


def told(training: Training, *row: float, **words: str) -> list[str]:
    found = reasons(training.model, np.array([row]), register=register(**(words or WORDS)))
    return [reason.text for reason in found[0]]


def test_the_strongest_reason_comes_first_with_the_patients_own_numbers(training):
    assert told(training, 2, 4, 40) == ["Missed 4 past appointments"]
    assert set(told(training, 55, 3, 40)) == {"Missed 3 past appointments", "Booked 55 days ahead"}


def test_nothing_that_lowers_the_risk_is_told(training):
    assert told(training, 1, 0, 40) == []


def test_a_sentence_about_nothing_is_not_told(training):
    nobody = told(training, 59, 0, 40, past_dnas="Missed {value} of {lead_days}", lead_days="{past_dnas} past")
    assert nobody == []


def test_an_unknown_number_is_not_told(training):
    assert told(training, np.nan, 5, 40, past_dnas="Missed {value}, booked {lead_days} days ahead") == []


def test_age_is_never_a_reason(training):
    matrix = np.column_stack([np.full(96, 30), np.ones(96), np.arange(96)]).astype(float)
    found = reasons(training.model, matrix, register=register(**WORDS))
    assert {reason.factor for row in found for reason in row} <= {"lead_days", "past_dnas"}


def test_a_number_that_is_not_whole_is_rounded_unless_the_sentence_says_how(training):
    assert told(training, 0, 3.26, 40, past_dnas="About {value}") == ["About 3.3"]
    assert told(training, 0, 3.26, 40, past_dnas="About {value:.0f}") == ["About 3"]


def test_factors_that_say_the_same_are_added_up_into_one_reason(training):
    one_topic = register(**WORDS)
    factors = tuple(factor.model_copy(update={"says": "all"}) for factor in one_topic.factors)
    found = reasons(
        training.model,
        np.array([[55.0, 4.0, 40.0]]),
        register=one_topic.model_copy(update={"factors": factors}),
    )
    assert [reason.text for reason in found[0]] == ["Missed 4 past appointments"]


def test_a_register_without_reasons_gives_none(training):
    assert reasons(training.model, world(5).matrix, register=register()) == [()] * 5


def test_many_rows_looked_up_have_the_values_of_each_row_alone(training):
    matrix = world(1_000, seed=5).matrix
    matrix[::7, 0] = np.nan
    matrix[1::7, 1] = np.inf
    found = training.model.contributions(matrix)
    alone = np.vstack([training.model.contributions(matrix[[row]]) for row in range(100)])
    assert np.abs(found[:100] - alone).max() < 1e-9


def test_contributions_of_curves_add_up_to_the_margin():
    form = fit_splines(world().matrix, world().dna)
    usual = form.intercept + sum(curve.usual for curve in form.curves)
    matrix = world(200, seed=6).matrix
    matrix[::5, 1] = np.nan
    found = form.contributions(matrix).sum(axis=1) + usual
    assert np.abs(found - form.margin(matrix)).max() < 1e-9


def test_no_rows_have_no_reasons(training):
    assert reasons(training.model, np.empty((0, 3)), register=register(**WORDS)) == []
