"""What one cell of a workbook says, as text that the contract can read."""

import datetime
from typing import Any, Final

from dnapredict.data.header import NOTHING

__all__ = ["cell_text", "is_bare_serial"]

# A spreadsheet keeps fifteen digits; a longer number has lost its last ones.
_FIRST_INEXACT: Final = 10**15
# 1990 to 2100 where days count from 1904.
_SERIALS_FROM_1904: Final = (31_412, 71_953)
_DAY: Final = datetime.timedelta(days=1)


def cell_text(cell: Any) -> str | None:
    """The cell as text: dates in ISO form, whole numbers without a fraction, errors and blanks as nothing.

    >>> cell_text(3.0), cell_text("#N/A"), cell_text(datetime.datetime(2025, 2, 1, 9, 29, 59, 999998))
    ('3', None, '2025-02-01 09:30:00')

    A number of more than fifteen digits is not exact, so it is left as such: no key can be made of it.

    >>> cell_text(1234567890123456789)
    '1.23456789012346E+18'
    """
    if isinstance(cell, datetime.datetime):
        return _to_the_second(cell).isoformat(sep=" ")
    if isinstance(cell, datetime.timedelta):
        return _clock(cell)
    if isinstance(cell, datetime.time):
        day = datetime.datetime.combine(datetime.date(2000, 1, 1), cell)
        return _to_the_second(day).time().isoformat()
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _number(cell)
    text = "" if cell is None else str(cell).strip()
    return None if text in NOTHING else text


def is_bare_serial(cell: Any) -> bool:
    """Whether a number without the format of a date could be one, where days count from 1904."""
    first, last = _SERIALS_FROM_1904
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and first <= cell < last


def _to_the_second(at: datetime.datetime) -> datetime.datetime:
    """Times are kept as fractions of a day, which miss the second by a little."""
    return (at + datetime.timedelta(milliseconds=500)).replace(microsecond=0)


def _clock(span: datetime.timedelta) -> str:
    """A span below a day is how `[h]:mm` keeps a clock time."""
    if datetime.timedelta() <= span < _DAY:
        return _to_the_second(datetime.datetime(2000, 1, 1) + span).time().isoformat()
    return str(span)


def _number(value: float) -> str:
    if abs(value) >= _FIRST_INEXACT:
        return f"{value:.14E}"
    return str(int(value)) if value == int(value) else str(value)
