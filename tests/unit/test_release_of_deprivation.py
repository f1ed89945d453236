"""Deciles of one release of the indices of deprivation are not those of another: told, and never mixed."""

from dataclasses import replace

import pyarrow as pa
import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.config.mapping_config import Geography, Mapping
from dnapredict.errors import ConfigurationError
from dnapredict.features.factors import factor_register
from dnapredict.model.artefact import StoredModel, save
from dnapredict.model.fit.training import Training, train
from dnapredict.model.report.model_card import model_card
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.worklist.scorer import Scorer

LIST = pa.table(
    {
        "appointment_id": ["a1"],
        "booked_at": ["2025-01-02 09:00"],
        "starts_at": ["2025-02-03 09:00"],
        "imd_decile": ["3"],
    }
)


@pytest.fixture(scope="module")
def training() -> Training:
    cohort = world()
    return train(replace(cohort, factors=("imd_decile", *cohort.factors[1:])), config=CONFIG, directions=(1, 1, 0))


def of_release(training: Training, folder, release: str) -> StoredModel:
    deprivation = factor_register().factor("imd_decile")
    register = PROVENANCE.register_of_factors
    register = register.model_copy(update={"factors": (*register.factors, deprivation)})
    origin = PROVENANCE.model_copy(update={"imd_release": release, "register_of_factors": register})
    return save(training.model, folder / f"model-{release}", provenance=origin, specimens=training.specimens)


@pytest.mark.parametrize(
    ("release", "sentence"),
    [("2019", "English Indices of Deprivation 2019"), ("", "The extract does not say which release")],
)
def test_the_card_names_the_release(training, tmp_path, release, sentence):
    assert sentence in model_card(training, of_release(training, tmp_path, release))


def test_a_list_of_another_release_than_the_models_is_refused(training, tmp_path):
    scorer = Scorer(
        stored=of_release(training, tmp_path, "2019"),
        model_version="7",
        worklist=worklist_config(),
        mapping=Mapping(geography=Geography(imd_release="2025")),
    )
    with pytest.raises(ConfigurationError, match=r"release 2025, and the model learned from release 2019"):
        scorer.score(LIST)
