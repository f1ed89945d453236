"""Neutralise texts that a spreadsheet would run as a formula: one rule for every file that is written.

A cell that begins with = + - or @ is a formula to Excel and LibreOffice, also after blanks and invisible
signs, and with the full-width forms of these signs. In CSV an apostrophe goes before every such text, so that
it is shown as written: a telephone number too, since `+44 7700 900123` would be calculated and lose its sign.
In a workbook a cell has a type, so numbers and telephone numbers stay as they are; texts that could be run get
the apostrophe there too, because a workbook is often saved as CSV.
"""

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

# Blanks, control characters and characters without width. Not \s: RE2 and Python define it differently.
_UNSEEN: Final = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
# = + - @, their full-width and small forms, and the minus sign.
_SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
# Some spreadsheets treat what begins with a tab or a line break as a formula, whatever follows.
_RUN: Final = rf"^(?:[\t\r\n]|[{_UNSEEN}]*[{_SIGNS}])"
_PLAIN_NUMBER: Final = r"^(?:[+-]?[0-9]+(?:[.,][0-9]+)*|\+[0-9][0-9 ().\-]*[0-9])$"

_RUN_IN_PYTHON: Final = re.compile(_RUN)
_NUMBER_IN_PYTHON: Final = re.compile(_PLAIN_NUMBER)


def _as_re2(pattern: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", pattern)


def neutral(text: str, *, workbook: bool = False) -> str:
    """`text` made safe for a cell of a CSV file, or of a `workbook`.

    >>> neutral("=1+1"), neutral("\u00a0\uff1d1+1"), neutral("a = b"), neutral("+44 7700 900123")
    ("'=1+1", "'\u00a0\uff1d1+1", 'a = b', "'+44 7700 900123")
    >>> neutral("+44 7700 900123", workbook=True), neutral("+cmd|' /C calc'!A0", workbook=True)
    ('+44 7700 900123', "'+cmd|' /C calc'!A0")
    """
    if not _RUN_IN_PYTHON.match(text) or (workbook and _NUMBER_IN_PYTHON.match(text)):
        return text
    return f"'{text}"


def neutral_cell(cell: Any) -> Any:
    """A cell of any type for Python's `csv`; numbers stay numbers."""
    if not isinstance(cell, str):
        return cell
    # Before Python 3.13 `csv` puts no quotes around a lone carriage return, and the rest of the text would
    # begin a row of its own.
    return neutral(cell.replace("\r\n", "\n").replace("\r", "\n"))


def neutral_table(table: pa.Table, *, workbook: bool = False) -> pa.Table:
    """`table` with every text and every column name made safe."""
    columns = [_neutral_column(column, workbook=workbook) for column in table.columns]
    return pa.table(columns, names=[neutral(name, workbook=workbook) for name in table.column_names])


def _neutral_column(values: pa.ChunkedArray, *, workbook: bool) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    risky = pc.match_substring_regex(values, _as_re2(_RUN))
    if workbook:
        plain = pc.match_substring_regex(values, _as_re2(_PLAIN_NUMBER))
        risky = pc.and_not(risky, plain)
    return pc.if_else(risky, pc.binary_join_element_wise("'", values, ""), values)
