"""What surrounds a training: its study's name, its calls, its code revision, and the bar that only a terminal sees."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from dnapredict.cli.program import app
from dnapredict.config.training_config import ModelSettings, Setting, TrainingConfig, Tuning
from dnapredict.data.engine.duckdb_engine import MEMORY_VARIABLE, Workspace, memory_in_mb
from dnapredict.errors import UsageError
from dnapredict.features import matrix as matrix_module
from dnapredict.features.factors import factor_register
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.cohort import COHORT_COLUMNS, cohort_of
from dnapredict.pipeline import training_inputs
from dnapredict.pipeline.run_inputs import code_revision, labelled_matrix, matrix_of, sound_extract
from dnapredict.synthetic.simulation import simulate

DIGEST = "0" * 64


def setting(**changes):
    return Setting(config=TrainingConfig(**changes))


def test_a_training_without_tuning_has_no_study_and_makes_no_home(tmp_path):
    assert training_inputs.study(tmp_path / "home", DIGEST, setting()) is None
    assert not (tmp_path / "home").exists()


def test_a_longer_search_goes_on_with_the_study_of_a_shorter_one(tmp_path):
    short, long = (
        training_inputs.study(tmp_path, DIGEST, setting(tuning=Tuning(trials=n, minutes=n))) for n in (5, 50)
    )
    assert short == long
    assert short.url.endswith("/tuning.db")


def test_another_extract_or_another_configuration_has_another_study(tmp_path):
    tuned = {"tuning": Tuning(trials=5)}
    first = training_inputs.study(tmp_path, DIGEST, setting(**tuned))
    deeper = training_inputs.study(tmp_path, DIGEST, setting(**tuned, model=ModelSettings(num_leaves=5)))
    later = training_inputs.study(tmp_path, "1" * 64, setting(**tuned))
    assert len({first.name, deeper.name, later.name}) == 3


def test_calls_are_those_of_the_worklist():
    assert str(training_inputs.calls()) == "top 10%"


def git(folder, *words):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkout_is_named_by_its_commit_and_an_installed_package_by_its_version(tmp_path):
    package = tmp_path / "src" / "dnapredict"
    package.mkdir(parents=True)
    (package / "module.py").write_text("")
    assert code_revision(package).startswith("dnapredict ")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "First")
    assert re.fullmatch("[0-9a-f]{40}", code_revision(package))
    (package / "module.py").write_text("changed")
    assert re.fullmatch(r"[0-9a-f]{40}\+dirty", code_revision(package))


@pytest.mark.skipif(not (Path(__file__).parents[2] / ".git").exists(), reason="needs a checkout")
def test_the_running_code_of_a_checkout_is_named_by_its_commit():
    assert re.fullmatch(r"[0-9a-f]{40}(\+dirty)?", code_revision())


def test_a_matrix_in_a_file_has_the_values_and_rows_of_one_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix_module, "_ROWS_AT_ONCE", 700)
    path, config, register = tmp_path / "extract.parquet", TrainingConfig(), factor_register()
    simulate(path, appointments=3_000, seed=3)
    outcomes = LabelRule(config.dna_codes)
    with Workspace() as workspace:
        checked = sound_extract(path, Setting(), workspace)
        stored = labelled_matrix(checked, config, register, workspace=workspace)
        whole = matrix_of(checked, config, register, extra_columns=COHORT_COLUMNS, workspace=workspace)
        cohorts = [cohort_of(each, outcomes=outcomes, zone="Europe/London") for each in (stored, whole)]
    one, other = ({name: getattr(cohort, name) for name in ("matrix", "dna", "patient")} for cohort in cohorts)
    assert 1_000 < len(one["dna"]) < 3_000
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)
    for name, grouping in cohorts[0].groupings.items():
        np.testing.assert_array_equal(grouping.codes, cohorts[1].groupings[name].codes, err_msg=name)
    assert isinstance(stored.values, np.memmap)


def test_an_extract_of_appointments_to_come_gives_an_empty_matrix(tmp_path):
    simulate(tmp_path / "extract.parquet", appointments=500, seed=3)
    table = pq.read_table(tmp_path / "extract.parquet")
    empty = pa.nulls(table.num_rows, table["outcome_code"].type)
    table = table.set_column(table.column_names.index("outcome_code"), "outcome_code", empty)
    pq.write_table(table, tmp_path / "extract.parquet")
    with Workspace() as workspace:
        checked = sound_extract(tmp_path / "extract.parquet", Setting(), workspace)
        stored = labelled_matrix(checked, TrainingConfig(), factor_register(), workspace=workspace)
    assert stored.values.shape == (0, len(stored.factors))


@pytest.mark.parametrize(("size", "mb"), [("4GB", 4_000), ("1.5 gb", 1_500), ("750MB", 750)])
def test_the_memory_of_a_command_is_a_size(size, mb):
    assert memory_in_mb(size) == mb


@pytest.mark.parametrize("size", ["4", "GB", "-4GB", "499MB", "half", "4TB"])
def test_what_is_no_size_of_memory_is_refused(size):
    with pytest.raises(UsageError, match="Write it as 4GB or 1500MB"):
        memory_in_mb(size)


def limit_of_an_engine(needed: str = "") -> float:
    with Workspace(memory_limit=needed) as workspace:
        number, unit = workspace.fetch("SELECT current_setting('memory_limit') AS size")["size"][0].as_py().split()
    return float(number) * {"MiB": 2**20, "GiB": 2**30}[unit]


def test_an_engine_gets_half_of_what_a_command_may_hold(monkeypatch):
    monkeypatch.setenv(MEMORY_VARIABLE, "2GB")
    assert limit_of_an_engine() == pytest.approx(1e9, rel=0.001)
    assert limit_of_an_engine("256MB") == pytest.approx(256e6, rel=0.01)
    assert limit_of_an_engine("2GB") == pytest.approx(1e9, rel=0.001)
    monkeypatch.delenv(MEMORY_VARIABLE)
    own = duckdb.connect().sql("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    assert limit_of_an_engine() == pytest.approx(float(own[0]) * 2**30 * 0.25 / 0.8, rel=0.02)


def test_memory_is_an_option_of_each_verb_that_reads_an_extract(monkeypatch, tmp_path):
    monkeypatch.setenv(MEMORY_VARIABLE, "3GB")
    simulate(tmp_path / "extract.parquet", appointments=50, seed=3)
    done = CliRunner().invoke(app, ["check", str(tmp_path / "extract.parquet"), "--memory", "700MB"])
    assert done.exit_code == 0
    assert os.environ[MEMORY_VARIABLE] == "700MB"
    assert isinstance(CliRunner().invoke(app, ["check", "x.csv", "--memory", "lots"]).exception, UsageError)
