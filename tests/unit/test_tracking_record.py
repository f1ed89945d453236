"""What an analyst finds beside a run: runs beneath it, its inputs, tables, and a card that keeps up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.config.loading import load as load_config
from dnapredict.config.training_config import Setting, TrainingConfig, Tuning
from dnapredict.errors import StoreError
from dnapredict.model.artefact import StoredModel, save
from dnapredict.model.fit.training import Training, train
from dnapredict.pipeline import training_inputs
from dnapredict.registry import Registered, Registry

TUNED = CONFIG.model_copy(update={"tuning": Tuning(trials=2, folds=2)})


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=TUNED, directions=(1, 1, 0))


@pytest.fixture(scope="module")
def stored(training: Training, tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("stored") / "model"
    return save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def registered(
    home: Path, stored: StoredModel, training: Training, tmp_path_factory: pytest.TempPathFactory
) -> Registered:
    folder = tmp_path_factory.mktemp("again") / "model"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    files = training_inputs.reproduction(stored, Setting())
    return Registry(home).register(folder, training, files=files)


@pytest.fixture
def client(home: Path, registered: Registered):
    import mlflow

    assert registered.version == "1"
    return mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


def beneath(client, registered: Registered, kind: str) -> dict[str, object]:
    experiment = client.get_experiment_by_name("dna-risk").experiment_id
    wanted = f"tags.`mlflow.parentRunId` = '{registered.run_id}' and tags.kind = '{kind}'"
    return {run.info.run_name: run for run in client.search_runs([experiment], wanted)}


def test_every_rival_is_a_run_beneath_with_figures_of_the_same_names(client, registered, training):
    rivals = beneath(client, registered, "rival")
    assert set(rivals) == set(training.baselines)
    parent = client.get_run(registered.run_id).data.metrics
    for run in rivals.values():
        assert "weekly/log_loss" in run.data.metrics
        assert set(run.data.metrics) <= set(parent)


def test_every_trial_is_a_run_beneath_with_its_settings_and_its_folds_as_steps(client, registered, training):
    trials = beneath(client, registered, "trial")
    assert len(trials) == 2
    for trial in training.tuned.trials:
        run = trials[f"trial {trial.number}"]
        assert run.data.params["model.num_leaves"] == str(trial.settings.num_leaves)
        steps = client.get_metric_history(run.info.run_id, "fold_log_loss")
        assert [(step.step, step.value) for step in steps] == list(enumerate(trial.folds, start=1))


def test_the_inputs_name_each_window_by_digest_dates_and_counts_and_hold_no_row(client, registered, training):
    inputs = client.get_run(registered.run_id).inputs.dataset_inputs
    found = {each.dataset.name: each.dataset for each in inputs}
    assert set(found) == {"fitting", "calibration", "test"}
    assert all(PROVENANCE.data_sha256.startswith(dataset.digest) for dataset in found.values())
    assert json.loads(found["test"].profile) == {
        "first": "2025-03-01",
        "last": "2025-04-10",
        "num_rows": training.split.test.rows,
        "missed": training.split.test.dna,
    }


def test_what_makes_the_model_again_lies_with_the_run(home, registered):
    kept = home / "mlruns" / registered.run_id / "artifacts"
    command = (kept / "reproduce" / "command.txt").read_text()
    assert "dnapredict train EXTRACT --config config.toml" in command
    assert PROVENANCE.data_sha256 in command
    assert load_config(kept / "reproduce" / "config.toml", TrainingConfig) == CONFIG
    assert (kept / "factor-register.toml").is_file()
    assert {path.name for path in (kept / "tables").iterdir()} >= {"reach.csv", "figures-by-group.csv"}


def test_the_settings_that_were_used_make_the_same_model_without_a_search(training):
    config = TUNED.model_copy(update={"model": training.settings, "tuning": Tuning()})
    again = train(world(), config=config, directions=(1, 1, 0))
    assert (again.test_probability == training.test_probability).all()


def test_the_card_in_the_home_keeps_up_with_what_becomes_of_the_version(home, registered):
    card = home / "models" / "cards" / "1.md"
    assert "| Fairness audit | not audited yet |" in card.read_text()
    registry = Registry(home)
    registry.set_audit(registered.version, verdict="PASS", digest="1" * 64)
    registry.promote(registered.version)
    text = card.read_text()
    assert text.startswith("# Risk of a missed appointment")
    assert "| Fairness audit | PASS |" in text
    assert "| Promoted to champion at |" in text


def test_a_persons_words_cannot_break_the_cards_table(training, tmp_path):
    registry = Registry(tmp_path)
    folder = tmp_path / "m"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    for _ in range(2):
        version = registry.register(folder, replace(training, tuned=None)).version
        registry.set_audit(version, verdict="PASS", digest="1" * 64)
        registry.promote(version)
    registry.rollback(signed_by="A. Okafor", why="too | high\nsince March")
    text = (tmp_path / "models" / "cards" / "2.md").read_text()
    assert "| Reason for going back | too \\| high since March |" in text


@pytest.mark.parametrize("damage", [b"", b"# Risk of a missed appointment\n", None], ids=["emptied", "cut", "deleted"])
def test_a_damaged_card_of_a_training_is_refused_and_copied_nowhere(home, registered, damage):
    registry = Registry(home)
    path = next((home / "mlruns").glob(f"{registered.run_id}/artifacts/model-card.md"))
    before, copied = path.read_bytes(), (home / "models" / "cards" / "1.md").read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage)
    try:
        with pytest.raises(StoreError, match=r"model-card\.md: the model card is missing, or not as written"):
            registry.card(registered.version)
        registry.copy_card(registered.version)
        assert (home / "models" / "cards" / "1.md").read_bytes() == copied
    finally:
        path.write_bytes(before)


def test_a_damaged_copy_of_a_card_changes_nothing_that_is_shown(home, registered):
    registry, copy = Registry(home), home / "models" / "cards" / "1.md"
    shown = registry.card(registered.version)
    copy.write_text("")
    assert registry.card(registered.version) == shown
    assert not registry.has_copied_card(registered.version)
    registry.copy_card(registered.version)
    assert (registry.has_copied_card(registered.version), copy.read_text()) == (True, shown)
