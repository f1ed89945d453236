"""Two versions of one home: which is better, and the way back to the one before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.registry_homes import copy_of
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE

from dnapredict.errors import DataError, ModelError
from dnapredict.model.artefact import save
from dnapredict.model.evaluate.metric_intervals import ModelComparison, PairedDifference
from dnapredict.model.evaluate.risk_metrics import RiskMetrics, compute_metrics
from dnapredict.model.fit.training import Training, train
from dnapredict.registry import CHAMPION, Registry
from dnapredict.registry.mlflow_store import Store
from dnapredict.service.home_checks import store_checks


@pytest.fixture(scope="module")
def training() -> Training:
    return train(world(), config=CONFIG, directions=(1, 1, 0))


@pytest.fixture(scope="module")
def folder(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "model"
    save(training.model, folder, provenance=PROVENANCE, specimens=training.specimens)
    return folder


@pytest.fixture(scope="module")
def blurred(training: Training) -> Training:
    """The same training, with risks that tell patients apart less well."""
    noise = np.random.default_rng(0).normal(0, 1, len(training.test_probability))
    odds = np.log(training.test_probability / (1 - training.test_probability)) + noise
    return replace(training, test_probability=1 / (1 + np.exp(-odds)))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, folder: Path, training: Training, blurred: Training) -> Registry:
    registry = Registry(tmp_path_factory.mktemp("home"))
    registry.register(folder, training)
    other = folder.with_name("other")
    changed = PROVENANCE.model_copy(update={"code_revision": "another"})
    save(training.model, other, provenance=changed, specimens=training.specimens)
    registry.register(other, blurred)
    for version in ("1", "2"):
        registry.set_audit(version, verdict="PASS", digest="1" * 64)
    return registry


def test_the_better_of_two_is_named_beyond_chance(registry):
    found = registry.compare("1", "2")
    difference = found.differences["all"]["log_loss"]
    assert found.n > 1_000
    assert difference.high < 0
    said = f"One is better than other beyond chance, by {-difference.value:.4f} of log loss."
    assert found.verdict("One", "other") == said


def test_a_comparison_the_other_way_round_is_the_same_with_the_sign_turned(registry):
    there, back = (registry.compare(*pair).differences["weekly"] for pair in (("1", "2"), ("2", "1")))
    assert there["log_loss"].value == -back["log_loss"].value
    assert there["log_loss"].low == pytest.approx(-back["log_loss"].high)


def test_a_version_does_not_differ_from_itself(registry):
    found = registry.compare("1", "1")
    assert found.verdict("A", "B") == "No difference in log loss between A and B beyond chance."
    assert found.differences["all"]["log_loss"] == (0, 0, 0)


def test_a_comparison_is_a_run_of_its_own_with_its_table(registry):
    import mlflow

    registry.compare("1", "2")
    home = registry._store.home
    client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("dna-risk").experiment_id
    (run, *_) = client.search_runs([experiment], "tags.kind = 'comparison' and tags.compared_with = '2'")
    assert run.data.metrics["difference/all/log_loss/high"] < 0
    assert run.data.tags["verdict"].startswith("Version 1 is better than version 2")
    table = next((home / "mlruns").glob(f"{run.info.run_id}/artifacts/comparison.csv")).read_text()
    assert table.splitlines()[0] == "population,n,figure,version_1,version_2,difference,low,high"


def test_only_appointments_of_both_tests_count(registry, folder, training):
    half = np.arange(len(training.tested)) >= 600
    later = replace(training, tested=training.tested.take(half), test_probability=training.test_probability[half])
    other = folder.with_name("half")
    changed = PROVENANCE.model_copy(update={"code_revision": "half"})
    save(training.model, other, provenance=changed, specimens=training.specimens)
    version = registry.register(other, later).version
    assert registry.compare("1", version).n == half.sum()


def test_tests_without_a_common_appointment_cannot_be_compared(registry, folder, training):
    elsewhere = replace(training.tested, appointment=training.tested.appointment + np.uint64(10**9))
    other = folder.with_name("elsewhere")
    changed = PROVENANCE.model_copy(update={"code_revision": "elsewhere"})
    save(training.model, other, provenance=changed, specimens=training.specimens)
    version = registry.register(other, replace(training, tested=elsewhere)).version
    with pytest.raises(DataError, match="0 appointments in common"):
        registry.compare("1", version)


def test_what_was_tested_is_kept_without_names_or_factors(registry):
    import pyarrow.parquet as pq

    kept = sorted((registry._store.home / "tested").glob("*.parquet"))
    assert kept
    columns = {"appointment", "patient", "dna", "starts_at", "lead_days", "first_time", "probability"}
    assert all(set(pq.read_schema(path).names) == columns for path in kept)


def test_a_test_that_was_removed_is_named_in_a_sentence(folder, training, tmp_path):
    registry = Registry(tmp_path)
    registry.register(folder, training)
    next((tmp_path / "tested").glob("*.parquet")).unlink()
    with pytest.raises(ModelError, match="version 1 was tested on"):
        registry.compare("1", "1")


def test_rollback_goes_back_one_champion_at_a_time_and_says_who_and_why(registry):
    registry.promote("1")
    registry.promote("2")
    registry.promote("2")  # a second time changes nothing that rollback needs
    assert registry.rollback(signed_by="A. Okafor", why="risks too high") == "1"
    assert registry.version_of(CHAMPION) == "1"
    left = registry.tags("2")
    assert (left["rolled_back_by"], left["rolled_back_why"], left["rolled_back_to"]) == (
        "A. Okafor",
        "risks too high",
        "1",
    )
    with pytest.raises(ModelError, match="Version 1 is the first champion"):
        registry.rollback(signed_by="A. Okafor", why="and again")


class Killed(BaseException):
    """The process ends here."""


def killed_before(step: str, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work in a process that is killed before this step of the store."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Store, step, die)
        with pytest.raises(Killed):
            work()


@pytest.fixture(scope="module")
def home_of_three(folder: Path, training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three versions, of which the first two were champions."""
    registry = Registry(home := tmp_path_factory.mktemp("three") / "home")
    for _ in range(3):
        version = registry.register(folder, training).version
        registry.set_audit(version, verdict="PASS", digest="1" * 64)
    for version in ("1", "2"):
        registry.promote(version)
    return home


