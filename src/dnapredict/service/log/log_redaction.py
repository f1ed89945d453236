"""Redact the service's log: it may hold no patient's value, and no value may begin a line of its own.

Libraries log the values at fault: BentoML writes a traceback for every bad request, and pydantic, pandas and DuckDB
quote the cell. Only the type and code line of their exceptions are logged, and the template of their warnings.
"""

import contextlib
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import Final

from pydantic import ValidationError

from dnapredict.service.prometheus_metrics import note_lost_line

_OURS: Final = "dnapredict"
_LOGGERS: Final = ("", "bentoml", "uvicorn.error", "circus")
_SECONDS_BETWEEN_COMPLAINTS: Final = 60.0


class LogRedaction(logging.Filter):
    """A filter that removes run-time values from the log records of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove run-time values from the record; return whether to log it."""
        if record.exc_info:
            kind, _, trace = record.exc_info
            if kind is not None and issubclass(kind, ValidationError):
                # A refused request: the sender has the answer, and nothing is wrong with the service.
                return False
            record.msg, record.args = f"{_name(kind)} at {_line(trace)}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        elif not record.name.startswith(_OURS) and record.levelno >= logging.WARNING:
            record.args = ()
        _escape(record)
        return True


class LostLines:
    """Counts the lines that a handler could not write, such as on a full disk, and says so without their text.

    Python would print the arguments of the line, and the exception during which it was written, with its text.
    """

    def __init__(self) -> None:
        """Complain at the first such line, and then once a minute."""
        self._next_at = 0.0

    def __call__(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - its text is not printed
        """Take the record that was not written, while its exception is handled."""
        note_lost_line()
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _SECONDS_BETWEEN_COMPLAINTS
            with contextlib.suppress(OSError, ValueError):  # standard error may be full or closed as well
                sys.stderr.write(f"The service's log cannot be written ({_name(sys.exc_info()[0])}).\n")


def redact_logs() -> None:
    """Install the filter for everything that this process logs, including warnings."""
    redaction = LogRedaction()
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(redaction)
            handler.handleError = LostLines()  # type: ignore[method-assign]
    logging.captureWarnings(True)
    logging.getLogger(_OURS).setLevel(logging.INFO)


def _escape(record: logging.LogRecord) -> None:
    """Escape line breaks and control characters of a message: a logged value must not look like another line."""
    message = record.getMessage()
    if not message.isprintable():
        record.msg, record.args = "".join(map(_escaped, message)), ()


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _name(kind: type[BaseException] | None) -> str:
    return "an exception" if kind is None else kind.__name__


def _line(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    if not frames:
        return "an unknown place"
    ours = [frame for frame in frames if _OURS in frame.filename]
    frame = (ours or frames)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"
