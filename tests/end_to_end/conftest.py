"""One small synthetic trust for all end-to-end tests of a session."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.end_to_end.world import Trust, weekly_list

from dnapredict import cli

Run = Callable[..., subprocess.CompletedProcess[str]]

# Every verdict but PASS needs a signature.
SIGNED = ("--name", "A. Reviewer", "--role", "Equality lead", "--reason", "Read by the panel.", "--decision", "approve")

QUICK = """
[model]
max_rounds = 60
patience = 20
learning_rate = 0.2
"""


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`dnapredict` as a person runs it, in this process: a new one would load its libraries anew."""
    words, out, err = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["dnapredict", *words]
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            cli.main()
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(words, int(end.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def dnapredict() -> Run:
    return command


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    place: Path = tmp_path_factory.mktemp("trust")
    extract, home, weekly = place / "extract.parquet", place / "home", place / "weekly.parquet"
    config = place / "config.toml"
    config.write_text(QUICK, encoding="utf-8")
    for step in (
        ("simulate", extract, "--appointments", 40_000, "--seed", 5),
        ("train", extract, "--home", home, "--config", config),
        ("audit", extract, "--model", "1", "--home", home, "--out", place / "report"),
        ("sign", place / "report", *SIGNED, "--home", home),
        ("promote", "1", "--home", home),
        ("refresh", extract, "--home", home),
    ):
        done = command(*step)
        assert done.returncode == 0, (step, done.stderr)
    weekly_list(extract, weekly)
    return Trust(home, extract, weekly)
