"""Codes that an extract holds and the NHS Data Dictionary does not.

A column that was mapped wrongly can hold anything, a name or a number of a patient among it. So a
value is told only where it looks like a code (short, of capitals and digits) or is the meaning of
one (FEMALE), of a column with few different values, and shared by many patients.
"""

import re
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
    meanings = {meaning.upper() for meaning in column.codes.values()}
    told = [
        row
        for row in found
        if row["kinds"] <= _MOST_CODES
        and row["patients"] >= FEWEST_PATIENTS
        and (row["code"] in meanings or _LOOKS_LIKE_A_CODE.fullmatch(row["code"]))
    ]
    return UnknownCodes(
        column.name,
        int(found[0]["every_row"]),
        int(found[0]["kinds"]),
        tuple(UnknownCode(row["code"], row["rows"]) for row in told),
    )
