"""The command line: one verb for each thing a person wants done, one file for each group of verbs."""

import sys
from typing import NoReturn

from dnapredict.data.engine import interruption

__all__ = ["main"]

_STOPPED_CODE = 130


def main() -> NoReturn:
    """Run the command that was typed, and exit with its code; Ctrl-C ends it at any moment.

    Nothing heavy is imported before Ctrl-C is listened for: while libraries load, people press it too.
    """
    with interruption.watched():
        try:
            from dnapredict.cli.program import run

            code = run()
        except KeyboardInterrupt:
            code = _STOPPED_CODE
        if code == _STOPPED_CODE or (code and interruption.requested()):
            code = 128 + (interruption.requested() or 2)
            _say_stopped()
    sys.exit(code)


def _say_stopped() -> None:
    from dnapredict.cli.exit_handling import stopped

    sys.stderr.write(stopped(sys.argv[1:]) + "\n")
