"""Keep what belongs to patients out of the service's log.

Libraries log the values they stumble over: BentoML writes a traceback for every bad request,
and pydantic, pandas and DuckDB quote the cell at fault. Nothing of theirs that was filled in
at run time passes: of an exception remain its type and the line of code, of a message its template.
"""

import logging
import traceback
from types import TracebackType
from typing import Final

from pydantic import ValidationError

_OURS: Final = "dnapredict"
_LOGGERS: Final = ("", "bentoml", "uvicorn.error", "circus")


class Discretion(logging.Filter):
    """A filter that strips run-time values from the records of other people's code."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept; what it must not say is taken out first."""
        if record.exc_info:
            kind, _, trace = record.exc_info
            if kind is not None and issubclass(kind, ValidationError):
                # A request that was refused: its sender has the answer, and it is no fault of ours.
                return False
            record.msg, record.args = f"{_name(kind)} at {_line(trace)}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        elif not record.name.startswith(_OURS) and record.levelno >= logging.WARNING:
            record.args = ()
        return True


def keep_logs_discreet() -> None:
    """Put the filter before everything that this process logs, warnings included."""
    discretion = Discretion()
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(discretion)
    logging.captureWarnings(True)
    logging.getLogger(_OURS).setLevel(logging.INFO)


def _name(kind: type[BaseException] | None) -> str:
    return "an exception" if kind is None else kind.__name__


def _line(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    if not frames:
        return "an unknown place"
    ours = [frame for frame in frames if _OURS in frame.filename]
    frame = (ours or frames)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"
