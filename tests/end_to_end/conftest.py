"""One small synthetic trust for all end-to-end tests of a session."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks.filled_home import fill
from tests.end_to_end.spark_cluster import NEEDED, SharedSession, is_there
from tests.end_to_end.world import Trust, made_once, weekly_list
from tests.unit.registry_homes import copy_of

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
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSession]:
    """A session on a cluster, which the files of tests that use it start, and the last of them ends."""
    if not is_there():
        if os.environ.get("CI"):
            pytest.fail(f"CI has no Spark. {NEEDED}")
        pytest.skip(NEEDED)
    shared = SharedSession(tmp_path_factory.mktemp("spark"))
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """A trust for the tests of this process, copied from one that is trained once for all of them."""
    made, place = made_once("trust", make_trust, tmp_path_factory), tmp_path_factory.mktemp("trust")
    home, trained = (copy_of(made / name, place / name) for name in ("home", "trained"))
    return Trust(home, made / "extract.parquet", made / "weekly.parquet", trained, made / "training.json")


@pytest.fixture(scope="session")
def filled(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `home`, which holds all that a home can, `key`, and the configuration of the home's trial.

    Tests copy the home and write to none of it.
    """

    def make(place: Path) -> None:
        copy_of(trust.home, place / "home")
        token = fill(place / "home", extract=trust.extract, weekly=trust.weekly, place=place, command=must_succeed)
        (place / "key").write_text(token, encoding="utf-8")

    return made_once("filled", make, tmp_path_factory)


def make_trust(place: Path) -> None:
    extract, home, trained = place / "extract.parquet", place / "home", place / "trained"
    config = place / "config.toml"
    config.write_text(QUICK, encoding="utf-8")
    for step in (
        ("simulate", extract, "--appointments", 40_000, "--seed", 5),
        ("train", extract, "--home", trained, "--config", config, "--json"),
    ):
        said = must_succeed(*step)
    (place / "training.json").write_text(said, encoding="utf-8")
    copy_of(trained, home)
    for audited in (
        ("audit", extract, "--model", "1", "--home", home, "--out", place / "report"),
        ("sign", place / "report", *SIGNED, "--home", home),
        ("promote", "1", "--home", home),
        ("refresh", extract, "--home", home),
    ):
        must_succeed(*audited)
    weekly_list(extract, place / "weekly.parquet")


def must_succeed(*step: object) -> str:
    done = command(*step)
    assert done.returncode == 0, (step, done.stderr)
    return str(done.stdout)
