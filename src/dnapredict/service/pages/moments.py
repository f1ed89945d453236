"""Days and times as people in England write them."""

import datetime
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["day_words", "local_day", "moment_words", "today"]

_LOCAL: Final = ZoneInfo("Europe/London")


def moment_words(moment: datetime.datetime | None) -> str:
    """A moment as people in England write it; without a zone it means UTC, as in the contract.

    A day's last second is how the contract keeps a date that came without a clock time.

    >>> moment_words(datetime.datetime(2026, 7, 1, 8, 5))
    'Wed 1 Jul 2026, 09:05'
    """
    if moment is None:
        return ""
    local = _local(moment)
    day = day_words(local.date())
    return day if (local.hour, local.minute, local.second) == (23, 59, 59) else f"{day}, {local:%H:%M}"


def day_words(day: datetime.date) -> str:
    """A day as people in England write it.

    >>> day_words(datetime.date(2026, 7, 1))
    'Wed 1 Jul 2026'
    """
    return f"{day:%a} {day.day} {day:%b %Y}"


def local_day(moment: datetime.datetime) -> datetime.date:
    """The day in England on which a moment falls."""
    return _local(moment).date()


def today() -> datetime.date:
    """The day it is in England."""
    return datetime.datetime.now(_LOCAL).date()


def _local(moment: datetime.datetime) -> datetime.datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(_LOCAL)
