"""The present time, which a rehearsal on made-up patients can set back.

What is recorded with a time (decisions, signatures, lists, calls) takes it from `utc_now`. `set_back` moves it into the
past for the block that it encloses, so that the demo can record a quarter of lists and calls on the days on which they
would have been made, by the functions that a trust uses. It cannot be moved into the future: no deadline and no
conditions can end early, and the decision ledger never holds an entry that is yet to come.
"""

import contextlib
import datetime
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

_SET_BACK_TO: Final[ContextVar[datetime.datetime | None]] = ContextVar("_SET_BACK_TO", default=None)


def utc_now() -> datetime.datetime:
    """The present time in UTC, or the time to which `set_back` has set the clock."""
    return _SET_BACK_TO.get() or datetime.datetime.now(datetime.UTC)


@contextlib.contextmanager
def set_back(moment: datetime.datetime) -> Iterator[None]:
    """Stop the clock at `moment`, which has a time zone, for this block, in this thread only.

    Raises
    ------
    ValueError
        If `moment` is in the future, or has no time zone.

    >>> with set_back(datetime.datetime(2026, 8, 3, 8, tzinfo=datetime.UTC)):
    ...     print(utc_now())
    2026-08-03 08:00:00+00:00
    """
    if moment.tzinfo is None or moment > datetime.datetime.now(datetime.UTC):
        raise ValueError(f"The clock cannot be set to {moment}: expected a time in the past, with a time zone.")
    token = _SET_BACK_TO.set(moment.astimezone(datetime.UTC))
    try:
        yield
    finally:
        _SET_BACK_TO.reset(token)
