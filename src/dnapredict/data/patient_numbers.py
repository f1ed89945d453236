"""How a patient's number is recognised in whatever form a spreadsheet or another system has left it."""

import re
from typing import Final

_BLANKS: Final = re.compile(r"[\s\u200b\ufeff]+")
_DIGITS: Final = re.compile(r"[0-9]+(?:\.0)?")


def one_form(number: str) -> str:
    """The number in the one form under which its patient is known.

    Excel drops the zeros in front and adds ".0", systems fill up with blanks, and NHS numbers are written
    in groups. Letters stay as they are: in a pseudonym their case may count.

    >>> [one_form(each) for each in ("0005913", "5913.0", " 943 476 5919", " Ab 17 ", "000")]
    ['5913', '5913', '9434765919', 'Ab 17', '0']
    """
    bare = _BLANKS.sub("", number)
    if not _DIGITS.fullmatch(bare):
        return number.strip(" \t\n\r\v\f\u00a0\u200b\ufeff")
    return bare.removesuffix(".0").lstrip("0") or "0"
