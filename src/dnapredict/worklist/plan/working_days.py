"""Working days of England: due days of calls, and the number of working days in a week."""

import datetime
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from dnapredict.data.contract.calendar_weeks import DAYS_A_WEEK, Days, monday_of
from dnapredict.data.system_clock import utc_now

LOCAL_ZONE: Final = ZoneInfo("Europe/London")


def local_today(zone: datetime.tzinfo = LOCAL_ZONE) -> datetime.date:
    """Today's date by the clock of `zone`."""
    return utc_now().astimezone(zone).date()


def call_by_day(day: Days, *, working_days_before: int) -> Days:
    """The day by which a patient is called: `working_days_before` working days before the appointment.

    With 0 it is the day itself, or the last working day before a weekend or bank holiday.

    >>> call_by_day(np.array(["2026-12-29"], dtype="datetime64[D]"), working_days_before=2).tolist()
    [datetime.date(2026, 12, 23)]
    """
    if not len(day):
        return day.astype("datetime64[D]")
    # One working day before a Sunday, like one before the Monday after it, is the Friday.
    roll: Literal["forward", "backward"] = "forward" if working_days_before else "backward"
    before = -working_days_before
    return np.asarray(np.busday_offset(day, before, roll=roll, busdaycal=_calendar_of(day)))


def working_days_of_week(week: int) -> int:
    """The number of working days in a week of `week_of`.

    >>> from dnapredict.data.contract.calendar_weeks import week_of
    >>> working_days_of_week(int(week_of(np.array(["2026-12-25"], dtype="datetime64[D]"))[0]))
    4
    """
    monday = monday_of(np.array([week]))
    return int(np.busday_count(monday[0], monday[0] + DAYS_A_WEEK, busdaycal=_calendar_of(monday)))


def _calendar_of(day: Days) -> np.busdaycalendar:
    years = day.astype("datetime64[Y]").astype(int) + 1970
    return _calendar(int(years.min()) - 1, int(years.max()) + 1)


@lru_cache(maxsize=16)
def _calendar(first: int, last: int) -> np.busdaycalendar:
    import holidays  # half a second to load

    closed = holidays.country_holidays("GB", subdiv="ENG", years=range(first, last + 1))
    return np.busdaycalendar(holidays=sorted(closed))
