"""Ended sessions: one file in the home for each session that was signed out.

A session is a sealed text in a cookie, which can be copied, so that every worker must know at once, and after a
restart, that it was ended. Checking whether a file exists needs no lock and no open file. A file is removed a
day after its session would have expired.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.errors import StoreError

# A clock that is set back must not make an ended session valid again.
_SECONDS_KEPT: Final = 86_400
_FOLDER: Final = Path("keys") / "ended-sessions"


def is_ended(home: Path, name: str) -> bool:
    """Whether the session of that name was ended.

    Raises
    ------
    StoreError
        If that cannot be read.
    """
    try:
        (home / _FOLDER / name).stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{home / _FOLDER}: cannot be read ({type(error).__name__}).") from None
    return True


def end(home: Path, name: str, *, until: int) -> None:
    """End the session of that name, which would last until the Unix time `until`.

    Raises
    ------
    StoreError
        If that cannot be written: the session then remains valid.
    """
    write_private(home / _FOLDER / name, str(until))
    _remove_outdated(home / _FOLDER)


def _remove_outdated(folder: Path) -> None:
    """Remove the files of sessions that have expired; another worker may be doing the same."""
    oldest = time.time() - _SECONDS_KEPT
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, ValueError):
                if int(Path(entry).read_text(encoding="ascii")) < oldest:
                    os.unlink(entry)
