"""A home on another disk: trainings write there, the old place is left alone, and parts are refused."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.unit.registry_homes import copy_of
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.errors import StoreError
from dnapredict.model.artefact import load, save
from dnapredict.model.fit.training import Training, train
from dnapredict.registry import CHALLENGER, MODEL_NAME, Registry, moved_home


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


@pytest.fixture(scope="module")
def folder(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "model"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trust") / "first home"
    Registry(home).register(folder, training)
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A home that was trained in and has moved once before, so that its old place is this test's own."""
    return copy_of(trained, tmp_path / "home")


def addresses(home: Path) -> set[str]:
    """Every address in the database that is a file's."""
    asked = (
        "SELECT artifact_location FROM experiments WHERE name = 'dna-risk' "
        "UNION SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM logged_models "
        "UNION SELECT storage_location FROM model_versions"
    )
    connection = sqlite3.connect(home / "mlflow.db")
    found = {address for (address,) in connection.execute(asked)}
    connection.close()
    return found


def files(home: Path) -> set[Path]:
    return {path.relative_to(home) for path in home.rglob("*")}


def test_a_moved_home_goes_on_training_and_the_old_place_stays_empty(home, folder, training, tmp_path):
    moved = home.rename(tmp_path / "another disk")
    assert Registry(moved).register(folder, training).version == "2"
    assert load(Registry(moved).folder(CHALLENGER)).manifest == load(folder).manifest
    assert all(address.startswith(moved.as_uri()) for address in addresses(moved))
    assert not home.exists()


def test_a_moved_home_keeps_reports_and_cards_in_its_own_place(home, tmp_path):
    moved = home.rename(tmp_path / "another disk")
    registry, report = Registry(moved), tmp_path / "report"
    report.mkdir()
    (report / "report.html").write_text("the page", encoding="utf-8")
    registry.keep_audit("1", report, verdict="PASS")
    assert registry.promote("1") == "1"
    assert (registry.report("1") / "report.html").read_text(encoding="utf-8") == "the page"
    assert "Promoted to champion at" in (moved / "models" / "cards" / "1.md").read_text(encoding="utf-8")
    assert not home.exists()


def test_mlflow_itself_loads_a_model_from_where_the_home_is_now(home, folder, training, tmp_path):
    import mlflow

    moved = home.rename(tmp_path / "another disk")
    Registry(moved).register(folder, training)
    client = mlflow.MlflowClient(f"sqlite:///{moved / 'mlflow.db'}")
    place = client.get_model_version_download_uri(MODEL_NAME, "1")
    assert place.startswith(moved.as_uri())


def test_a_copy_writes_into_itself_and_not_into_the_home_it_was_copied_from(home, folder, training, tmp_path):
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    before = files(home)
    assert Registry(copy).register(folder, training).version == "2"
    assert files(home) == before
    assert Registry(home).register(folder, training).version == "2"  # the first goes its own way


def test_the_move_is_told_and_stays_on_record(home, folder, training, tmp_path, caplog):
    import mlflow

    moved = home.rename(tmp_path / "another disk")
    Registry(moved).register(folder, training)
    assert f"{moved}: this home was at {home} before" in caplog.text
    experiment = mlflow.MlflowClient(f"sqlite:///{moved / 'mlflow.db'}").get_experiment_by_name(MODEL_NAME)
    told = [value for key, value in experiment.tags.items() if key.startswith("moved_at ")]
    assert told[-1] == (home / "mlruns").as_uri()


def test_a_database_that_was_copied_without_its_files_is_refused(home, folder, training, tmp_path):
    part = tmp_path / "part"
    part.mkdir()
    shutil.copy(home / "mlflow.db", part)
    with pytest.raises(StoreError, match=r"1 of 1 models .* missing from its mlruns\. Copy the whole folder"):
        Registry(part).register(folder, training)
    assert addresses(part) == addresses(home)


def test_a_model_that_was_left_behind_refuses_and_one_that_was_gone_before_does_not(home, folder, training, tmp_path):
    Registry(home).register(folder, training)
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    lost = Registry(home).folder("1").relative_to(home).parents[2]  # mlruns/models/ID
    shutil.rmtree(copy / lost)
    with pytest.raises(StoreError, match="1 of 2 models"):
        Registry(copy).register(folder, training)
    shutil.rmtree(home / lost)
    assert Registry(copy).register(folder, training).version == "3"


def test_the_same_home_by_another_name_is_not_moved(home, folder, training, tmp_path):
    (tmp_path / "share").symlink_to(home, target_is_directory=True)
    connection = sqlite3.connect(home / "mlflow.db")
    with connection:
        share = (tmp_path / "share" / "mlruns").as_uri()
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'dna-risk'", (share,))
    connection.close()
    assert Registry(home).register(folder, training).version == "2"
    assert share in addresses(home)


def test_no_column_of_mlflow_names_the_old_home_but_the_note_of_the_move(home, tmp_path):
    """Lists every column of every table, so that a release of MLflow with a further address is noticed."""
    moved = home.rename(tmp_path / "another disk")
    copy_of(moved, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "mlflow.db") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        naming = {
            (table, column)
            for table in tables
            for _, column, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall()
            for (value,) in connection.execute(f'SELECT "{column}" FROM "{table}"')
            if isinstance(value, str) and home.as_uri() in value
        }
    connection.close()
    assert naming == {("experiment_tags", "value")}


def test_an_unchecked_release_of_mlflow_changes_no_table(home, folder, training, tmp_path, monkeypatch):
    moved = home.rename(tmp_path / "another disk")
    monkeypatch.setattr(moved_home, "version", lambda _: "4.0.0")
    before = addresses(moved)
    with pytest.raises(StoreError, match=r"cannot be corrected with MLflow 4\.0\.0\. Move the home back"):
        Registry(moved).register(folder, training)
    assert addresses(moved) == before
