"""The software bill of materials that `make sbom` writes: each package of a lock once, with its version and hashes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCKS = tuple(re.search(r"^SBOM_OF := (.+)$", MAKEFILE, re.MULTILINE)[1].split())
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)((?:.*\\\n)+.*)", re.MULTILINE)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written("serving/postgres.lock", tmp_path_factory.mktemp("first"))


def written(lock: str, folder: Path) -> bytes:
    """What the command of the Makefile writes for a lock."""
    command = re.search(r"\$\(BIN\)/python (-W ignore -m cyclonedx_py .+?) \|\| exit 1", MAKEFILE, re.DOTALL)[1]
    out = folder / "sbom.json"
    words = command.replace("\\\n", " ").replace("$$lock", lock).split()
    words[words.index("--output-file") + 1 :] = [str(out)]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
    return out.read_bytes()


def pinned(lock: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each release that a lock pins."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found = {
        (name, version): set(re.findall("sha256:([0-9a-f]{64})", rest)) for name, version, rest in _PINNED.findall(text)
    }
    assert len(found) == len(re.findall("^[a-z0-9].*==", text, re.MULTILINE))
    return found


def components(sbom: dict[str, Any]) -> list[tuple[str, str, str, set[str]]]:
    def hashes(component: dict[str, Any]) -> set[str]:
        references = component.get("externalReferences", [])
        return {each["content"] for reference in references for each in reference.get("hashes", [])}

    return [(each["name"], each["version"], each["purl"], hashes(each)) for each in sbom["components"]]


def test_each_package_of_a_lock_is_in_it_once_with_version_and_hashes(smallest: bytes) -> None:
    require_whole(smallest, of="serving/postgres.lock")


@pytest.mark.thorough  # the test above holds this of a small lock
@pytest.mark.parametrize("lock", sorted(set(LOCKS) - {"serving/postgres.lock"}))
def test_each_package_of_a_large_lock_is_in_it_once(lock: str, tmp_path: Path) -> None:
    require_whole(written(lock, tmp_path), of=lock)


def require_whole(document: bytes, *, of: str) -> None:
    expected, sbom = pinned(of), json.loads(document)
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["name"] == "dnapredict"
    found = components(sbom)
    assert {(name, version): hashes for name, version, _, hashes in found} == expected
    assert len(found) == len(expected) > 1
    for name, version, address, hashes in found:
        assert address.startswith(f"pkg:pypi/{name}@{version}")
        assert hashes


def test_two_runs_give_the_same_document(smallest: bytes, tmp_path: Path) -> None:
    assert written("serving/postgres.lock", tmp_path) == smallest


def test_the_locks_of_what_runs_are_described_and_ci_writes_them() -> None:
    assert set(LOCKS) == {"requirements.lock", "serving/serve.lock", "serving/postgres.lock"}
    assert "\nmake sbom\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_no_beta_is_installed_but_where_no_other_release_exists() -> None:
    """OpenTelemetry's instrumentation, which bentoml needs, has never had another release than betas.

    A lock also holds lines for Pythons that `requires-python` excludes.
    """
    for lock in LOCKS:
        lines = re.findall("^[a-z0-9].*==.*", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
        installed = [line for line in lines if "python_full_version >= '3.14'" not in line]
        early = [line for line in installed if re.search(r"==\S*[0-9](a|b|rc|\.dev)[0-9]", line)]
        assert all(line.startswith("opentelemetry-") for line in early), (lock, early)
