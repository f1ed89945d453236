"""The command line: options and messages of each verb; one module for each group of verbs.

In: words that a person typed. Out: an exit code, with results on standard output and messages on standard error. A verb
reads its options, calls one function of `pipeline` and prints. Never a patient's value in a message.
"""

import gc
import sys
from typing import Final, NoReturn

from dnapredict.data.engine import interruption
from dnapredict.data.files.operating_system import write_no_core

__all__ = ["main"]

_STOPPED_CODE: Final = 130
# The libraries of a command create hundreds of thousands of objects that live as long as it does. With Python's default
# of 700 new objects between collections, a command takes a seventh more processor time until it begins.
_COLLECT_AFTER: Final = (50_000, 50, 50)


def main() -> NoReturn:
    """Run the command that was typed, and exit with its code; Ctrl-C ends it at any moment.

    Signal handlers are installed before any library is imported: people press Ctrl-C while libraries load, too.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    write_no_core()
    with interruption.watched():
        try:
            from dnapredict.cli.program import run

            code = run()
        except KeyboardInterrupt:
            code = _STOPPED_CODE
        if code == _STOPPED_CODE or (code and interruption.requested()):
            code = 128 + (interruption.requested() or 2)
            _print_stopped()
    sys.exit(code)


def _print_stopped() -> None:
    from dnapredict.cli.exit_handling import stopped_message

    sys.stderr.write(stopped_message(sys.argv[1:]) + "\n")
