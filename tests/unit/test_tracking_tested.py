"""What versions were tested on is private: keyed with a secret of the home, and for its owner alone."""

import datetime
import os
import stat
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.risk_worlds import CONFIG, world
from tests.unit.test_risk_artefact import PROVENANCE
from tests.unit.test_tracking_compare import blurred, folder, training  # noqa: F401 - fixtures

from dnapredict.data.system_clock import set_back
from dnapredict.errors import StoreError
from dnapredict.model.artefact import save
from dnapredict.model.cohort import appointment_keys
from dnapredict.model.fit.training import Training, train
from dnapredict.registry import Registry
from dnapredict.registry.decision_ledger import Decisions
from dnapredict.registry.holdout_store import keep, kept
from dnapredict.registry.tested_appointments import RecordedOutcomes, TrainingExtract, keep_audited
from dnapredict.service.home_checks import store_checks


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def of(home: Path, digest: str = "d") -> np.ndarray:
    return kept(home, digest=digest, version="1").cohort.appointment


def as_the_first_releases_kept_it(home: Path, training: Training, digest: str) -> Path:  # noqa: F811
    """Fingerprints without a key, in a file that all may read."""
    keep(home, training, digest=digest)
    path = home / "tested" / f"{digest}.parquet"
    table = pq.read_table(path).replace_schema_metadata(None)
    plain = pa.array(training.tested.appointment)
    pq.write_table(table.set_column(table.column_names.index("appointment"), "appointment", plain), path)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    return path


def test_an_appointment_number_does_not_lead_to_its_row(tmp_path, training):  # noqa: F811
    keep(tmp_path, training, digest="d")
    numbers = pa.chunked_array([[f"a{n}" for n in range(50)]])
    assert len(np.intersect1d(of(tmp_path), training.tested.appointment)) == 0
    assert len(np.intersect1d(of(tmp_path), appointment_keys(numbers))) == 0


def test_only_the_owner_may_read_them_whatever_the_umask(tmp_path, training):  # noqa: F811
    before = os.umask(0)
    try:
        keep(tmp_path / "home", training, digest="d")
    finally:
        os.umask(before)
    made = [tmp_path / "home", tmp_path / "home" / "tested"]
    assert [mode(path) for path in made] == [0o700, 0o700]
    files = [tmp_path / "home" / "tested.secret", *(tmp_path / "home" / "tested").iterdir()]
    assert [mode(path) for path in files] == [0o600, 0o600]


def test_a_home_that_was_open_to_every_account_is_closed_and_its_group_keeps_its_rights(
    tmp_path,
    folder,  # noqa: F811
    training,  # noqa: F811
):
    made, shared = tmp_path / "made", tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    for home in (made, shared):
        Registry(home).register(folder, training)
    assert [mode(made), mode(shared)] == [0o700, 0o770]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_every_file_of_a_new_home_is_for_its_owner_alone(
    tmp_path,
    folder,  # noqa: F811
    training,  # noqa: F811
):
    """What the program writes is 0600; what MLflow writes lies in a folder that is 0700."""
    before = os.umask(0o022)
    try:
        registry = Registry(tmp_path / "home")
        registry.register(folder, training)
        registry.set_audit("1", verdict="PASS", digest="1" * 64)
        registry.promote("1")
    finally:
        os.umask(before)
    home = tmp_path / "home"
    private = {path for path in (home, *home.rglob("*")) if path.is_dir() and not mode(path) & 0o077}
    assert {home, home / "mlruns", home / "models" / "cards", home / "tested", home / "decisions"} <= private
    open_to_others = {path for path in home.rglob("*") if path.is_file() and mode(path) & 0o077}
    assert all(set(path.parents) & (private - {home}) for path in open_to_others)
    assert mode(home / "mlflow.db") == mode(home / "tested.secret") == 0o600


@pytest.mark.parametrize("touched_by", ["training", "comparing"])
def test_a_home_of_an_earlier_release_is_keyed_when_it_is_next_used(
    tmp_path,
    training,  # noqa: F811
    touched_by,
):
    old = as_the_first_releases_kept_it(tmp_path, training, "old")
    assert len(np.intersect1d(pq.read_table(old)["appointment"], training.tested.appointment)) > 0
    if touched_by == "training":
        keep(tmp_path, training, digest="new")
    found = of(tmp_path, "old")
    keep(tmp_path, training, digest="new")
    assert (found == of(tmp_path, "new")).all()  # so that the two can still be compared
    assert len(np.intersect1d(pq.read_table(old)["appointment"], training.tested.appointment)) == 0
    assert [mode(old), mode(old.parent)] == [0o600, 0o700]


