"""How a command ends that could not do what it was asked: a sentence for a person, and an exit code."""

import errno
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dnapredict.errors import DnapredictError, StoreError

_TRACEBACK: Final = "DNAPREDICT_TRACEBACK"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What the embedded engine raises, by name, since it is not loaded for every verb.
_NO_MEMORY: Final = ("OutOfMemoryException", "ArrowMemoryError")
_NO_DISK: Final = ("IOException",)

# How `Path.resolve` words it before Python 3.13, without a type of its own.
_LINK_LOOP: Final = "Symlink loop from "

_AGAIN: Final = "Run the same command again."
_KEPT: Final = {
    "score": "What was scored so far is kept beside the output; run the same command again to go on.",
    "train": f"No unfinished model is registered. {_AGAIN}",
    "refresh": f"The history in use stays as it was. {_AGAIN}",
    "audit": f"No unfinished report was written, and the model's last audit stands. {_AGAIN}",
    "promote": "'dnapredict score' says which model version is in use; run the same command again.",
    "serve": "The service has ended.",
    "demo": "What it has made so far is in the home; run the same command again.",
}


def stopped(words: Sequence[str]) -> str:
    """What a person is told whose command was stopped: what is kept, and how to go on.

    `words` are those that were typed after the program's name.
    """
    verb = next((word for word in words if word in _KEPT), "")
    return "Stopped. " + _KEPT.get(verb, f"Nothing was left half written. {_AGAIN}")


def ending(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code for an error that ended a command; no patient's value is in it."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped.", 130
    if not isinstance(error, DnapredictError):
        error = _of_the_machine(error) or error
    if isinstance(error, DnapredictError):
        return f"Error: {error}", error.exit_code
    return _without_values(error), 1


def _of_the_machine(error: BaseException) -> StoreError | None:
    """Memory, disk and permissions: no fault of the program, and a person can do something about them."""
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
    if isinstance(error, RuntimeError) and str(error).startswith(_LINK_LOOP):
        return StoreError(f"{str(error).removeprefix(_LINK_LOOP)}: is a link that leads back to itself.")
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return StoreError(f"{where}cannot be used ({error.strerror}).")
    return None


def _without_values(error: BaseException) -> str:
    """What is left of an unforeseen error when its message, which may quote a patient, is left out."""
    if os.environ.get(_TRACEBACK) == "1":
        return "".join(traceback.format_exception(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Internal error: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}. Its message is "
        f"withheld, since it may quote a patient's data; set {_TRACEBACK}=1 to see it on this machine."
    )
