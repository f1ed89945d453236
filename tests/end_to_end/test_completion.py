"""`--version`, and Tab in a shell: what is installed completes verbs and options, though they load late."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import dnapredict as package


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment with a home folder of its own, and a command `dnapredict` on the path."""
    programs = tmp_path / "programs"
    programs.mkdir()
    executable(programs / "dnapredict", f'exec "{sys.executable}" -m dnapredict.cli "$@"')
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "HOME": str(tmp_path), "PATH": path, "TERM": "dumb"}


def executable(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def run(shell: dict[str, str], *words: str, **variables: str) -> str:
    done = subprocess.run(words, env={**shell, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_version_is_that_of_the_package(dnapredict):
    done = dnapredict("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dnapredict {package.__version__}\n", "")
    assert package.__version__ == version("dnapredict")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("sc", ["score"]),
        ("keys re", ["revoke"]),
        ("audit --mo", ["--model", "--monthly"]),
        ("train --js", ["--json"]),
        ("--ver", ["--version"]),
    ],
)
def test_bash_completes_what_was_begun(typed: str, completed: list[str], shell):
    words = ["dnapredict", *typed.split()]
    told = run(shell, "bash", "-c", "dnapredict --install-completion; true")  # bash is found as the parent
    assert "bash completion installed" in told
    script = f"""
        source "$HOME/.bashrc"
        COMP_WORDS=({" ".join(words)}) COMP_CWORD={len(words) - 1}
        _dnapredict_completion dnapredict
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert run(shell, "bash", "-c", script).split() == completed


def test_powershell_completes_what_was_begun(shell, tmp_path: Path):
    """The script is the one that typer installs; PowerShell itself runs it, so its answers are looked at."""
    profile = tmp_path / "profile.ps1"
    executable(tmp_path / "programs" / "pwsh", f'case "$*" in *profile*) echo "{profile}";; esac')
    chosen = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    run(shell, "dnapredict", "--install-completion", "pwsh", **chosen)
    script = profile.read_text(encoding="utf-8")
    assert "Register-ArgumentCompleter -Native -CommandName dnapredict" in script
    assert '$Env:_DNAPREDICT_COMPLETE = "complete_powershell"' in script
    assert run(shell, "dnapredict", "--show-completion", "pwsh", **chosen).strip() == script.strip()
    for typed, begun, completed in (("sc", "sc", {"score"}), ("audit --mo", "--mo", {"--model", "--monthly"})):
        variables = {
            "_DNAPREDICT_COMPLETE": "complete_powershell",
            "_TYPER_COMPLETE_ARGS": f"dnapredict {typed}",
            "_TYPER_COMPLETE_WORD_TO_COMPLETE": begun,
        }
        lines = run(shell, "dnapredict", **variables).splitlines()
        assert {line.partition(":::")[0] for line in lines} == completed
        assert all(line.partition(":::")[2] for line in lines)
