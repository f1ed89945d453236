"""Apply a mapping: a foreign extract's columns under the contract's names, values translated."""

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir

from dnapredict.config.mapping import Mapping, Source
from dnapredict.data.columns import NAMES, Kind, column
from dnapredict.data.extract import ROW_FAULT, ROW_NUMBER
from dnapredict.data.geography import fed, located
from dnapredict.data.joins import MATCHED
from dnapredict.data.origins import patient_number, value_of, with_age
from dnapredict.data.plan import placeholder
from dnapredict.data.pseudonym import PSEUDONYMS
from dnapredict.errors import ConfigurationError

__all__ = ["BAD_NUMBER", "FAULT", "TOLD", "Asked", "Mapped", "contract_name", "feeds", "map_columns"]

# Columns beside the contract's: what a row turned out to be, until that has been counted.
TOLD: Final = "told_"
# Whether a patient's number is not the NHS number that it ought to be.
BAD_NUMBER: Final = "bad_patient_id"
# The rule that a row breaks as a row of its file, whatever its cells say.
FAULT: Final = "bad_row"
_OF_THE_OUTCOME: Final = ("outcome_code", "recorded_at")


@dataclass(frozen=True)
class Mapped:
    """The contract columns that an extract can feed, still as they were written.

    Beside them `table` has its row numbers and columns that begin with `TOLD`, and `BAD_NUMBER` where
    patients' numbers become pseudonyms.
    """

    table: ir.Table
    present: frozenset[str]


@dataclass(frozen=True)
class Asked:
    """How an extract is to be read.

    Attributes
    ----------
    source
        What messages call the extract.
    future
        Whether it is a list of appointments to come, which may lack the source of an outcome.
    release, complete
        Of the areas that are looked up, as in `data.atlas.Atlas`.
    """

    mapping: Mapping
    source: str
    future: bool = False
    release: str = ""
    complete: bool = False


def map_columns(table: ir.Table, asked: Asked) -> Mapped:
    """Give the columns of `table` their contract names.

    Without a mapped name a column is recognised by the contract's own name, in any case and
    with spaces or underscores. Columns that the contract does not know are left behind here,
    so that names, addresses and phone numbers go no further.

    Raises
    ------
    ConfigurationError
        If the mapping names a contract column that does not exist, or draws it from what cannot be it.
    DataError
        If the mapping draws on a column that the extract does not have.
    """
    mapping, geography = asked.mapping, asked.mapping.geography
    _require_sense(mapping)
    columns = _columns(table, asked)
    mapped = table.select(table[ROW_NUMBER], **columns, **_told(table))
    if "age_years" in mapping.columns and mapping.columns["age_years"].born:
        mapped = with_age(mapped, mapping)
    if mapping.makes_pseudonyms:
        mapped = _with_pseudonyms(mapped)
    mapped = located(mapped, geography, release=asked.release, complete=asked.complete)
    return Mapped(mapped, frozenset(columns) | fed(geography, frozenset(columns)))


def _columns(table: ir.Table, asked: Asked) -> dict[str, ir.Value]:
    mapping, found = asked.mapping, set(table.columns)
    columns = {
        name: value_of(table, origin, where=asked.source, expected=mapping.drawn)
        for name, origin in mapping.columns.items()
        if not (asked.future and name in _OF_THE_OUTCOME and not set(origin.columns) <= found)
    }
    if mapping.makes_pseudonyms:
        columns["patient_id"] = patient_number(table, mapping, where=asked.source)
    return columns | {name: table[own] for own, name in _by_own_name(table.columns, mapping)}


def _told(table: ir.Table) -> dict[str, ir.Value]:
    matched = (name for name in table.columns if name.startswith(MATCHED))
    fault = {FAULT: table[ROW_FAULT]} if ROW_FAULT in table.columns else {}
    return {TOLD + name.removeprefix(MATCHED): table[name] for name in matched} | fault


def feeds(found: Iterable[str], mapping: Mapping) -> frozenset[str]:
    """The contract columns that a file with the columns `found` can feed through `mapping`."""
    found = set(found)
    drawn = {
        name
        for name, origin in mapping.columns.items()
        if all(column in found or mapping.join_of(column) for column in origin.columns)
    }
    named = frozenset(drawn | {name for _, name in _by_own_name(found, mapping)})
    return named | fed(mapping.geography, named)


def contract_name(found: str) -> str:
    """How the contract would spell the column `found`, whether it knows one of that name or not."""
    return found.strip().lower().replace(" ", "_")


def _by_own_name(found: Collection[str], mapping: Mapping) -> Iterator[tuple[str, str]]:
    """Columns that the mapping does not speak of and that have a contract column's name."""
    unspoken = (name for name in found if name not in mapping.drawn)
    named = ((name, contract_name(name)) for name in unspoken)
    yield from ((own, name) for own, name in named if name in NAMES and name not in mapping.columns)


def _with_pseudonyms(mapped: ir.Table) -> ir.Table:
    """A pseudonym for each number (the table `pseudonyms`), and which numbers are none."""
    found = placeholder("pseudonyms", PSEUDONYMS)
    own = mapped.columns
    joined = mapped.left_join(found, mapped.patient_id == found.written)
    bad = {BAD_NUMBER: joined.bad.fill_null(False)}
    return joined.mutate(patient_id=joined.pseudonym, **bad).select(*own, BAD_NUMBER)


def _require_sense(mapping: Mapping) -> None:
    for name, origin in mapping.columns.items():
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigurationError(f"mapping: the contract has no column '{name}'.{hint}")
        for key, allowed in _senses(name, origin):
            if not allowed:
                raise ConfigurationError(f"mapping: column '{name}' cannot be had with '{key}'.")


def _senses(name: str, origin: Source) -> Iterator[tuple[str, bool]]:
    kind = column(name).kind
    if origin.born is not None:
        yield "born", name == "age_years"
    if origin.date is not None:
        yield "date", kind is Kind.TIMESTAMP
    if origin.filled is not None:
        yield "filled", kind is Kind.BOOLEAN
    if origin.pseudonymise:
        yield "pseudonymise", name == "patient_id"
