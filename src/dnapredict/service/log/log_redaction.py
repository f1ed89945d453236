"""Redact the service's log: it may hold no patient's value, and no value may begin a line of its own.

Libraries log the values at fault: BentoML writes a traceback for every bad request, and pydantic, pandas and DuckDB
quote the cell. Only the type and code line of their exceptions are logged, and the template of their warnings.
"""

import logging
import traceback
from types import TracebackType
from typing import Final

from pydantic import ValidationError

_OURS: Final = "dnapredict"
_LOGGERS: Final = ("", "bentoml", "uvicorn.error", "circus")


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


def redact_logs() -> None:
    """Install the filter for everything that this process logs, including warnings."""
    redaction = LogRedaction()
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(redaction)
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
