"""Ethnic groups: the 16 national codes, five larger groups, four ways of not knowing.

Codes and their meanings are those of `data.codes`; what not knowing is called here is told to readers, who
should see at a glance whether somebody declined or was never asked.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dnapredict.audit.groups import Group
from dnapredict.data import codes

__all__ = ["ETHNICITY", "FIVE_GROUPS", "SIXTEEN_GROUPS", "UNKNOWN_GROUPS", "ethnic_code", "five_of"]

ETHNICITY: Final[Mapping[str, str]] = MappingProxyType(
    {code: name for code, name in codes.ETHNIC_CATEGORY.items() if code not in codes.UNKNOWN_ETHNICITY}
)
DECLINED, NOT_ASKED, NOT_ASKED_IN_STATISTICS = codes.UNKNOWN_ETHNICITY
_UNKNOWN: Final = {
    DECLINED: "Declined to say",
    NOT_ASKED: "Not asked",
    "blank": "Blank in the record",
    "invalid": "Not a national code",
}
_WHOLE_CODE: Final = re.compile(codes.WHOLE_ETHNIC_CODE)
# The part before the colon of a code's meaning is the larger group; the last is too short to stand alone.
_FULL_NAMES: Final = {"Other": "Chinese or other"}


def _larger(code: str) -> str:
    return ETHNICITY[code].partition(":")[0]


UNKNOWN_GROUPS: Final = tuple(Group(code, name, known=False) for code, name in _UNKNOWN.items())
SIXTEEN_GROUPS: Final = (
    *(
        Group(code, name, within=(("ethnicity_5", _larger(code).lower()),))
        for code, name in ETHNICITY.items()
    ),
    *(Group(code, name, known=False, within=(("ethnicity_5", code),)) for code, name in _UNKNOWN.items()),
)
FIVE_GROUPS: Final = (
    *(Group(name.lower(), _FULL_NAMES.get(name, name)) for name in dict.fromkeys(map(_larger, ETHNICITY))),
    *UNKNOWN_GROUPS,
)


def ethnic_code(value: str | None) -> str:
    """National code of an ETHNIC CATEGORY, where the whole value is one; unknown kinds kept apart.

    A description is no code: it is "invalid", and never read by its first letter.

    >>> [ethnic_code(v) for v in ("A1", "j ", "Z", "99", "X", None, "?", "Indian", "Not stated")]
    ['A', 'J', 'Z', '99', '99', 'blank', 'invalid', 'invalid', 'invalid']
    """
    text = (value or "").strip()
    if not text:
        return "blank"
    if not _WHOLE_CODE.fullmatch(text):
        return "invalid"
    code = text.upper()
    return NOT_ASKED if code in (NOT_ASKED, NOT_ASKED_IN_STATISTICS) else code[0]


def five_of(value: str | None) -> str:
    """The larger group of an ETHNIC CATEGORY, or the way in which it is not known.

    >>> [five_of(v) for v in ("A1", "R", "Z")]
    ['white', 'other', 'Z']
    """
    code = ethnic_code(value)
    return _larger(code).lower() if code in ETHNICITY else code
