"""A host that only serves and scores has the packages of `serving/serve.lock`, and no others."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.end_to_end.world import Trust

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "serving" / "serve.lock").read_text(encoding="utf-8")
TEST_LOCK = (ROOT / "requirements-test.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Python loads this module before any other. What it refuses is installed here, and is not on such a host.
REFUSING = """
import sys

class Refusing:
    hidden = {hidden!r}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
"""


def pins(lock: str) -> dict[str, str]:
    """The release of each package of a lock; entries for Python 3.14, which dnapredict refuses, are left out."""
    entries = re.findall(r"^([a-z0-9.-]+)==(\S+)(.*)", lock, re.MULTILINE)
    return {name: release for name, release, marker in entries if "python_full_version >= '3.14'" not in marker}


def serving_only(place: Path) -> dict[str, str]:
    """An environment in which Python finds dnapredict and the packages of the lock alone."""
    known = {*pins(LOCK), "dnapredict", "mlflow"}  # mlflow-skinny has the modules of mlflow
    hidden = {
        module
        for module, owners in packages_distributions().items()
        if not known & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    }
    assert {"fairlearn", "shap", "matplotlib", "flask", "optuna"} <= hidden
    (place / "sitecustomize.py").write_text(REFUSING.format(hidden=hidden), encoding="utf-8")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT / "src")])}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return serving_only(tmp_path_factory.mktemp("packages"))


def run(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dnapredict.cli", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_lock_is_a_part_of_what_is_tested_and_renewed_with_it():
    assert pins(LOCK).items() - pins(TEST_LOCK).items() == set()
    assert LOCK.count("--hash=sha256:") > len(pins(LOCK))
    assert "://" not in LOCK
    planned = ["make", "--dry-run", "--assume-old=.venv/.made", "lock"]
    assert "serving/serve.lock" in subprocess.run(planned, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_its_packages_are_dependencies_of_the_project():
    wanted = {each.replace("mlflow-skinny", "mlflow") for each in PROJECT["dependency-groups"]["serve"]}
    assert wanted <= set(PROJECT["project"]["dependencies"])


def test_only_opentelemetry_which_has_no_other_releases_is_a_beta():
    for name in ("requirements.lock", "requirements-test.lock", "serving/serve.lock"):
        found = pins((ROOT / name).read_text(encoding="utf-8"))
        assert {each for each, release in found.items() if re.search("[0-9](a|b|rc|dev)[0-9]", release)} == {
            each for each in found if re.match("opentelemetry-(instrumentation|semantic|util)", each)
        }, name


def test_a_list_is_scored_and_the_home_is_examined(trust: Trust, environment: dict[str, str], tmp_path: Path):
    out = tmp_path / "worklist.parquet"
    done = run(environment, "score", trust.weekly, "--out", out, "--home", trust.home)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(out).num_rows == pq.read_table(trust.weekly).num_rows
    examined = run(environment, "doctor", "--home", trust.home)
    assert examined.returncode == 0, examined.stdout


def test_a_command_that_needs_more_says_which_module_and_how_to_get_it(
    trust: Trust, environment: dict[str, str], tmp_path: Path
):
    refused = run(environment, "audit", trust.extract, "--model", 1, "--home", trust.home, "--out", tmp_path / "audit")
    assert refused.returncode == 14
    assert re.search("needs the Python module (fairlearn|matplotlib)", refused.stderr)
    assert "install the packages of requirements.lock" in refused.stderr
    assert not (tmp_path / "audit").exists()
