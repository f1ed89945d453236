"""The registry: what it keeps of a training, who may become champion, and what it says when it cannot."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy
from tests.unit.registry_homes import copy_of
from tests.unit.risk_worlds import CONFIG, FACTORS, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.errors import GateFailedError, ModelError, StoreError
from dnapredict.model.artefact import load, save
from dnapredict.model.evaluate.metric_intervals import PairedDifference
from dnapredict.model.fit.training import Training, train
from dnapredict.registry import CHALLENGER, CHAMPION, Registered, Registry
from dnapredict.registry.decision_ledger import Decisions, Kind


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


@pytest.fixture(scope="module")
def folder(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "model"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def first(home: Path, folder: Path, training: Training) -> Registered:
    return Registry(home).register(folder, training)


@pytest.fixture
def registry(home: Path, first: Registered) -> Registry:
    assert first.version == "1"
    return Registry(home)


def test_an_empty_home_names_the_command_that_makes_a_model_and_stays_empty(tmp_path):
    with pytest.raises(ModelError, match="`dnapredict train EXTRACT` makes one"):
        Registry(tmp_path).version_of(CHAMPION)
    assert list(tmp_path.iterdir()) == []


def test_a_new_version_is_challenger_and_not_champion(registry):
    assert registry.version_of(CHALLENGER) == "1"
    with pytest.raises(ModelError, match="dnapredict promote V"):
        registry.version_of(CHAMPION)


def test_a_training_that_is_killed_before_it_is_in_the_ledger_is_not_the_challenger(
    folder, training, tmp_path, monkeypatch
):
    """Nobody knows which appointments that version was tested on, so nothing can be done with it."""
    registry = Registry(tmp_path / "home")
    assert registry.register(folder, training).version == "1"
    append = Decisions.append

    def killed(self: Decisions, kind: Kind, data: Mapping[str, str]) -> None:
        if kind == "training":
            raise KeyboardInterrupt
        append(self, kind, data)

    monkeypatch.setattr(Decisions, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        registry.register(folder, training)
    monkeypatch.setattr(Decisions, "append", append)
    left = Registry(tmp_path / "home")
    assert left.version_of(CHALLENGER) == "1"
    assert [each.version for each in left.versions()] == ["1"]
    again = left.register(folder, training).version
    assert left.version_of(CHALLENGER) == again
    assert load(left.folder(CHALLENGER)).manifest == load(folder).manifest
    assert [each.version for each in left.versions()] == ["1", again]


@pytest.mark.parametrize("name", ["99", "winner"])
def test_a_version_that_is_not_there_is_a_model_error(registry, name):
    with pytest.raises(ModelError, match=name):
        registry.version_of(name)


def test_the_registered_folder_is_the_stored_model(registry, folder):
    assert load(registry.folder("1")).manifest == load(folder).manifest


def test_the_run_tells_all_that_is_needed_to_compare_it(registry, first, home):
    import mlflow

    run = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}").get_run(first.run_id)
    assert run.data.metrics["weekly/log_loss"] < run.data.metrics["base_rate/weekly/log_loss"]
    assert run.data.params["split.test_from"] == "2025-03-01"
    assert run.data.tags["data_sha256"] == PROVENANCE.data_sha256
    assert run.data.tags["synthetic"] == "true"
    assert registry.tags("1")["seed"] == "1"


def test_the_validation_loss_is_kept_round_by_round(training, home, first):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    steps = client.get_metric_history(first.run_id, "validation_log_loss")
    assert [metric.value for metric in steps] == list(training.iterations)


@pytest.fixture
def own(home: Path, first: Registered, tmp_path: Path) -> Registry:
    """A home with version 1 that the test may change."""
    assert first.version == "1"
    return Registry(copy_of(home, tmp_path / "home"))


def test_only_an_audited_version_is_promoted(own):
    registry, version = own, "1"
    with pytest.raises(ModelError, match=f"dnapredict audit EXTRACT --model {version}"):
        registry.promote(version)
    registry.set_audit(version, verdict="FAIL", digest="1" * 64)
    with pytest.raises(GateFailedError, match="a fairness gate failed"):
        registry.promote(version)
    registry.set_audit(version, verdict="REVIEW", digest="2" * 64)
    with pytest.raises(GateFailedError, match="a fairness gate failed"):  # nobody has signed for it
        registry.promote(version)


@pytest.mark.parametrize("verdict", ["REVIEW", "NOT ENOUGH DATA"])
def test_a_version_whose_audit_did_not_pass_is_promoted_once_its_report_is_signed(own, verdict):
    registry, version = own, "1"
    registry.set_audit(version, verdict=verdict, digest="1" * 64)
    with pytest.raises(GateFailedError, match=f"is {verdict}, and its report is not signed"):
        registry.promote(version)
    assert not registry.has(CHAMPION)


def test_a_passing_version_is_promoted_and_remembers_whom_it_replaced(own, folder, training):
    registry, versions = own, ["1", own.register(folder, training).version]
    for version in versions:
        registry.set_audit(version, verdict="PASS", digest="1" * 64)
        registry.promote(version)
    assert registry.version_of(CHAMPION) == versions[1]
    assert registry.tags(versions[1])["champion_before"] == versions[0]


def test_a_model_without_skill_is_never_promoted_whoever_signs(tmp_path, folder, training):
    worthless = PairedDifference(0.0, -0.01, 0.01)
    registry = Registry(tmp_path)
    without = replace(training, selection=replace(training.selection, over_base_rate=worthless))
    version = registry.register(folder, without).version
    registry.set_audit(version, verdict="PASS", digest="1" * 64)
    with pytest.raises(ModelError, match="No skill over the base rate"):
        registry.promote(version)


def test_the_card_lies_with_the_run(first, home):
    text = next((home / "mlruns").glob(f"{first.run_id}/artifacts/model-card.md")).read_text()
    assert text.startswith("# Risk of a missed appointment")


def test_another_folder_than_the_registered_one_is_refused(own):
    registry, version = own, "1"
    manifest = registry.folder(version) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"synthetic": true', '"synthetic": false'))
    with pytest.raises(ModelError, match="does not hold the model that was registered"):
        registry.folder(version)


def test_a_damaged_registry_is_a_store_error(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot be read or written"):
        Registry(tmp_path).version_of(CHAMPION)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Databases that are opened from now on cannot grow."""

    def stop_growth(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", stop_growth)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", stop_growth)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_one_sentence_and_mlflow_prints_no_values(own, folder, training, capfd):
    with pytest.raises(StoreError, match=r"mlflow\.db: cannot be written: the disk is full\. Make room on it"):
        own.register(folder, training)
    assert capfd.readouterr().err == ""


