"""Temporary folders that are removed by the next process where the one that made them was killed.

What an engine spills to the disk may be rows of an extract. A process that ends removes its folders; one that is killed
cannot. So each folder is locked for as long as its process runs, and folders without a lock are removed.
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dnapredict.data.files.operating_system import is_abandoned_folder, locked_folder

PREFIX: Final = "dnapredict-"
"""How the names of temporary folders begin."""

_NAMED: Final = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")


@contextlib.contextmanager
def temporary_folder(folder: Path | None = None) -> Iterator[Path]:
    """Yield a new folder for its owner alone, in `folder` or the system's temporary folder; remove it at the end.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    remove_abandoned(folder)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        with locked_folder(made):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_abandoned(folder: Path | None = None) -> int:
    """Remove the temporary folders of this account whose process was killed, and return their number."""
    top = Path(tempfile.gettempdir() if folder is None else folder)
    removed = 0
    for path in top.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if _NAMED.fullmatch(path.name) and is_abandoned_folder(path):
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed
