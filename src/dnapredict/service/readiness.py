"""Whether a home can answer requests: what start-up and `/readyz` ask, in milliseconds; `doctor` checks all of it."""

import os
from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError
from dnapredict.service.auth import api_keys
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog

IDENTITY_VARIABLE: Final = "DNAPREDICT_HOME_IDENTITY"
"""Set by `serve` for its workers: one that is started later must not take another folder for the home."""


def require_answerable(home: Path, log: ScoringLog) -> None:
    """Refuse a home in which no request can be answered: keys, log and secret are checked, in milliseconds.

    Raises
    ------
    StoreError
        If keys are damaged or lost, an answer could not be put on record, or the folder is not the one with which the
        service began.
    """
    if identity_of(home) != first_identity(home):  # a new log must not be begun in it
        raise StoreError(f"{home}: was removed, replaced or unmounted while it is in use.")
    api_keys.all_keys(home)
    log.open()
    Hashes(home, log).of("secret", "check")


def named_identity(home: Path) -> str:
    """The value of `IDENTITY_VARIABLE` for the workers of this home."""
    return f"{identity_of(home)} {home.resolve()}"


def first_identity(home: Path) -> str:
    """The identity of the folder with which the service of this home began: in a worker, that of its parent's start."""
    identity, _, of = os.environ.get(IDENTITY_VARIABLE, "").partition(" ")
    return identity if of == str(home.resolve()) else identity_of(home)


def identity_of(home: Path) -> str:
    """What tells the folder from another one under the same path; "" where there is none."""
    try:
        state = home.stat()
    except OSError:
        return ""
    return f"{state.st_dev}:{state.st_ino}"