@pytest.fixture
def three(home_of_three: Path, tmp_path: Path) -> Registry:
    """The registry of a copy of that home."""
    return Registry(copy_of(home_of_three, tmp_path / "home"))


@pytest.mark.parametrize("step", ["set_alias", "set_tags"])
def test_a_promotion_that_was_killed_counts_at_once_and_is_completed_when_it_is_run_again(three, step, monkeypatch):
    killed_before(step, lambda: three.promote("3"), monkeypatch)
    assert three.usable(CHAMPION) == "3"  # a list can be scored meanwhile
    assert three.in_use() == ("3", "")
    assert three.promote("3") == "3"
    assert three._store.version(CHAMPION).version == 3
    assert three.tags("3")["champion_before"] == "2"
    assert three.is_copied()


@pytest.mark.parametrize("step", ["set_alias", "set_tags"])
def test_a_rollback_that_was_killed_goes_back_one_version_and_not_two(three, step, monkeypatch):
    three.promote("3")
    killed_before(step, lambda: three.rollback(signed_by="A. Okafor", why="risks too high"), monkeypatch)
    assert three.usable(CHAMPION) == "2"
    assert three.rollback(signed_by="A. Okafor", why="risks too high") == "2"
    assert three.version_of(CHAMPION) == "2"
    assert three._store.version(CHAMPION).version == 2
    assert three.tags("3")["rolled_back_to"] == "2"
    assert three.rollback(signed_by="A. Okafor", why="once more") == "1"


def test_doctor_names_a_promotion_that_was_killed_and_completes_it(three, monkeypatch):
    killed_before("set_alias", lambda: three.promote("3"), monkeypatch)
    found = list(store_checks.registry(three.home))
    assert ["lacks a part of the last promotion" in finding.problem for finding in found] == [True]
    found[0].repair()
    assert three._store.version(CHAMPION).version == 3
    assert not list(store_checks.registry(three.home))


def test_an_alias_that_somebody_set_while_a_promotion_was_interrupted_is_still_named(three, monkeypatch):
    killed_before("set_alias", lambda: three.promote("3"), monkeypatch)
    three._store.set_alias(CHAMPION, "1")
    with pytest.raises(ModelError, match="names version 1, and version 3 was put in use"):
        three.usable(CHAMPION)


def test_no_damaged_model_becomes_champion_by_going_back(folder, training, tmp_path):
    registry = Registry(tmp_path)
    for _ in range(2):
        version = registry.register(folder, training).version
        registry.set_audit(version, verdict="PASS", digest="1" * 64)
        registry.promote(version)
    (registry.folder("1") / "model.txt").write_text("tree")
    with pytest.raises(ModelError, match="damaged"):
        registry.rollback(signed_by="A. Okafor", why="a reason")
    assert registry.version_of(CHAMPION) == "2"


def of_few(n: int, missed: int) -> RiskMetrics:
    return compute_metrics(np.arange(n) < missed, np.linspace(0.1, 0.9, n))


def test_no_exact_count_is_printed_and_no_figure_of_few():
    from dnapredict.cli.messages import comparison_json, comparison_lines

    metrics = {"all": of_few(1_203, 214), "weekly": of_few(903, 3), "first_time": of_few(61, 20)}
    found = {name: {"log_loss": PairedDifference(-0.01, -0.02, -0.001)} for name in metrics}
    compared = ModelComparison(metrics, metrics, found)
    text = "\n".join(comparison_lines(compared, versions=("2", "1")))
    assert "On 1,205 appointments" in text
    assert not any(count in text for count in ("1,203", "903", "900", "61", "60"))
    assert text.count("too few appointments to give figures") == 2
    assert comparison_json(compared, versions=("2", "1"))["populations"].keys() == {"all"}
