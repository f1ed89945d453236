"""Hold an extract against the data contract: rows that keep it, and rejected rows by rule."""

from collections.abc import Iterable
from functools import lru_cache

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.data.checked import Checked
from dnapredict.data.columns import NAMES, REQUIRED
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.mapped import contract_name, map_columns
from dnapredict.data.plan import compiled, placeholder
from dnapredict.data.rules import first_broken_rule
from dnapredict.data.typed import typed
from dnapredict.data.workspace import Workspace
from dnapredict.errors import DataError

__all__ = ["check", "present"]


def check(
    table: ir.Table,
    workspace: Workspace,
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
        If a required column is missing; the message names it and the columns that are there.
    ConfigurationError
        If the mapping names a contract column that does not exist.
    """
    present = _present(table.schema(), mapping, future, source)
    _require_columns(present, table, source)
    read = workspace.compute(_reading(table.schema(), mapping, future, source).over(asked=table))
    rejected = workspace.fetch(_judging(read.schema()).over(read=read))
    numbers = workspace.keep(rejected.select([ROW_NUMBER]))
    rows = workspace.view(_keeping(read.schema()).over(read=read, rejected=numbers))
    total = int(workspace.fetch(f"SELECT count(*) AS n FROM {read.get_name()}")["n"][0].as_py())
    return Checked(rows, rejected, total, present)


def present(found: Iterable[str], mapping: Mapping = IDENTITY) -> frozenset[str]:
    """The contract columns that a file with the columns `found` can feed through `mapping`."""
    found = set(found)
    mapped = {
        name for name, origin in mapping.columns.items() if origin.source is None or origin.source in found
    }
    return frozenset(mapped | {contract_name(name) for name in found} & set(NAMES))


def _require_columns(present: frozenset[str], table: ir.Table, source: str) -> None:
    missing = [name for name in REQUIRED if name not in present]
    if missing:
        found = ", ".join(name for name in table.columns if name != ROW_NUMBER)
        raise DataError(
            f"{source}: required column '{missing[0]}' is missing"
            + (f" (and {', '.join(missing[1:])})" if missing[1:] else "")
            + f". The file has: {found}. Rename the column, or give a mapping with --mapping."
        )


@lru_cache(maxsize=64)
def _present(schema: ibis.Schema, mapping: Mapping, future: bool, source: str) -> frozenset[str]:
    asked = placeholder("asked", schema)
    return map_columns(asked, mapping, source=source, future=future).present


@compiled
def _reading(schema: ibis.Schema, mapping: Mapping, future: bool, source: str) -> ir.Table:
    mapped = map_columns(placeholder("asked", schema), mapping, source=source, future=future)
    return typed(mapped.table, mapped.present, mapping)


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
    flags = [name for name in read.columns if name.startswith("bad_")]
    return read.anti_join(rejected, ROW_NUMBER).drop(*flags)
