"""Hold an extract against the data contract: rows that keep it, and rejected rows by rule."""

from collections.abc import Iterable
from functools import lru_cache

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.data.checked import Checked
from dnapredict.data.columns import REQUIRED
from dnapredict.data.engines import Engine
from dnapredict.data.entry import enter, entry_of
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.header import columns_told
from dnapredict.data.mapped import TOLD, Asked, feeds, map_columns
from dnapredict.data.plan import compiled, placeholder
from dnapredict.data.pseudonym import FEWEST_NUMBERS, refuse_nhs_numbers
from dnapredict.data.rules import first_broken_rule
from dnapredict.data.typed import typed
from dnapredict.errors import DataError

__all__ = ["check", "present"]


def check(
    table: ir.Table,
    workspace: Engine,
    *,
    mapping: Mapping = IDENTITY,
    source: str,
    future: bool = False,
) -> Checked:
    """Read the columns of `table` through `mapping` and hold every row against the contract.

    A list of `future` appointments may lack what the mapping takes the outcome from.

    Raises
    ------
    DataError
        If a required column is missing; the message names it and the columns that are there. If a
        file that is joined cannot be, or patients' NHS numbers would enter as they are.
    ConfigurationError
        If the mapping names a contract column that does not exist, or there is no key for pseudonyms.
    """
    entered = enter(table, mapping, workspace, source=source)
    asked = Asked(mapping, source, future=future, release=entered.release, complete=entered.complete)
    schema = entered.table.schema()
    present = _present(schema, asked)
    _require_columns(present, table, mapping, source)
    read = workspace.compute(_reading(schema, asked).over(asked=entered.table, **entered.beside))
    total = workspace.count(read)
    if total >= FEWEST_NUMBERS and "patient_id" in present and not mapping.makes_pseudonyms:
        refuse_nhs_numbers(read, workspace, source=source)
    rejected = workspace.fetch(_judging(read.schema()).over(read=read))
    numbers = workspace.keep(rejected.select([ROW_NUMBER]))
    rows = workspace.view(_keeping(read.schema()).over(read=read, rejected=numbers))
    entry = entry_of(read, mapping, entered, workspace)
    return Checked(rows, rejected, total, present, read, entry)


def present(found: Iterable[str], mapping: Mapping = IDENTITY) -> frozenset[str]:
    """The contract columns that a file with the columns `found` can feed through `mapping`."""
    return feeds(found, mapping)


def _require_columns(present: frozenset[str], table: ir.Table, mapping: Mapping, source: str) -> None:
    missing = [name for name in REQUIRED if name not in present]
    if missing:
        raise DataError(
            f"{source}: required column '{missing[0]}' is missing"
            + (f" (and {', '.join(missing[1:])})" if missing[1:] else "")
            + f". {columns_told(table.columns, expected=mapping.drawn)} "
            "Rename the column, or give a mapping with --mapping."
        )


@lru_cache(maxsize=64)
def _present(schema: ibis.Schema, asked: Asked) -> frozenset[str]:
    return map_columns(placeholder("asked", schema), asked).present


@compiled
def _reading(schema: ibis.Schema, asked: Asked) -> ir.Table:
    mapped = map_columns(placeholder("asked", schema), asked)
    return typed(mapped.table, mapped.present, asked.mapping)


@compiled
def _judging(schema: ibis.Schema) -> ir.Table:
    read = placeholder("read", schema)
    judged = read.mutate(rule=first_broken_rule(read))
    broken = judged.filter(judged.rule.notnull())
    return broken.select(ROW_NUMBER, "appointment_id", "rule").order_by(ROW_NUMBER)


@compiled
def _keeping(schema: ibis.Schema) -> ir.Table:
    read = placeholder("read", schema)
    rejected = placeholder("rejected", ibis.schema({ROW_NUMBER: "int64"}))
    flags = [name for name in read.columns if name.startswith(("bad_", TOLD))]
    return read.anti_join(rejected, ROW_NUMBER).drop(*flags)
