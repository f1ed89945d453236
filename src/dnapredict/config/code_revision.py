"""The revision of the running code, which a model card needs so that the model can be reproduced."""

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def code_revision() -> str:
    """The commit of the checkout that runs, with `+dirty` where files differ; else the version installed."""
    if _git("rev-parse", "--show-prefix") != "src/dnapredict/":  # installed, or inside another repository
        return f"dnapredict {version('dnapredict')}"
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "..")
    return f"{commit}+dirty" if changed else commit


def _git(*words: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    answer = subprocess.run(  # noqa: S603 - fixed words, no shell
        [git, "-C", str(_PACKAGE), *words], capture_output=True, text=True, check=False, timeout=30
    )
    return answer.stdout.strip()
