"""What clocks show: instants and local times in whole microseconds, days since 1970."""

import datetime
import math
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from dnapredict.data.engine.handful.certainty import NotCertain
from dnapredict.data.engine.handful.texts import MICROS_PER_DAY, MICROS_PER_SECOND

_EPOCH: Final = datetime.datetime(1970, 1, 1)
_FIRST_DAY: Final = _EPOCH.toordinal()
_UTC: Final = "UTC"
_NOWHERE: Final = datetime.timedelta()
_HOUR: Final = 3_600 * MICROS_PER_SECOND
_MINUTE: Final = 60 * MICROS_PER_SECOND
# Zones of the embedded engine and of Python come from different books; they agree on these years.
_YEARS: Final = (1990, 2037)


def instant_at(zone: str, local: int) -> int:
    """The instant at which a clock in `zone` shows `local`; not certain if it shows that twice or never."""
    return local if zone == _UTC else local - _offset(zone, local, is_local=True)


def shown_at(zone: str, instant: int) -> int:
    """What a clock in `zone` shows at an instant."""
    return instant if zone == _UTC else instant + _offset(zone, instant, is_local=False)


def day_of(moment: int) -> int:
    """Days since 1970."""
    return moment // MICROS_PER_DAY


def days_of(day: datetime.date) -> int:
    """Days since 1970 of a date."""
    return day.toordinal() - _FIRST_DAY


def year_of(moment: int) -> int:
    """The year."""
    return datetime.date.fromordinal(_FIRST_DAY + day_of(moment)).year


def day_of_month(moment: int) -> int:
    """The day of the month."""
    return datetime.date.fromordinal(_FIRST_DAY + day_of(moment)).day


def hour_of(moment: int) -> int:
    """The hour of the day."""
    return moment % MICROS_PER_DAY // _HOUR


def minute_of(moment: int) -> int:
    """The minute of the hour."""
    return moment % _HOUR // _MINUTE


def second_of(moment: int) -> int:
    """The second of the minute, without its fraction."""
    return moment % _MINUTE // MICROS_PER_SECOND


def seconds_of(moment: int) -> float:
    """Seconds since 1970, with their fraction."""
    return moment / MICROS_PER_SECOND


@lru_cache(maxsize=8_192)
def _offset(zone: str, moment: int, *, is_local: bool) -> int:
    """What a clock in `zone` is ahead of UTC, in microseconds."""
    at = _EPOCH + datetime.timedelta(microseconds=moment)
    if not _YEARS[0] <= at.year <= _YEARS[1]:
        raise NotCertain
    place = ZoneInfo(zone)
    if not is_local:
        offset = at.replace(tzinfo=datetime.UTC).astimezone(place).utcoffset() or _NOWHERE
    else:
        offset = at.replace(tzinfo=place).utcoffset() or _NOWHERE
        if offset != at.replace(tzinfo=place, fold=1).utcoffset():
            raise NotCertain
    return math.floor(offset / datetime.timedelta(microseconds=1))
