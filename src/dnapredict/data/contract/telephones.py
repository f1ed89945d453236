"""Telephone numbers of a list: undo the changes that a spreadsheet makes to a British number, and nothing else.

A British number has ten digits after the 0 that is dialled within the country (a few have nine), and none of its
first digits is 0, 4 or 6 (Ofcom, National Telephone Numbering Plan). A spreadsheet that reads the text as a number
drops that 0, or the + of +44, or writes 7.700900123E+09.
"""

import re
from decimal import Decimal
from typing import Final

from dnapredict.data.contract.known_names import NOT_RECORDED, SAYS_NOTHING

_PUNCTUATION: Final = re.compile(r"[\s().\-\u2010-\u2015\u00a0]+")
_WITHOUT_ZERO: Final = re.compile(r"[1-3578]\d{9}|9\d{9}")
_ABROAD_WITHOUT_PLUS: Final = re.compile(r"(?:00)?44(?:0)?([1-35789]\d{9})")
_SCIENTIFIC: Final = re.compile(r"\d(?:\.\d+)?E\+?\d{1,2}", re.IGNORECASE)
_FRACTION: Final = re.compile(r"\.0+$")
# Between two numbers in one cell; a mapping's `combine` puts " | " between columns.
_BETWEEN: Final = re.compile(r"\s*(?:[/;,|\n]|\bor\b)\s*", re.IGNORECASE)
# A number as it is dialled within the country, and nothing else in the cell: most cells of most lists.
_USUAL: Final = re.compile(r" *0[1-9][0-9 ]*")
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 15
_NOTHING: Final = frozenset({*(word.lower() for word in NOT_RECORDED), *SAYS_NOTHING})
_ONE_DIGIT: Final = re.compile(r"0+|9+|1+")


def telephones_in(cell: str) -> tuple[str, ...]:
    """The numbers of one cell, each in the form of `restored`; empty if the cell contains no number.

    >>> telephones_in("07700 900123 / 0151 496 0000"), telephones_in("No mobile"), telephones_in("0")
    (('07700 900123', '0151 496 0000'), (), ())
    """
    if _USUAL.fullmatch(cell):
        return (" ".join(cell.split()),)
    parts = [part for part in _BETWEEN.split(cell.strip()) if part]
    if len(parts) > 1 and not all(_digits(part) >= _FEWEST_DIGITS for part in parts):
        parts = [cell.strip()]  # "01234 567890, ext 12" is one number
    return tuple(dict.fromkeys(restored(part) for part in parts if not _says_nothing(part)))


def restored(text: str) -> str:
    """A number in the form dialled within the country if a spreadsheet changed it; otherwise unchanged.

    >>> restored("7700900123"), restored("7.700900123E+09"), restored("7700900123.0"), restored("447700900123")
    ('07700900123', '07700900123', '07700900123', '+447700900123')
    >>> restored("+44 (0)7700 900123"), restored("07700 900123"), restored("+33 1 70 18 99 00")
    ('+447700900123', '07700 900123', '+33 1 70 18 99 00')

    Of this number only the first digits are left, and no others are made up:

    >>> restored("7.7009E+09")
    '7.7009E+09'
    """
    given = " ".join(text.split())
    bare = _PUNCTUATION.sub("", _FRACTION.sub("", _plain_notation(given)))
    if _WITHOUT_ZERO.fullmatch(bare):
        return "0" + bare
    abroad = _ABROAD_WITHOUT_PLUS.fullmatch(bare.removeprefix("+"))
    if abroad and not (bare.startswith("+") and "(0)" not in given and not bare.startswith("+440")):
        return "+44" + abroad[1]
    return given


def dialled(telephone: str) -> str | None:
    """The number that a link dials: digits, with a + before a country code; None if the text is not such a number.

    >>> dialled("07700 900123"), dialled("+44 7700 900123"), dialled("0151 496 0000 ext 12"), dialled("7.7009E+09")
    ('07700900123', '+447700900123', None, None)
    """
    if not re.fullmatch(r"\+?[\d\s().\-\u2010-\u2015\u00a0]+", telephone):
        return None
    bare = _PUNCTUATION.sub("", telephone)
    return bare if _FEWEST_DIGITS <= _digits(bare) <= _MOST_DIGITS else None


def is_cut_off(telephone: str) -> bool:
    """Whether a spreadsheet has left only the first digits of a number, as `restored` gives it.

    >>> is_cut_off("7.7009E+09"), is_cut_off("07700 900123"), is_cut_off("0151 496 0000 ext 12")
    (True, False, False)
    """
    return bool(_SCIENTIFIC.fullmatch(telephone))


def _plain_notation(text: str) -> str:
    """A number in scientific notation with all its digits, without the notation; any other text unchanged."""
    if not _SCIENTIFIC.fullmatch(text):
        return text
    number = Decimal(text)
    has_all_digits = len(number.as_tuple().digits) == number.adjusted() + 1
    return format(number, "f") if has_all_digits else text


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _says_nothing(text: str) -> bool:
    bare = _PUNCTUATION.sub("", text)
    return text.strip().lower() in _NOTHING or not _digits(bare) or bool(_ONE_DIGIT.fullmatch(bare))
