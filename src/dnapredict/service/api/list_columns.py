"""The columns of an uploaded list: their possible meanings, missing columns, and the position of a cell."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from dnapredict.config.mapping_config import Mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.apply_mapping import source_of
from dnapredict.data.mapping.column_meanings import UNUSED, WORDS, ChosenMeanings, meanings_of
from dnapredict.data.mapping.pseudonyms import KEY_VARIABLE
from dnapredict.data.mapping.suggestion import Sources, complete_sources, suggest_sources
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER, printable_name, unnamed
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


@dataclass(frozen=True)
class ColumnQuestion:
    """The columns of an uploaded list whose meaning a person has to confirm."""

    name: str
    rows: int
    columns: tuple[AskedColumn, ...]


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
    """The question about the meaning of a list's columns, preselected with `keys` or with the suggestions.

    Raises
    ------
    DataError
        If the first row does not look like the names of columns.
    """
    if not keys:
        meanings = meanings_of(_suggested(table, name=name))
        keys = [meanings.get(column, UNUSED) for column in columns_of_file(table)]
    return ColumnQuestion(
        name,
        table.num_rows,
        tuple(
            _asked(table, column, number, key)
            for number, (column, key) in enumerate(zip(columns_of_file(table), keys, strict=True), start=1)
        ),
    )


def _asked(table: pa.Table, column: str, number: int, key: str) -> AskedColumn:
    if column != unnamed(number):
        return AskedColumn(number, letter(number), printable_name(column, number), key)
    is_blank = not any(cell and cell.strip() for cell in table[column].to_pylist())
    return AskedColumn(number, letter(number), "", key, is_blank=is_blank)


def chosen_sources(table: pa.Table, keys: Sequence[str], *, name: str, has_key: bool) -> Sources:
    """The sources of a mapping from a person's choices, with the formats and translations that the values need.

    If the service has a key for pseudonyms, patients' numbers become pseudonyms, like those of the history; otherwise
    they are used as written.

    Raises
    ------
    ColumnsUnclear
        If a required column is missing, or two columns have the same meaning.
    """
    columns = columns_of_file(table)
    if len(keys) != len(columns):
        raise DataError("The form does not fit the file. Choose the file again.")
    try:
        suggested = _suggested(table, name=name).get("patient_id", {})
        pseudonymise = suggested.get("pseudonymise", False) if has_key else False
        sources = ChosenMeanings(columns, keys).sources(pseudonymise=pseudonymise)  # type: ignore[arg-type]
    except DataError as error:
        raise ColumnsUnclear(str(error), ask(table, name=name, keys=keys)) from None
    with Workspace() as workspace:
        return complete_sources(sources, workspace.keep(table), workspace).columns


def _suggested(table: pa.Table, *, name: str) -> Sources:
    with Workspace() as workspace:
        return suggest_sources(workspace.keep(table), workspace, source=name)


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
