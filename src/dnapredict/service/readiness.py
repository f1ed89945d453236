"""Whether a home can answer requests: what start-up and `/readyz` ask, in milliseconds; `doctor` checks all of it."""

from pathlib import Path

from dnapredict.service.auth import api_keys
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.scoring_log import ScoringLog


def require_answerable(home: Path, log: ScoringLog) -> None:
    """Refuse a home in which no request can be answered: keys, log and secret are checked, in milliseconds.

    Raises
    ------
    StoreError
        If keys are damaged or lost, or an answer could not be put on record.
    """
    api_keys.all_keys(home)
    log.open()
    Hashes(home, log).of("secret", "check")
