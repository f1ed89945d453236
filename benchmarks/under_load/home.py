"""A home to serve: that of `dnapredict demo`, with a champion and a history of made-up patients."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.under_load.served import OURS

__all__ = ["made_home"]


def made_home(place: Path) -> Path:
    """A home with a champion and a history store, and without a key: the requests of a benchmark have none."""
    home = place / "home"
    command = [sys.executable, "-c", OURS, "demo", "--home", str(home)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(home / "keys")
    (home / "keys-were-made").unlink()
    return home
