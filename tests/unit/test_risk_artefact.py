"""A stored model: written whole, read only when it is what was written."""

import dataclasses
import datetime
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.unit.risk_worlds import CONFIG, register, world

from dnapredict.errors import ModelError, StoreError
from dnapredict.model.artefact import Provenance, StoredModel, load, save
from dnapredict.model.fit.training import Training, train
from dnapredict.model.risk_model import Beta, Isotonic, Platt, fit_splines

PROVENANCE = Provenance(
    config=CONFIG,
    register_of_factors=register(),
    data_sha256="0" * 64,
    data_from=datetime.date(2025, 1, 1),
    data_to=datetime.date(2025, 4, 10),
    test_from=datetime.date(2025, 3, 1),
    code_revision="test",
    synthetic=True,
)


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


@pytest.fixture
def stored(training: Training, tmp_path: Path) -> StoredModel:
    return save(training.model, tmp_path / "model", provenance=PROVENANCE, specimens=training.specimens)


def test_a_stored_model_gives_the_same_risks_to_the_last_bit(training, stored):
    matrix = world(500, seed=9).matrix
    matrix[::7, 0] = np.nan
    assert (stored.model.probability(matrix) == training.model.probability(matrix)).all()


@pytest.mark.usefixtures("stored")
def test_the_folder_holds_text_and_no_pickle(tmp_path):
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"model.txt", "calibration.json", "manifest.json"}
    assert "num_threads" not in (tmp_path / "model" / "model.txt").read_text()


def test_equal_trainings_are_equal_bytes(training, tmp_path):
    again = train(world(), config=CONFIG, directions=(1, 1, 0))
    for name, one in (("a", training), ("b", again)):
        save(one.model, tmp_path / name, provenance=PROVENANCE, specimens=one.specimens)
    for file in ("model.txt", "calibration.json", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_no_row_of_a_patient_is_written(stored):
    patients = {tuple(row) for row in world().matrix}
    assert all(golden.row not in patients for golden in stored.manifest.golden)


def test_the_manifest_knows_where_the_model_comes_from(stored, tmp_path):
    written = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert written["provenance"]["config"]["dna_codes"] == ["3", "7"]
    assert written["provenance"]["synthetic"] is True
    assert written["factors"] == ["lead_days", "past_dnas", "age_years"]
    assert load(tmp_path / "model").manifest == stored.manifest


@pytest.mark.parametrize("name", ["model.txt", "calibration.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "removed", "doubled"])
@pytest.mark.usefixtures("stored")
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, name, damage):
    path = tmp_path / "model" / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(
            {
                "cut": content[: len(content) // 2],
                "flipped": content[:40] + bytes([content[40] ^ 1]) + content[41:],
                "emptied": b"",
                "doubled": content + content,
            }[damage]
        )
    with pytest.raises(ModelError, match="the model is damaged"):
        load(tmp_path / "model")


@pytest.mark.usefixtures("stored")
def test_a_model_that_gives_other_risks_than_it_did_is_refused(tmp_path):
    path = tmp_path / "model" / "manifest.json"
    written = json.loads(path.read_text())
    written["golden"][0]["probability"] += 1e-6
    path.write_text(json.dumps(written))
    with pytest.raises(ModelError, match="does not give the risks it gave"):
        load(tmp_path / "model")


@pytest.mark.usefixtures("stored")
def test_a_stored_model_is_never_written_over(training, tmp_path):
    with pytest.raises(StoreError, match="exists already"):
        save(training.model, tmp_path / "model", provenance=PROVENANCE, specimens=training.specimens)


def test_a_failed_write_leaves_nothing_behind(training, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StoreError, match="No space left"):
        save(training.model, tmp_path / "model", provenance=PROVENANCE, specimens=training.specimens)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "calibrator",
    [Platt(1.1, -0.2), Beta(low=0.9, high=1.2, intercept=0.1), Isotonic((-2.0, 0.0, 2.0), (0.1, 0.2, 0.6))],
)
def test_every_calibration_is_stored_as_plain_numbers(training, tmp_path, calibrator):
    model = dataclasses.replace(training.model, calibrator=calibrator)
    stored = save(model, tmp_path / "m", provenance=PROVENANCE, specimens=training.specimens)
    matrix = world(100, seed=2).matrix
    assert (stored.model.probability(matrix) == model.probability(matrix)).all()


def test_logistic_regression_is_stored_as_plain_numbers(training, tmp_path):
    model = dataclasses.replace(training.model, form=fit_splines(world().matrix, world().dna))
    stored = save(model, tmp_path / "m", provenance=PROVENANCE, specimens=training.specimens)
    assert sorted(stored.manifest.files) == ["calibration.json", "curves.json"]
    matrix = world(100, seed=2).matrix
    matrix[::3] = np.nan
    assert (stored.model.probability(matrix) == model.probability(matrix)).all()


def test_a_matrix_of_another_width_is_refused(stored):
    with pytest.raises(ModelError, match="reads 3 factors"):
        stored.model.probability(np.zeros((2, 4)))


def test_no_rows_give_no_risks(stored):
    assert len(stored.model.probability(np.zeros((0, 3)))) == 0


def test_records_cannot_be_changed(stored):
    with pytest.raises(dataclasses.FrozenInstanceError):
        stored.digest = ""
