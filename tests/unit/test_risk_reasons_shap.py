"""The reasons rest on SHAP values; the shap library, which only draws them, is the judge."""

import numpy as np
import pytest
import shap
from tests.unit.risk_worlds import CONFIG, world

from dnapredict.model.fit.training import train
from dnapredict.model.reasons import contributions
from dnapredict.model.risk_model import RiskModel
from dnapredict.model.tree_ensemble import impute


@pytest.fixture(scope="module")
def model() -> RiskModel:
    return train(world(), config=CONFIG, directions=(1, 1, 0)).model


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    """Patients whom the model has not seen, some with a factor that is not known."""
    matrix = world(400, seed=7).matrix
    matrix[::9, 1] = np.nan
    return matrix


def test_contributions_are_the_values_of_the_shap_library(model, matrix):
    explained = shap.TreeExplainer(model.form.booster)(impute(matrix, model.form.fill))
    assert np.abs(explained.values).max() > 0.1
    np.testing.assert_allclose(contributions(model, matrix), explained.values, atol=1e-9)


def test_contributions_and_the_expected_margin_add_up_to_the_risk(model, matrix):
    expected = shap.TreeExplainer(model.form.booster).expected_value
    told = contributions(model, matrix).sum(axis=1) + expected
    np.testing.assert_allclose(told, model.margin(matrix), atol=1e-9)
