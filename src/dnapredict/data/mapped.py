"""Apply a mapping: a foreign extract's columns under the contract's names, values translated."""

import difflib
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping import Mapping, Source
from dnapredict.data.columns import NAMES
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.errors import ConfigurationError, DataError

__all__ = ["Mapped", "contract_name", "map_columns"]

_OF_THE_OUTCOME = ("outcome_code", "recorded_at")


@dataclass(frozen=True)
class Mapped:
    """The contract columns that an extract can feed, still as they were written."""

    table: ir.Table
    present: frozenset[str]


def map_columns(table: ir.Table, mapping: Mapping, *, source: str, future: bool = False) -> Mapped:
    """Give the columns of `table` their contract names.

    Without a mapped name a column is recognised by the contract's own name, in any case and
    with spaces or underscores. Columns that the contract does not know are left behind here,
    so that names, addresses and phone numbers go no further. A list of `future` appointments may
    lack the source of an outcome.

    Raises
    ------
    ConfigurationError
        If the mapping names a contract column that does not exist.
    DataError
        If the mapping draws on a column that the extract does not have.
    """
    _known_names(mapping)
    columns = {
        name: _value(table, origin, source)
        for name, origin in mapping.columns.items()
        if not (future and name in _OF_THE_OUTCOME and origin.source not in table.columns)
    }
    taken = {origin.source for origin in mapping.columns.values()}
    for found in table.columns:
        name = contract_name(found)
        if name in NAMES and name not in columns and found not in taken:
            columns[name] = table[found]
    return Mapped(table.select(table[ROW_NUMBER], **columns), frozenset(columns))


def contract_name(found: str) -> str:
    """How the contract would spell the column `found`, whether it knows one of that name or not."""
    return found.strip().lower().replace(" ", "_")


def _known_names(mapping: Mapping) -> None:
    for name in mapping.columns:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigurationError(f"mapping: the contract has no column '{name}'.{hint}")


def _value(table: ir.Table, origin: Source, source: str) -> ir.Value:
    if origin.source is None:
        return ibis.literal(origin.constant)
    if origin.source not in table.columns:
        found = ", ".join(name for name in table.columns if name != ROW_NUMBER)
        raise DataError(
            f"{source}: column '{origin.source}', which the mapping asks for, is missing. "
            f"The file has: {found}."
        )
    value = table[origin.source]
    if not origin.translate:
        return value
    text = value.cast("string").strip()
    return text.cases(*origin.translate.items(), else_=text)
