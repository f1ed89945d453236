"""What holds for the repository as a whole: locks, layout, what each module shows and what it may import."""

import ast
import functools
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "dnapredict").rglob("*.py"))
LOCKS = ("requirements.lock", "requirements-test.lock")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)", re.MULTILINE)

# What models registered before the package `risk` became `model` import.
ALIAS = ROOT / "src" / "dnapredict" / "risk" / "artefact.py"
LARGEST_FOLDER = 16
# Who may know a heavy library, so that it can be replaced in one place.
KNOWN_TO = {
    "bentoml": {"service"},
    "fairlearn": {"fairness"},
    "lightgbm": {"model"},
    "mlflow": {"registry"},
    "pyspark": {"data"},
    "shap": {"model"},
    "sklearn": {"model", "fairness"},  # fairlearn compares groups by scikit-learn's metrics
    "typer": {"cli"},
}
# Installed though no line imports them, and why.
NOT_IMPORTED = {
    "duckdb": "the engine behind ibis",
    "python-multipart": "by which starlette reads forms with files",
    "tzdata": "time zones on Windows, which has none of its own",
}
IMPORTED_AS = {
    "ibis-framework": "ibis",
    "markdown-it-py": "markdown_it",
    "prometheus-client": "prometheus_client",
    "pyjwt": "jwt",
    "scikit-learn": "sklearn",
    "tomli-w": "tomli_w",
}


def in_package(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "dnapredict").as_posix()


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Top-level names of what a module imports, wherever in the module it does."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {found["name"]: found["version"] for found in PIN.finditer(text)}


def requirements(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return set(wanted)


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;]", requirement)[0].strip()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_hashes_every_release(lock: str):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert len(entries) == len(PIN.findall(text)) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|index-url|find-links|file:|@ ", text)


@pytest.mark.parametrize(("lock", "extras"), [(LOCKS[0], ()), (LOCKS[1], ("test",))])
def test_a_lock_holds_every_dependency(lock: str, extras: tuple[str, ...]):
    assert {name_of(wanted).lower() for wanted in requirements(*extras)} <= pins(lock).keys()


def test_tests_run_on_the_releases_that_are_shipped():
    assert pins(LOCKS[0]).items() <= pins(LOCKS[1]).items()


def test_every_dependency_has_a_lower_bound():
    assert [wanted for wanted in requirements("test", "spark") if ">=" not in wanted] == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    used = {name for path in SOURCES for name in imports(path)} - sys.stdlib_module_names - {"dnapredict"}
    declared = {IMPORTED_AS.get(name_of(wanted), name_of(wanted)) for wanted in requirements("spark")}
    assert used - declared == set()
    assert declared - used - NOT_IMPORTED.keys() - {"pyspark"} == set()


@pytest.mark.parametrize("library", KNOWN_TO)
def test_a_heavy_library_is_known_to_one_place(library: str):
    knowing = {in_package(path) for path in SOURCES if library in imports(path)}
    assert {path.removesuffix(".py").partition("/")[0] for path in knowing} <= KNOWN_TO[library], knowing


def test_only_packages_list_what_they_export():
    listing = [in_package(path) for path in SOURCES if shown(path) is not None and path.name != "__init__.py"]
    assert listing == []


def test_what_a_package_exports_is_there():
    for path in SOURCES:
        names = shown(path) or []
        assert set(names) <= defined(path), in_package(path)
        assert len(names) == len(set(names)), in_package(path)


def test_no_name_of_a_module_or_class_stands_for_two_things():
    names = Counter(path.stem for path in SOURCES if not path.name.startswith("__") and path != ALIAS)
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names.update(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert {name for name, count in names.items() if count > 1} == set()


def test_every_folder_says_what_comes_in_what_goes_out_and_what_never_happens():
    packages = [path for path in SOURCES if path.name == "__init__.py" and path.parent != ALIAS.parent]
    for path in packages:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), in_package(path)
    assert max(Counter(path.parent for path in SOURCES).values()) <= LARGEST_FOLDER


def shown(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def defined(path: Path) -> set[str]:
    """Names that a module makes or brings in at its top level."""
    names: set[str] = set()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    typed = [each for node in body if isinstance(node, ast.If) for each in node.body]  # imported when it is used
    for node in (*body, *typed):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {name.name for name in node.names}
    return names


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "benchmarks",
        "docs/decisions.md",
        "docs/results.md",
        "fairness/policy.toml",
        "fairness/README.md",
        "models/README.md",
        "pyproject.toml",
        "serving/worklist.toml",
        "training/config.toml",
        "training/DATA.md",
        "training/factors.toml",
        "training/mappings",
    ],
)
def test_the_layout_is_as_the_readme_tells(name: str):
    assert (ROOT / name).exists()


def test_nothing_names_the_machine_it_was_written_on():
    """A path or a package registry of one workplace is of no use, or worse, anywhere else."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout, or no git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    places = ("/work" + "/", "/root" + "/", "python" + "hosted", "pypi." + "org/simple")
    tracked = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    naming = [path.name for path in tracked if path.is_file() and any(place in _text(path) for place in places)]
    assert naming == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_supported_pythons_agree_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = {line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line}
    assert told == {"3.11", "3.12", "3.13"}
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in _text(ROOT / "Makefile")
