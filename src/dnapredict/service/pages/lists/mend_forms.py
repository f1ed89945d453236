"""Forms to correct the cells of rows that could not be scored."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.data.readers.csv_dialect import ROW_NUMBER, printable_name
from dnapredict.service.api.list_columns import cell_words, letter, wrong_cells
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.unscored_rows import UnscoredRows

# Contract columns as a clerk calls them, in the sentences of `data.validation.rules`.
_NOUNS: Final = {
    "appointment_id": "appointment number",
    "patient_id": "patient's number",
    "booked_at": "date of booking",
    "starts_at": "date of the appointment",
    "outcome_code": "outcome",
    "age_years": "age",
    "opt_out": "answer about calls",
}
_NAMED: Final = re.compile(rf"\b(?:an? |the |no )?({'|'.join(_NOUNS)})\b")


def row_error(error: str) -> str:
    """What is wrong with a row, in the words of a clerk.

    >>> row_error("This row holds a starts_at that is not a date and time.")
    'This row holds a date of the appointment that is not a date and time.'
    >>> row_error("This row has no appointment_id.")
    'This row has no appointment number.'
    """
    return _NAMED.sub(_in_words, error)


def _in_words(found: re.Match[str]) -> str:
    noun = _NOUNS[found[1]]
    article = found[0].removesuffix(found[1]).strip()
    if article in ("a", "an"):
        article = "an" if noun[0] in "aeiou" else "a"
    return f"{article} {noun}".strip()


@dataclass(frozen=True)
class CellField:
    """A cell: the number of its column from 1, its position and name in words, and its value."""

    number: int
    words: str
    value: str


@dataclass(frozen=True)
class MendForm:
    """The cells of one row that may be wrong, and the position of the row."""

    where: str
    cells: tuple[CellField, ...]


def mend_forms(kept: KeptList, unscored: UnscoredRows | None) -> Mapping[int, MendForm | None]:
    """A form for each line whose cells are still kept; None for every other line."""
    forms: defaultdict[int, MendForm | None] = defaultdict(lambda: None)
    if unscored is None:
        return forms
    rows = kept.worklist.select([ROW_NUMBER, "error"]).to_pylist()
    for line, row in enumerate(rows, start=1):
        if row["error"] is not None and row[ROW_NUMBER] in unscored.rows:
            forms[line] = _form(row[ROW_NUMBER], row["error"], unscored)
    return forms


def _form(row: int, error: str, unscored: UnscoredRows) -> MendForm | None:
    wrong = wrong_cells(error, unscored.columns, unscored.mapping)
    cells = unscored.rows[row]
    fields = tuple(
        CellField(
            each.number,
            f"{letter(each.number)}{row}, {printable_name(each.name, each.number)}",
            cells[each.name] or "",
        )
        for each in wrong
        if each.name in cells
    )
    return MendForm(cell_words(row, wrong), fields) if fields else None
