"""Codes that an extract holds and the NHS Data Dictionary does not.

A column that was mapped wrongly can hold anything, a name or a number of a patient among it. So a
value is told only where it looks like a code (short, of capitals and digits) or is made of the words of
descriptions alone (Female, Asian - Indian), of a column with few different values, and shared by many
patients.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from dnapredict.data.checked import Checked
from dnapredict.data.columns import COLUMNS, Column
from dnapredict.data.workspace import Workspace

__all__ = ["FEWEST_PATIENTS", "UnknownCode", "UnknownCodes", "unknown_codes"]

FEWEST_PATIENTS: Final = 10
_LOOKS_LIKE_A_CODE: Final = re.compile(r"[A-Z0-9]{1,4}")
# A list of codes is shorter; names and numbers of patients are more.
_MOST_CODES: Final = 60
_LONGEST_DESCRIPTION: Final = 80
# Words of descriptions beside those in the meanings of the column's own codes. A name is none of them.
_DESCRIPTIONS: Final = """
a any all as at been by did do for from has in is it of on or other others the to with and not no none yes
known unknown stated specified recorded given asked obtained available applicable assigned declined refused
prefer prefers say answer wish wishes unable client patient person does background backgrounds category origin
group groups ethnic ethnicity race mixed multiple english welsh scottish northern ireland european gypsy roma
romany traveller arab caribbean african chinese indian pakistani bangladeshi irish british asian black white
male female trans indeterminate booked attended cancelled late arrived seen hospital provider trust new follow
up first telephone phone video face routine urgent week wait gp self referral
"""
_OF_DESCRIPTIONS: Final = frozenset(_DESCRIPTIONS.split())


@dataclass(frozen=True)
class UnknownCode:
    """A code that is not national, as read (capitals, leading zeros back), and its rows."""

    code: str
    rows: int


@dataclass(frozen=True)
class UnknownCodes:
    """What one coded column holds besides national codes.

    Attributes
    ----------
    rows
        Rows with a value that is no national code, over all rows read.
    values
        Different such values.
    told
        Those that may be told, most frequent first.
    """

    column: str
    rows: int
    values: int
    told: tuple[UnknownCode, ...]


def unknown_codes(checked: Checked, workspace: Workspace) -> tuple[UnknownCodes, ...]:
    """Of every coded column of the extract that holds any, in the contract's order."""
    asked = [column for column in COLUMNS if column.codes and column.name in checked.present]
    found = [_unknown(column, checked, workspace) for column in asked]
    return tuple(codes for codes in found if codes.rows)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _is_description(value: str, words: Collection[str]) -> bool:
    """Whether nothing but known words, signs and at most three digits of a code stand there."""
    if len(value) > _LONGEST_DESCRIPTION or not value.isascii() or len(re.findall(r"\d", value)) > 3:
        return False
    return bool(_words(value)) and set(_words(value)) <= set(words)


def _unknown(column: Column, checked: Checked, workspace: Workspace) -> UnknownCodes:
    known = ", ".join(f"'{code}'" for code in column.codes)
    patients = "count(DISTINCT patient_id)" if "patient_id" in checked.present else "count(*)"
    found = workspace.fetch(
        f"SELECT {column.name} AS code, count(*) AS rows, {patients} AS patients, "
        f"count(*) OVER () AS kinds, sum(count(*)) OVER () AS every_row "
        f"FROM {checked.read.get_name()} WHERE {column.name} NOT IN ({known}) "
        f"GROUP BY {column.name} ORDER BY rows DESC, code LIMIT {_MOST_CODES}"
    ).to_pylist()
    if not found:
        return UnknownCodes(column.name, 0, 0, ())
    words = _OF_DESCRIPTIONS | {word for text in column.codes.values() for word in _words(text)}
    told = [
        row
        for row in found
        if row["kinds"] <= _MOST_CODES
        and row["patients"] >= FEWEST_PATIENTS
        and (_LOOKS_LIKE_A_CODE.fullmatch(row["code"]) or _is_description(row["code"], words))
    ]
    return UnknownCodes(
        column.name,
        int(found[0]["every_row"]),
        int(found[0]["kinds"]),
        tuple(UnknownCode(row["code"], row["rows"]) for row in told),
    )
