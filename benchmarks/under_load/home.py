"""A home to serve: that of `dnapredict demo`, with a champion and a history of made-up patients."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.under_load.served import OURS

__all__ = ["made_home", "say"]


def made_home(place: Path, given: str | Path | None = None) -> Path:
    """A home with a champion and a history store, and without a key: the requests of a benchmark have none.

    It is a copy of the home `given`, which stays as it is, or else that of `dnapredict demo`.
    """
    home = place / "home"
    if given:
        say(f"copying {given}")
        shutil.copytree(given, home)
    else:
        say("making a home with dnapredict demo, which takes a minute or two")
        command = [sys.executable, "-c", OURS, "demo", "--home", str(home)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # With a key in the home, and none in the requests, every answer would be 401.
    shutil.rmtree(home / "keys", ignore_errors=True)
    (home / "keys-were-made").unlink(missing_ok=True)
    return home


def say(what: str) -> None:
    """Tell on standard error what is being done now: a benchmark of minutes is silent until its end otherwise."""
    print(f"... {what}", file=sys.stderr, flush=True)
