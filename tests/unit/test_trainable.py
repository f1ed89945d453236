"""What surrounds a training: its study's name, its calls, its code revision, and the bar that only a terminal sees."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dnapredict.cli.messages import tuning_bar
from dnapredict.config.training_config import ModelSettings, Setting, TrainingConfig, Tuning
from dnapredict.model.fit.tuning import TuningProgress
from dnapredict.pipeline import training_inputs
from dnapredict.pipeline.run_inputs import code_revision


@pytest.fixture
def extract(tmp_path):
    path = tmp_path / "extract.csv"
    path.write_text("appointment_id\n1\n")
    return path


def setting(**changes):
    return Setting(config=TrainingConfig(**changes))


def test_a_training_without_tuning_has_no_study_and_makes_no_home(tmp_path, extract):
    assert training_inputs.study(tmp_path / "home", extract, setting()) is None
    assert not (tmp_path / "home").exists()


def test_a_longer_search_goes_on_with_the_study_of_a_shorter_one(tmp_path, extract):
    short, long = (
        training_inputs.study(tmp_path, extract, setting(tuning=Tuning(trials=n, minutes=n))) for n in (5, 50)
    )
    assert short == long
    assert short.url.endswith("/tuning.db")


def test_another_extract_or_another_configuration_has_another_study(tmp_path, extract):
    tuned = {"tuning": Tuning(trials=5)}
    first = training_inputs.study(tmp_path, extract, setting(**tuned))
    deeper = training_inputs.study(tmp_path, extract, setting(**tuned, model=ModelSettings(num_leaves=5)))
    extract.write_text("appointment_id\n2\n")
    later = training_inputs.study(tmp_path, extract, setting(**tuned))
    assert len({first.name, deeper.name, later.name}) == 3


def test_calls_are_those_of_the_worklist():
    assert str(training_inputs.calls()) == "top 10%"


def test_a_pipe_sees_no_bar_and_a_terminal_sees_how_far_it_is(monkeypatch):
    with tuning_bar() as watch:
        assert watch is None

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with tuning_bar() as watch:
        assert "Tuning" not in screen.getvalue()
        watch(TuningProgress(done=3, wanted=10, best=0.41234))
    assert "best log loss 0.41234" in screen.getvalue()


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
