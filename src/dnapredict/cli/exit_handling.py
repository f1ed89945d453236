"""Errors on the command line: the message and the exit code of a command that could not finish."""

import errno
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dnapredict.errors import DnapredictError, StoreError

_TRACEBACK: Final = "DNAPREDICT_TRACEBACK"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of DuckDB and Arrow by name, since these libraries are not loaded for every verb.
_NO_MEMORY: Final = ("OutOfMemoryException", "ArrowMemoryError")
_NO_DISK: Final = ("IOException",)

# The message of `Path.resolve` before Python 3.13, which raises a plain RuntimeError.
_LINK_LOOP: Final = "Symlink loop from "

_RUN_AGAIN: Final = "Run the same command again."
_KEPT: Final = {
    "score": "What was scored so far is kept beside the output; run the same command again to continue.",
    "train": f"No unfinished model is registered. {_RUN_AGAIN}",
    "refresh": f"The history in use stays as it was. {_RUN_AGAIN}",
    "audit": f"No unfinished report was written, and the model's last audit remains valid. {_RUN_AGAIN}",
    "promote": "'dnapredict score' says which model version is in use; run the same command again.",
    "serve": "The service has ended.",
    "demo": f"What was made so far is in the home. {_RUN_AGAIN}",
}


def stopped_message(words: Sequence[str]) -> str:
    """The message after Ctrl-C: what is kept, and how to continue.

    `words` are the arguments of the command.
    """
    verb = next((word for word in words if word in _KEPT), "")
    return "Stopped. " + _KEPT.get(verb, f"Nothing was left half written. {_RUN_AGAIN}")


def message_and_code(error: BaseException) -> tuple[str, int]:
    """The message and the exit code for an error that ended a command; the message holds no patient's value."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped.", 130
    if not isinstance(error, DnapredictError):
        error = _machine_error(error) or error
    if isinstance(error, DnapredictError):
        return f"Error: {error}", error.exit_code
    return _without_values(error), 1


def _machine_error(error: BaseException) -> StoreError | None:
    """Errors of memory, disk and permissions, as a sentence that says what to do; None for any other error."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name in _NO_MEMORY:
        return StoreError(
            "There is not enough memory for this. Close other programs, or use a machine with more; nothing "
            "was left half written."
        )
    if (isinstance(error, OSError) and error.errno in _FULL) or name in _NO_DISK:
        return StoreError(
            "The disk is full, or a file on it cannot be read or written. Make room, also in the folder for "
            "temporary files (TMPDIR); nothing was left half written."
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        return StoreError(
            f"This command needs the Python module {error.name}, which is not installed here. An installation for a "
            "host that only serves and scores (serving/serve.lock) lacks it: install the packages of requirements.lock."
        )
    if isinstance(error, RuntimeError) and str(error).startswith(_LINK_LOOP):
        return StoreError(f"{str(error).removeprefix(_LINK_LOOP)}: is a link that leads back to itself.")
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return StoreError(f"{where}cannot be used ({error.strerror}).")
    return None


def _without_values(error: BaseException) -> str:
    """Type and place of an unexpected error; its message is left out, since it may quote a patient's data."""
    if os.environ.get(_TRACEBACK) == "1":
        return "".join(traceback.format_exception(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Internal error: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}. Its message is "
        f"withheld, since it may quote a patient's data; set {_TRACEBACK}=1 to see it on this machine."
    )
