"""The built package works outside the checkout: it carries its configuration, templates and page."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("training/config.toml", "training/factors.toml", "fairness/policy.toml", "serving/worklist.toml")


def built(source: Path, out: Path, target: str = "wheel", **environment: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, env=os.environ | environment)
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed: Path, program: str, cwd: Path) -> str:
    """Standard output of `program`, run where only the wheel's dnapredict can be found."""
    first = f"import sys; sys.path.insert(0, {str(installed)!r})\n"
    command = [sys.executable, "-I", "-c", first + program]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_the_wheel_holds_every_file_of_the_package(wheel: Path):
    package = ROOT / "src" / "dnapredict"
    files = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name}
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("name", SHIPPED)
def test_configuration_is_found_and_is_the_checkouts_own(name: str, installed: Path, tmp_path: Path):
    program = f"from dnapredict.config.loading import shipped; print(shipped({name!r}))"
    found = Path(run_installed(installed, program, tmp_path).strip())
    assert found.is_relative_to(installed.resolve())
    assert found.read_bytes() == (ROOT / name).read_bytes()


def test_every_mapping_is_shipped(installed: Path):
    shipped = {path.name for path in (installed / "dnapredict/defaults/training/mappings").iterdir()}
    assert shipped >= {path.name for path in (ROOT / "training/mappings").glob("*.toml")} > set()


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_two_builds_in_different_folders_at_different_times_are_the_same_bytes(target: str, tmp_path: Path):
    """A release can be built again and compared: dates, permissions and order of the sources change nothing."""
    kept = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "dist", "out", ".*_cache", ".hypothesis")
    made = []
    for place, umask, date in (("first", 0o022, 1_000_000_000), ("second/deeper", 0o077, 1_100_000_000)):
        source, out = tmp_path / place, tmp_path / place.replace("/", "-") / "out"
        before = os.umask(umask)
        try:
            shutil.copytree(ROOT, source, ignore=kept, copy_function=shutil.copyfile)
            for path in source.rglob("*"):
                os.utime(path, (date, date))
            made.append(built(source, out, target, SOURCE_DATE_EPOCH="1700000000", PYTHONHASHSEED=str(umask)))
        finally:
            os.umask(before)
    assert made[0].name == made[1].name
    assert made[0].read_bytes() == made[1].read_bytes()
