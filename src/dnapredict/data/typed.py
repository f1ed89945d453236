"""An extract's columns as the contract types them, with a flag beside each that can be unreadable."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.config.mapping import Mapping
from dnapredict.data.columns import COLUMNS, Column, Kind
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.mapped import BAD_NUMBER, FAULT, TOLD
from dnapredict.data.parsing import Parsed, cells_recorded, interpreted, moment, tidied

__all__ = ["type_of", "typed"]

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
    moments = {
        _MOMENT + column.name: moment(tidy[column.name], column, _formats(column, mapping))
        for column in found
    }
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
