"""The columns of an uploaded list: their possible meanings, missing columns, and the position of a cell."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import pyarrow as pa

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.contract.columns import REQUIRED
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.apply_mapping import source_of
from dnapredict.data.mapping.column_meanings import BY_KEY, UNUSED, WORDS, ChosenMeanings, meanings_of
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE
from dnapredict.data.mapping.suggestion import Sources, complete_sources, suggest_sources
from dnapredict.data.readers.csv_dialect import (
    NAMES_WANTED,
    ROW_FAULT,
    ROW_NUMBER,
    looks_like_header,
    printable_name,
    unnamed,
)
from dnapredict.data.validation.rules import columns_of
from dnapredict.errors import DataError
from dnapredict.service.scorer_protocol import ScorerProtocol, factors_of

_MOST_TITLES: Final = 4


@dataclass(frozen=True)
class AskedColumn:
    """A column of a spreadsheet: its letter, name and suggested meaning (a key of `BY_KEY`, or `UNUSED`).

    A column without a header has `name` "". If it is also empty it `is_blank`, and the page does not ask about it.
    """

    number: int
    letter: str
    name: str
    key: str
    is_blank: bool = False


class FirstRow(StrEnum):
    """What a person says about the first row of a file in which no column has a name that is known."""

    NAMES = "names"
    APPOINTMENT = "appointment"


@dataclass(frozen=True)
class ColumnQuestion:
    """The columns of an uploaded list whose meaning a person has to confirm.

    `is_header_known` is False where the first row may be an appointment, and not the names of the columns: that has to
    be asked too, since names are remembered, and a patient's must not be.
    """

    name: str
    rows: int
    columns: tuple[AskedColumn, ...]
    is_header_known: bool = True
    first_row: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What a list cannot be scored without and no column is chosen for, in words."""
        chosen = {column.key for column in self.columns}
        return tuple(BY_KEY[name].words for name in REQUIRED if name not in chosen and name != "appointment_id")


class ColumnsUnclear(DataError):  # noqa: N818 - turned into a page by the caller
    """The chosen meanings do not make a valid list; `question` is to be asked again."""

    def __init__(self, message: str, question: ColumnQuestion) -> None:
        """Keep the question that is to be asked again."""
        super().__init__(message)
        self.question = question


def columns_of_file(table: pa.Table) -> tuple[str, ...]:
    """The names of a file's own columns, in their order."""
    return tuple(name for name in table.column_names if name not in (ROW_NUMBER, ROW_FAULT))


def ask(table: pa.Table, *, name: str, keys: Sequence[str] = ()) -> ColumnQuestion:
    """The question about the meaning of a list's columns, preselected with `keys` or with the suggestions."""
    if not keys:
        meanings = meanings_of(_suggested(table))
        keys = [meanings.get(column, UNUSED) for column in columns_of_file(table)]
    return ColumnQuestion(
        name,
        table.num_rows,
        tuple(
            _asked(table, column, number, key)
            for number, (column, key) in enumerate(zip(columns_of_file(table), keys, strict=True), start=1)
        ),
        is_header_known=looks_like_header(table.column_names),
    )


def _asked(table: pa.Table, column: str, number: int, key: str) -> AskedColumn:
    if column != unnamed(number):
        return AskedColumn(number, letter(number), printable_name(column, number), key)
    is_blank = not any(cell and cell.strip() for cell in table[column].to_pylist())
    return AskedColumn(number, letter(number), "", key, is_blank=is_blank)


@dataclass(frozen=True)
class ColumnAnswers:
    """What a person says about a file: a key of `BY_KEY`, or `UNUSED`, for each column, and what its first row is."""

    keys: Sequence[str]
    first_row: str = ""


