"""Smoke test of a model: score examples in a child process before it replaces a model that works.

Even with correct hashes, LightGBM of another version can abort the process that loads a model's text file.
Here that ends a child process and not a worker.
"""

import subprocess
import sys
from typing import Final

from dnapredict.errors import DnapredictError, ModelError
from dnapredict.service.api.request_models import as_table

_SECONDS: Final = 180
# Made-up values: the test is that the whole path runs, not which score it gives.
_APPOINTMENT: Final = {
    "patient_id": "nobody",
    "booked_at": "2026-01-05 09:00",
    "starts_at": "2026-02-02 10:20",
}
EXAMPLES: Final = (as_table([_APPOINTMENT | {"appointment_id": "example"}]),)
"""Requests of the usual shape: scoring them compiles all queries that later requests need."""


def run_smoke_test(version: str, *, challenger: bool = False) -> None:
    """Load a version of the served home and score an example with it, in a child process.

    A `challenger` need not have been put in use.

    Raises
    ------
    ModelError
        If the child process fails or takes too long.
    """
    command = [sys.executable, "-m", __name__, version, *(["challenger"] if challenger else [])]
    try:
        result = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
        failed = result.returncode != 0
    except subprocess.TimeoutExpired:
        failed = True
    if failed and challenger:
        raise ModelError(f"Version {version} failed when it was tried out.")
    if failed:
        raise ModelError(
            f"Version {version} failed when it was tried out; the model before it stays in use. "
            f"`dnapredict promote` chooses another champion."
        )


def _main(version: str, *, challenger: bool) -> int:
    from dnapredict import pipeline
    from dnapredict.pipeline.comparison.challenger_scoring import open_challenger
    from dnapredict.service.start import served_home

    try:
        home = served_home()
        scorer = open_challenger(home, version) if challenger else pipeline.open_scorer(home, model=version)
        for example in EXAMPLES:
            scorer.score(example)
    except DnapredictError as error:
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], challenger="challenger" in sys.argv[2:]))
