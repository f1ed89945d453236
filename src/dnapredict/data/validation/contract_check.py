"""Check an extract against the data contract: typed rows that keep it, and rejected rows by rule."""

from collections.abc import Iterable
from functools import lru_cache

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.contract.columns import COLUMNS, REQUIRED, Column, Kind
from dnapredict.data.contract.parsing import Parsed, cells_recorded, interpreted, moment, tidied
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.mapping.apply_mapping import BAD_NUMBER, FAULT, TOLD, MappingRequest, feeds, map_columns
from dnapredict.data.mapping.ingest import enter, entry_of
from dnapredict.data.mapping.pseudonyms import FEWEST_NUMBERS, refuse_nhs_numbers
from dnapredict.data.readers.csv_dialect import ROW_NUMBER, columns_told
from dnapredict.data.validation.checked import NO_WISHES, Checked
from dnapredict.data.validation.rules import first_broken_rule
from dnapredict.errors import DataError

_MOMENT = "moment::"


def typed(table: ir.Table, present: frozenset[str], mapping: Mapping) -> ir.Table:
    """Every contract column with its type, a `bad_` flag beside each that can be unreadable."""
    table = _staged(table, present, mapping)
    columns: dict[str, ir.Value] = {ROW_NUMBER: table[ROW_NUMBER].cast("int64")}
    for column in COLUMNS:
        if column.name in present:
            columns |= _named(column, _interpreted(table, column, mapping))
        else:
            columns |= _absent(column)
    beside = [name for name in table.columns if name in (BAD_NUMBER, FAULT) or name.startswith(TOLD)]
    return table.select(**columns | {name: table[name] for name in beside})


def _staged(table: ir.Table, present: frozenset[str], mapping: Mapping) -> ir.Table:
    """`table` with its columns tidied, and a column of clock times beside each time that is text.

    Each stage is a query of its own, in which the next names a column as often as it likes.
    """
    found = [column for column in COLUMNS if column.name in present]
    tidy = table.mutate(**{column.name: tidied(table[column.name], column) for column in found})
    tidy = tidy.mutate(**{column.name: cells_recorded(tidy[column.name], column) for column in found})
    moments = {_MOMENT + column.name: moment(tidy[column.name], column, _formats(column, mapping)) for column in found}
    return tidy.mutate(**{name: value for name, value in moments.items() if value is not None})


def _interpreted(table: ir.Table, column: Column, mapping: Mapping) -> Parsed:
    name = _MOMENT + column.name
    return interpreted(
        table[column.name],
        column,
        zone=mapping.timezone,
        formats=_formats(column, mapping),
        local=table[name] if name in table.columns else None,
    )


def _formats(column: Column, mapping: Mapping) -> tuple[str, ...]:
    origin = mapping.columns.get(column.name)
    return origin.formats if origin else ()


def _absent(column: Column) -> dict[str, ir.Value]:
    null = ibis.null(type_of(column))
    locals_ = {_local_name(column): null} if column.kind is Kind.TIMESTAMP else {}
    return {column.name: null, **locals_}


def _named(column: Column, parsed: Parsed) -> dict[str, ir.Value]:
    value = parsed.value
    if column.blanks:
        value = ibis.ifelse(value.upper().isin(list(column.blanks)), ibis.null("string"), value)
    if parsed.local is None:
        return {
            column.name: value.cast(type_of(column)),
            f"bad_{column.name}": parsed.unreadable,
            **_doubts(column, parsed),
        }
    local = parsed.local
    if column.name in ("starts_at", "recorded_at"):
        value, local = _end_of_day_if_midnight(value, local)
    return {
        column.name: value.cast(type_of(column)),
        _local_name(column): local.cast(type_of(column)),
        f"bad_{column.name}": parsed.unreadable,
        **_doubts(column, parsed),
    }


