"""Text as numbers, times and yes or no, in the forms that both engines are known to read alike."""

import datetime
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from dnapredict.data.engine.handful.certainty import NotCertain

MICROS_PER_SECOND: Final = 1_000_000
MICROS_PER_DAY: Final = 86_400 * MICROS_PER_SECOND
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}")
_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,6}))?)?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
# Begins with digits, and the embedded engine reads no time in it that is not in one of our patterns.
_STROKES: Final = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?")
_PIECES: Final = {
    "%d": "(?P<day>[0-9]{1,2})",
    "%m": "(?P<month>[0-9]{1,2})",
    "%Y": "(?P<year>[0-9]{4})",
    "%H": "(?P<hour>[0-9]{1,2})",
    "%M": "(?P<minute>[0-9]{2})",
    "%S": "(?P<second>[0-9]{2})",
}
_TRUTHS: Final = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}


def number_in(text: str) -> float:
    """A number written plainly."""
    if not _NUMBER.fullmatch(text):
        raise NotCertain
    return float(text)


def whole_in(text: str) -> int:
    """A whole number written plainly."""
    if not _WHOLE.fullmatch(text):
        raise NotCertain
    return int(text)


def truth_in(text: str) -> bool:
    """Yes or no, as programs write it."""
    if text not in _TRUTHS:
        raise NotCertain
    return _TRUTHS[text]


def upper(text: str) -> str:
    """In capitals; beyond ASCII, languages differ and so do engines."""
    if not text.isascii():
        raise NotCertain
    return text.upper()


def local_in(text: str) -> int | None:
    """What a clock shows by an ISO time, whatever offset stands behind it; None for a date with strokes."""
    found = _ISO.fullmatch(text)
    if found is None:
        if _STROKES.fullmatch(text):
            return None
        raise NotCertain
    read = {name: int(value or 0) for name, value in zip(_PARTS, found.groups(), strict=False)}
    whole = _moment(read)
    return None if whole is None else whole + int((found["fraction"] or "0").ljust(6, "0"))


def instant_in(text: str) -> int | None:
    """The instant that an ISO time with an offset names."""
    local = local_in(text)
    found = _ISO.fullmatch(text)
    if local is None or found is None or found["offset"] is None:
        raise NotCertain
    return local - _ahead(found["offset"])


def _ahead(offset: str) -> int:
    """What a clock with an offset is ahead of UTC, in microseconds."""
    if offset == "Z":
        return 0
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 14 or minutes > 59:
        raise NotCertain
    ahead = (hours * 60 + minutes) * 60 * MICROS_PER_SECOND
    return -ahead if offset[0] == "-" else ahead


def stripped_time(text: str, pattern: str) -> int | None:
    """The local time that `text` says by a pattern of digits alone; None if there is no such day or time."""
    found = _shape(pattern).fullmatch(text)
    if found is None:
        raise NotCertain
    return _moment({name: int(value) for name, value in found.groupdict().items()})


def _moment(read: Mapping[str, int]) -> int | None:
    """Microseconds since 1970; None if there is no such day or minute."""
    hour, minute, second = (read.get(name, 0) for name in ("hour", "minute", "second"))
    if hour > 23 or second > 59:
        # 24:00 and leap seconds are read as times by some and refused by others.
        raise NotCertain
    try:
        days = datetime.date(read["year"], read["month"], read["day"]).toordinal() - _EPOCH
    except ValueError:
        return None
    if minute > 59:
        return None
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * MICROS_PER_SECOND


@lru_cache(maxsize=64)
def _shape(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(%[a-zA-Z])", pattern)
    written = [_PIECES.get(part, r"(?!)" if part.startswith("%") else re.escape(part)) for part in parts]
    return re.compile("".join(written))


@lru_cache(maxsize=256)
def engine_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression of the embedded engine (RE2) as one of Python's.

    Raises
    ------
    NotCertain
        If it holds what the two do not share.
    """
    if re.search(r"\(\?|\\[^dwnrt1-9\W]|\[\[:|[*+?}][+]", pattern):
        raise NotCertain
    return re.compile(pattern.replace("$", r"\Z"), re.ASCII)