@pytest.mark.parametrize("content", [None, "", "0" * 63, "f" * 64])
def test_a_secret_that_was_lost_or_changed_is_said_and_never_replaced(tmp_path, training, content):  # noqa: F811
    keep(tmp_path, training, digest="d")
    secret = tmp_path / "tested.secret"
    secret.unlink() if content is None else secret.write_text(content)
    with pytest.raises(StoreError, match=r"Restore it from a backup"):
        of(tmp_path)
    with pytest.raises(StoreError, match=r"Restore it from a backup"):
        keep(tmp_path, training, digest="e")
    assert (secret.read_text() if secret.exists() else None) == content


@pytest.fixture(scope="module")
def rival(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    """Another model."""
    other, path = train(world(seed=1), config=CONFIG, directions=(1, 1, 0)), tmp_path_factory.mktemp("rival") / "model"
    save(other.model, path, provenance=PROVENANCE, specimens=other.specimens)
    return path, other


def in_files(home: Path) -> list[str]:
    return sorted(path.relative_to(home / "tested").as_posix() for path in (home / "tested").rglob("*.parquet"))


def extract_of_50() -> TrainingExtract:
    """The extract of a training, as far as it is kept."""
    n = 50
    day = np.array(["2025-03-10"] * n, "datetime64[D]")
    rows = RecordedOutcomes(pa.chunked_array([[f"a{each}" for each in range(n)]]), np.zeros(n, np.int8), day)
    return TrainingExtract(rows, {})


def test_retention_deletes_what_no_version_in_use_was_tested_on(tmp_path, folder, training, rival):  # noqa: F811
    now = datetime.datetime.now(datetime.UTC)
    years = now - datetime.timedelta(days=1_200)
    registry = Registry(tmp_path)
    with set_back(years):
        registry.register(folder, training, appointments=extract_of_50())
        registry.register(*rival, appointments=extract_of_50())
        registry.set_audit("1", verdict="PASS", digest="1" * 64)
    before, limit = in_files(tmp_path), now - datetime.timedelta(days=1_096)
    assert len(before) == 4
    checked = registry.verify_kept()
    assert registry.remove_tested(years - datetime.timedelta(days=1)) == 0
    assert registry.remove_tested(limit) == 2  # of version 1, which is neither in use nor the challenger
    of_version_2 = in_files(tmp_path)
    assert len(of_version_2) == 2
    assert set(of_version_2) < set(before)
    assert registry.verify_kept() == checked - 1
    assert registry.entries()[-1].kind == "removal"
    assert registry.remove_tested(limit) == 0
    assert len([entry for entry in registry.entries() if entry.kind == "removal"]) == 1
    (tmp_path / "tested" / next(name for name in of_version_2 if "coverage" in name)).unlink()
    with pytest.raises(StoreError, match="missing, or not as written"):
        registry.verify_kept()


def test_what_the_version_in_use_was_tested_on_is_kept_whatever_its_age(tmp_path, folder, training, rival):  # noqa: F811
    with set_back(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1_200)):
        registry = Registry(tmp_path)
        registry.register(folder, training, appointments=extract_of_50())
        registry.register(*rival)
        registry.set_audit("1", verdict="PASS", digest="1" * 64)
        registry.promote("1")
    kept = in_files(tmp_path)
    assert registry.remove_tested(datetime.datetime.now(datetime.UTC)) == 0
    assert in_files(tmp_path) == kept


@pytest.mark.parametrize("removed_by", ["retention", "doctor"])
def test_what_a_killed_training_or_audit_left_is_deleted(
    tmp_path,
    folder,  # noqa: F811
    training,  # noqa: F811
    rival,
    monkeypatch,
    removed_by,
):
    """No entry of the ledger names it, by which the days of the others are counted; a run of the last hour may yet."""
    registry = Registry(tmp_path)
    registry.register(folder, training, appointments=extract_of_50())
    kept = in_files(tmp_path)
    with monkeypatch.context() as killing:
        killing.setattr(Decisions, "append", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.register(*rival, appointments=extract_of_50())
        audited = tmp_path / "tested" / "audits" / keep_audited(tmp_path, extract_of_50().appointments)
    left = [audited, *(tmp_path / "tested" / name for name in {*in_files(tmp_path)} - {*kept})]
    assert len(left) == 3
    assert not list(store_checks.held_out(tmp_path))
    assert registry.remove_tested(datetime.datetime.now(datetime.UTC)) == 0
    for path in (tmp_path / "tested").rglob("*"):
        os.utime(path, (time.time() - 7_200,) * 2)
    if removed_by == "retention":
        assert registry.remove_tested(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1_096)) == 3
    else:
        found = list(store_checks.held_out(tmp_path))
        assert {each.path for each in found} == {path.relative_to(tmp_path).as_posix() for path in left}
        for each in found:
            assert each.problem == "is left of a training or audit that was interrupted before it was recorded."
            each.repair()
    assert in_files(tmp_path) == kept
    assert not audited.exists()
    assert registry.verify_kept()