def _doubts(column: Column, parsed: Parsed) -> dict[str, ir.Value]:
    """What else is known of a cell as it was written, for the rules alone."""
    told = {"order": parsed.order, "scientific": parsed.scientific, "long": parsed.too_long}
    return {f"bad_{what}_{column.name}": found for what, found in told.items() if found is not None}


def _end_of_day_if_midnight(utc: ir.Value, local: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Midnight is how a date without a clock time reads: it may happen at any time until the day ends."""
    no_clock = local == local.truncate("D")
    rest_of_day = ibis.interval(seconds=86_399)
    return ibis.ifelse(no_clock, utc + rest_of_day, utc), ibis.ifelse(no_clock, local + rest_of_day, local)


def _local_name(column: Column) -> str:
    return column.name.removesuffix("_at") + "_local"


def type_of(column: Column) -> dt.DataType:
    """The type of a contract column once it is read."""
    return {
        Kind.TEXT: dt.string,
        Kind.CODE: dt.string,
        Kind.TIMESTAMP: dt.Timestamp(scale=6),
        Kind.NUMBER: dt.float64,
        Kind.INTEGER: dt.int64,
        Kind.BOOLEAN: dt.boolean,
    }[column.kind]


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
    asked = MappingRequest(mapping, source, future=future, release=entered.release, complete=entered.complete)
    schema = entered.table.schema()
    present = _present(schema, asked)
    _require_columns(present, table, mapping, source)
    read = workspace.compute(_reading(schema, asked).bind(asked=entered.table, **entered.beside))
    total = workspace.count(read)
    if total >= FEWEST_NUMBERS and "patient_id" in present and not mapping.makes_pseudonyms:
        refuse_nhs_numbers(read, workspace, source=source)
    rejected = workspace.fetch(_judging(read.schema()).bind(read=read))
    wished = _of_rejected(read, workspace) if "opt_out" in present and rejected.num_rows else NO_WISHES
    numbers = workspace.keep(rejected.select([ROW_NUMBER]))
    rows = workspace.view(_keeping(read.schema()).bind(read=read, rejected=numbers))
    entry = entry_of(read, mapping, entered, workspace)
    return Checked(rows, rejected, total, present, read, entry, wished)


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
def _present(schema: ibis.Schema, asked: MappingRequest) -> frozenset[str]:
    return map_columns(placeholder("asked", schema), asked).present


@compiled
def _reading(schema: ibis.Schema, asked: MappingRequest) -> ir.Table:
    mapped = map_columns(placeholder("asked", schema), asked)
    return typed(mapped.table, mapped.present, asked.mapping)


@compiled
def _judging(schema: ibis.Schema) -> ir.Table:
    read = placeholder("read", schema)
    judged = read.mutate(rule=first_broken_rule(read))
    broken = judged.filter(judged.rule.notnull())
    return broken.select(ROW_NUMBER, "appointment_id", "rule").order_by(ROW_NUMBER)


def _of_rejected(read: ir.Table, workspace: Engine) -> pa.Table:
    return workspace.fetch(_wishing(read.schema()).bind(read=read)).cast(NO_WISHES.schema)


@compiled
def _wishing(schema: ibis.Schema) -> ir.Table:
    """Whose wish not to be called stands in a row that is rejected, or cannot be read."""
    read = placeholder("read", schema)
    judged = read.mutate(rule=first_broken_rule(read))
    wished = judged.filter(judged.rule.notnull(), judged.opt_out.fill_null(False) | judged.bad_opt_out.fill_null(False))
    return wished.select("appointment_id", "patient_id")


@compiled
def _keeping(schema: ibis.Schema) -> ir.Table:
    read = placeholder("read", schema)
    rejected = placeholder("rejected", ibis.schema({ROW_NUMBER: "int64"}))
    flags = [name for name in read.columns if name.startswith(("bad_", TOLD))]
    return read.anti_join(rejected, ROW_NUMBER).drop(*flags)
