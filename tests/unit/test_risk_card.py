"""The model card and its tables: what a reviewer reads, without anything that points at a patient."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.model.artefact import StoredModel, save
from dnapredict.model.evaluate.risk_metrics import brier, brier_decomposition, reliability_table
from dnapredict.model.fit.training import Training, train
from dnapredict.model.report.model_card import model_card
from dnapredict.model.report.training_records import run_metrics, run_parameters, run_tags, selection_tags


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


@pytest.fixture(scope="module")
def stored(training: Training, tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("card") / "model"
    return save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)


def test_the_card_says_what_the_model_is_never_for_and_that_its_patients_are_made_up(training, stored):
    text = model_card(training, stored)
    assert "**Never for** overbooking, discharge, delaying or withholding care." in text
    assert "Synthetic: trained on made-up patients" in text


def test_the_card_names_every_hash_label_window_and_rival(training, stored):
    text = model_card(training, stored)
    for part in (stored.digest, *stored.manifest.files.values(), PROVENANCE.data_sha256):
        assert part in text
    assert "outcome code is 3 or 7" in text
    assert str(training.split.test) in text
    assert all(name.replace("_", " ") in text for name in training.baselines)


def test_the_card_gives_figures_with_intervals_and_says_where_there_are_none(training, stored):
    nobody = {"first_time": replace(training.test["all"], n=0, auroc=None)}
    text = model_card(replace(training, test=training.test | nobody), stored)
    low, high = training.intervals["weekly"]["auroc"]
    assert f"{training.test['weekly'].auroc:.3f} ({low:.3f} to {high:.3f})" in text
    assert "not estimable" in text


def test_a_run_is_written_down_as_flat_names_and_plain_values(training, stored):
    names = [figure.name for figure in run_metrics(training)]
    assert {"weekly/log_loss", "base_rate/all/brier", "validation_log_loss"} <= set(names)
    assert run_parameters(stored)["split.test_from"] == "2025-03-01"
    assert run_tags(stored)["manifest_sha256"] == stored.digest
    assert selection_tags(training) == {"form": "lightgbm", "skill": "yes", "skill_verdict": str(training.selection)}


def test_bins_are_of_equal_size_and_the_truth_lies_in_most_of_their_intervals():
    risk = np.random.default_rng(1).beta(2, 8, 20_000)
    bins = reliability_table(np.random.default_rng(2).random(20_000) < risk, risk)
    assert [b.n for b in bins] == [2_000] * 10
    assert sum(b.low <= b.mean_risk <= b.high for b in bins) >= 8


def test_few_appointments_have_few_bins_and_fewer_than_a_hundred_none():
    dna, risk = np.zeros(250, dtype=bool), np.linspace(0.1, 0.2, 250)
    assert [b.n for b in reliability_table(dna, risk)] == [125, 125]
    assert reliability_table(dna[:99], risk[:99]) == ()


def test_the_parts_of_the_brier_score_add_up_and_too_bold_risks_are_miscalibrated():
    risk = np.random.default_rng(3).beta(2, 8, 5_000)
    dna = np.random.default_rng(4).random(5_000) < risk
    bold = np.clip(1.8 * risk - 0.1, 0.01, 0.99)
    for given in (risk, bold):
        parts = brier_decomposition(dna, given)
        assert parts.miscalibration - parts.discrimination + parts.uncertainty == pytest.approx(brier(dna, given))
    assert brier_decomposition(dna, bold).miscalibration > 3 * brier_decomposition(dna, risk).miscalibration
