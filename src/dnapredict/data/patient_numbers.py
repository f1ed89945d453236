"""The normal form of a patient's number, whatever a spreadsheet or another system made of it."""

import re
from typing import Final

_BLANKS: Final = re.compile(r"[\s\u200b\ufeff]+")
_DIGITS: Final = re.compile(r"[0-9]+(?:\.0)?")


def normal_form(number: str) -> str:
    """The number without blanks, leading zeros and ".0", so that its patient is always recognised.

    Excel drops leading zeros and adds ".0", systems pad with blanks, and NHS numbers are written in groups.
    Numbers with letters stay as they are: the case of a pseudonym may matter.

    >>> [normal_form(each) for each in ("0005913", "5913.0", " 943 476 5919", " Ab 17 ", "000")]
    ['5913', '5913', '9434765919', 'Ab 17', '0']
    """
    bare = _BLANKS.sub("", number)
    if not _DIGITS.fullmatch(bare):
        return number.strip(" \t\n\r\v\f\u00a0\u200b\ufeff")
    return bare.removesuffix(".0").lstrip("0") or "0"