def chosen_sources(table: pa.Table, answers: ColumnAnswers, *, name: str, has_key: bool) -> Sources:
    """The sources of a mapping from a person's choices, with the formats and translations that the values need.

    If the service has a key for pseudonyms, patients' numbers become pseudonyms, like those of the history; otherwise
    they are used as written.

    Raises
    ------
    ColumnsUnclear
        If a required column is missing, two columns have the same meaning, or nobody said what the first row is.
    DataError
        If the form is of another file, or the first row is an appointment.
    """
    columns, keys = columns_of_file(table), answers.keys
    if len(keys) != len(columns):
        raise DataError("The form does not fit the file. Choose the file again.")
    try:
        _require_names(table, answers, name=name)
        suggested = _suggested(table).get("patient_id", {})
        pseudonymise = suggested.get("pseudonymise", False) if has_key else False
        sources = ChosenMeanings(columns, keys).sources(pseudonymise=pseudonymise)  # type: ignore[arg-type]
    except DataError as error:
        if answers.first_row == FirstRow.APPOINTMENT:
            raise
        again = replace(ask(table, name=name, keys=keys), first_row=answers.first_row)
        raise ColumnsUnclear(str(error), again) from None
    with Workspace() as workspace:
        return complete_sources(sources, workspace.keep(table), workspace).columns


def _require_names(table: pa.Table, answers: ColumnAnswers, *, name: str) -> None:
    """Require that the first row holds the names of the columns, or that somebody says so."""
    if looks_like_header(table.column_names) or answers.first_row == FirstRow.NAMES:
        return
    if answers.first_row == FirstRow.APPOINTMENT:
        raise DataError(f"{name}: {NAMES_WANTED}")
    raise DataError("Say what the first row of your file is: the names of its columns, or an appointment.")


def _suggested(table: pa.Table) -> Sources:
    with Workspace() as workspace:
        return suggest_sources(workspace.keep(table), workspace)


def has_pseudonym_key(mapping: Mapping) -> bool:
    """Whether the service has a key for pseudonyms."""
    return mapping.key_file is not None or bool(os.environ.get(KEY_VARIABLE))


def letter(number: int) -> str:
    """The letters over a spreadsheet's column, the first of which has number 1.

    >>> [letter(number) for number in (1, 26, 27, 703)]
    ['A', 'Z', 'AA', 'AAA']
    """
    letters = ""
    while number:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def lacking_words(unknown: Sequence[str], present: Collection[str], scorer: ScorerProtocol) -> tuple[str, ...]:
    """A sentence for each contract column that the list does not have, with the factors that need it."""
    factors = {factor.name: factor for factor in factors_of(scorer)}
    titles: dict[str, list[str]] = {}
    for factor in (factors[name] for name in unknown if name in factors):
        for column in factor.columns:
            if column not in (*present, "outcome_code") and column in WORDS:
                titles.setdefault(column, []).append(factor.title)
    return tuple(
        f"There is no column for {WORDS[column]}. Not known without it: {_some(of)}." for column, of in titles.items()
    )


def _some(titles: Sequence[str]) -> str:
    shown = "; ".join(title.lower() for title in titles[:_MOST_TITLES])
    return shown if len(titles) <= _MOST_TITLES else f"{shown}; and {len(titles) - _MOST_TITLES} more"


def error_cells(worklist: pa.Table, appointments: pa.Table, mapping: Mapping) -> pa.Array:
    """Where in the uploaded file to look for the error of each row of `worklist`; null for a scored row."""
    columns = columns_of_file(appointments)
    cells = [
        None if error is None else cell_words(row, wrong_cells(error, columns, mapping))
        for row, error in zip(worklist[ROW_NUMBER].to_pylist(), worklist["error"].to_pylist(), strict=True)
    ]
    return pa.array(cells, pa.string())


def cell_words(row: int, cells: Sequence["FileColumn"]) -> str:
    """Where a row and its wrong cells are.

    >>> cell_words(14, [FileColumn(4, "Appt Date")])
    'row 14, column D (Appt Date)'
    """
    named = " or ".join(f"{letter(cell.number)} ({printable_name(cell.name, cell.number)})" for cell in cells)
    return f"row {row:,}, column {named}" if named else f"row {row:,}"


@dataclass(frozen=True)
class FileColumn:
    """A column of an uploaded file, by its number from 1 and its name."""

    number: int
    name: str


def wrong_cells(error: str, columns: Sequence[str], mapping: Mapping) -> tuple[FileColumn, ...]:
    """The columns of a file in which the error of a row may be; empty where the whole row is meant."""
    wanted = columns_of(error.removeprefix("This row ").removesuffix("."))
    sources = (source_of(name, columns, mapping) for name in wanted)
    named = dict.fromkeys(name for source in sources if source is not None for name in source.columns)
    return tuple(FileColumn(columns.index(name) + 1, name) for name in named if name in columns)