def test_mlflow_alone_loads_the_model_with_pickle_switched_off(home, first, training):
    script = (
        "import mlflow, numpy as np, pandas as pd;"
        f"mlflow.set_tracking_uri({f'sqlite:///{home}/mlflow.db'!r});"
        f"model = mlflow.pyfunc.load_model('models:/dna-risk/{first.version}');"
        f"frame = pd.DataFrame([[50., 2., np.nan]], columns={list(FACTORS)!r});"
        "print(repr(float(model.predict(frame)[0])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == training.model.probability(np.array([[50.0, 2.0, np.nan]]))[0]


def in_a_new_process(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script without what this process set for MLflow, and without the signs that it is a test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "CI", "PYTEST_"))}
    return subprocess.run([sys.executable, "-c", script], env=kept, capture_output=True, text=True, check=True)


def test_nothing_of_mlflows_own_reaches_the_analyst_and_it_collects_no_telemetry(folder, tmp_path):
    script = (
        "from pathlib import Path; from tests.unit.risk_worlds import CONFIG, world;"
        "from dnapredict.model.fit.training import train; from dnapredict.registry import Registry;"
        f"training = train(world(), config=CONFIG, directions=(1, 1, 0));"
        f"Registry(Path({str(tmp_path)!r})).register(Path({str(folder)!r}), training);"
        "from mlflow.telemetry.client import get_telemetry_client; print(get_telemetry_client())"
    )
    done = in_a_new_process(script)
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_a_trial_report_is_a_run_about_the_versions_that_scored_it_and_no_others(own, folder, training):
    import mlflow

    registry = own
    registry.register(folder, training)
    interval = {"risk_difference": -0.03, "low": -0.04, "high": -0.02}
    effect = dict.fromkeys(("always_valid", "complier", "relative_risk", "attended"))
    figures = {
        "trial": {"name": "Calls", "plan": "registered"},
        "claim": "In this trial calls lowered missed appointments.",
        "claim_kind": "helps",
        "ranking_reason": "By risk.",
        "effect": effect | {"intention_to_treat": interval},
    }
    registry.log_trial(["1", "2", "99"], figures=figures, page="<h1>Trial</h1>")
    client = mlflow.MlflowClient(f"sqlite:///{registry.home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("dna-risk").experiment_id
    (found,) = client.search_runs([experiment], "tags.kind = 'trial_report'")
    run = client.get_run(found.info.run_id)
    models = {client.get_model_version("dna-risk", version).source.rpartition("/")[2] for version in ("1", "2")}
    assert {each.model_id for each in run.inputs.model_inputs} == models
    assert run.info.run_name == "Trial 'Calls': helps"
    assert run.data.tags["version"] == "1, 2"
    assert run.data.metrics == {
        "effect/intention_to_treat": -0.03,
        "effect/intention_to_treat/low": -0.04,
        "effect/intention_to_treat/high": -0.02,
    }
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["report.html"]


def test_a_trial_report_of_a_home_without_a_model_makes_no_database(tmp_path):
    Registry(tmp_path).log_trial(["1"], figures={}, page="")
    assert list(tmp_path.iterdir()) == []
