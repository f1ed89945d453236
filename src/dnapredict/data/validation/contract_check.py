"""Check an extract against the data contract: typed valid rows, and rejected rows with their rule."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.contract.columns import CHILD_BELOW_YEARS, COLUMNS, REQUIRED, Column, Kind
from dnapredict.data.contract.parsing import Parsed, clock_time, drop_missing_words, trimmed, typed_value
from dnapredict.data.engine import running_step
from dnapredict.data.engine.duckdb_engine import CompiledQuery, compiled, placeholder
from dnapredict.data.engine.prepared_queries import FEW_ROWS, Engine
from dnapredict.data.mapping.apply_mapping import BAD_NUMBER, FAULT, NOTE, MappingRequest, columns_supplied, map_columns
from dnapredict.data.mapping.ingest import ingest_report, prepare
from dnapredict.data.mapping.pseudonyms import FEWEST_NUMBERS, refuse_nhs_numbers
from dnapredict.data.readers.csv_dialect import ROW_NUMBER, describe_columns
from dnapredict.data.validation.checked import CODED, NO_OPT_OUTS, Checked, flagged, replace_texts, unreadable_cells
from dnapredict.data.validation.rules import YEARS, first_broken_rule
from dnapredict.errors import DataError, DnapredictError

Made = TypeVar("Made")

_CLOCK_TIME = "clock_time::"
_TIME = dt.Timestamp(scale=6)


def cast_columns(table: ir.Table, present: frozenset[str], mapping: Mapping) -> ir.Table:
    """Every contract column with its type, and a `bad_` flag for each that can be unreadable."""
    table = _with_stages(table, present, mapping)
    columns: dict[str, ir.Value] = {ROW_NUMBER: table[ROW_NUMBER].cast("int64")}
    for column in COLUMNS:
        if column.name in present:
            columns |= _columns_of(column, _parsed(table, column, mapping))
        else:
            columns |= _null_columns(column)
    notes = [name for name in table.columns if name in (BAD_NUMBER, FAULT) or name.startswith(NOTE)]
    return table.select(**columns | {name: table[name] for name in notes})


def _with_stages(table: ir.Table, present: frozenset[str], mapping: Mapping) -> ir.Table:
    """`table` with trimmed columns, and a column of local times for each time that is text.

    Each stage is a separate query, so that the next can use a column several times without repeating it.
    """
    columns = [column for column in COLUMNS if column.name in present]
    tidy = table.mutate(**{column.name: trimmed(table[column.name], column) for column in columns})
    tidy = tidy.mutate(**{column.name: drop_missing_words(tidy[column.name], column) for column in columns})
    moments = {
        _CLOCK_TIME + column.name: clock_time(tidy[column.name], column, _formats(column, mapping))
        for column in columns
    }
    return tidy.mutate(**{name: value for name, value in moments.items() if value is not None})


def _parsed(table: ir.Table, column: Column, mapping: Mapping) -> Parsed:
    name = _CLOCK_TIME + column.name
    return typed_value(
        table[column.name],
        column,
        zone=mapping.timezone,
        formats=_formats(column, mapping),
        local=table[name] if name in table.columns else None,
    )


def _formats(column: Column, mapping: Mapping) -> tuple[str, ...]:
    origin = mapping.columns.get(column.name)
    return origin.formats if origin else ()


def _null_columns(column: Column) -> dict[str, ir.Value]:
    null = ibis.null(type_of(column))
    locals_ = {_local_name(column): null} if column.kind is Kind.TIMESTAMP else {}
    return {column.name: null, **locals_}


def _columns_of(column: Column, parsed: Parsed) -> dict[str, ir.Value]:
    value = parsed.value
    if column.blanks:
        value = ibis.ifelse(value.upper().isin(list(column.blanks)), ibis.null("string"), value)
    if parsed.local is None:
        return {
            column.name: value.cast(type_of(column)),
            f"bad_{column.name}": parsed.unreadable,
            **_flags(column, parsed),
        }
    local = parsed.local
    if column.name in ("starts_at", "recorded_at"):
        value, local = _end_of_day_if_midnight(value, local)
    return {
        column.name: value.cast(type_of(column)),
        _local_name(column): local.cast(type_of(column)),
        f"bad_{column.name}": parsed.unreadable,
        **_flags(column, parsed),
    }


def _flags(column: Column, parsed: Parsed) -> dict[str, ir.Value]:
    """Flags of a cell as it was written, which only the rules use."""
    flags = {"order": parsed.order, "scientific": parsed.scientific, "long": parsed.too_long}
    return {f"bad_{name}_{column.name}": flag for name, flag in flags.items() if flag is not None}


def _end_of_day_if_midnight(utc: ir.Value, local: ir.Value) -> tuple[ir.Value, ir.Value]:
    """A date without a clock time is parsed as midnight; the event may be at any time until the day ends."""
    no_clock = local == local.truncate("D")
    rest_of_day = ibis.interval(seconds=86_399)
    return ibis.ifelse(no_clock, utc + rest_of_day, utc), ibis.ifelse(no_clock, local + rest_of_day, local)


def _local_name(column: Column) -> str:
    return column.name.removesuffix("_at") + "_local"


def type_of(column: Column) -> dt.DataType:
    """The type of a contract column after parsing."""
    return {
        Kind.TEXT: dt.string,
        Kind.CODE: dt.string,
        Kind.TIMESTAMP: _TIME,
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
    """Parse the columns of `table` through `mapping` and check every row against the contract.

    A list of `future` appointments may lack the source columns of the outcome.

    Raises
    ------
    DataError
        If a required column is missing; the message names it and the columns that are there. If a
        file that is joined cannot be, or patients' NHS numbers would prepare as they are.
    ConfigurationError
        If the mapping names a contract column that does not exist, or there is no key for pseudonyms.
    """
    running_step.begin("Reading and checking the rows")
    prepared = prepare(table, mapping, workspace, source=source)
    request = MappingRequest(mapping, source, future=future, release=prepared.release, complete=prepared.complete)
    schema = prepared.table.schema()
    present = _present(schema, request)
    require_columns(present, table.columns, mapping=mapping, source=source)
    typed = workspace.compute(_typed_rows(schema, request).bind(extract=prepared.table, **prepared.lookups))
    total = workspace.count(typed)
    # One plain query is the quickest for a single appointment.
    cells = workspace.fetch(_cells(typed.schema()).bind(typed=typed)) if total <= FEW_ROWS else None
    typed, texts = replace_texts(typed, present, workspace, cells=cells, has_pseudonyms=mapping.makes_pseudonyms)
    if total >= FEWEST_NUMBERS and "patient_id" in present and not mapping.makes_pseudonyms:
        refuse_nhs_numbers(typed, workspace, source=source)
    rejected = workspace.fetch(_rejected_rows(typed.schema()).bind(typed=typed))
    opt_outs = NO_OPT_OUTS
    if "opt_out" in present and rejected.num_rows:
        opt_outs = workspace.fetch(_opt_outs(typed.schema()).bind(typed=typed)).cast(NO_OPT_OUTS.schema)
    numbers = workspace.keep(rejected.select([ROW_NUMBER]))
    rows = workspace.view(_kept_rows(typed.schema()).bind(typed=typed, rejected=numbers))
    report = ingest_report(typed, mapping, prepared, workspace)
    unreadable = unreadable_cells(typed, workspace, cells=cells)
    return Checked(
        rows,
        rejected,
        total,
        present,
        typed,
        report,
        opt_outs,
        texts=texts,
        unreadable=unreadable,
        extract=prepared.table,
        mapping=mapping,
    )


def present(columns: Iterable[str], mapping: Mapping = IDENTITY) -> frozenset[str]:
    """The contract columns that a file with these columns supplies through `mapping`."""
    return columns_supplied(columns, mapping)


def typed_rows(table: ir.Table, request: MappingRequest, workspace: Engine) -> ir.Table:
    """Every row of `table` in the types of the contract, with flags for the rules and codes for descriptions.

    Of a row it reads that row alone, so that an engine can call it for each part of a table. The mapping of the request
    needs no lookup.
    """
    typed = workspace.compute(_typed_rows(table.schema(), request).bind(extract=table))
    return replace_texts(
        typed, _present(table.schema(), request), workspace, cells=None, has_pseudonyms=request.mapping.makes_pseudonyms
    )[0]


def require_columns(present: frozenset[str], columns: Sequence[str], *, mapping: Mapping, source: str) -> None:
    """Refuse an extract with these `columns` that does not supply every required column.

    Raises
    ------
    DataError
        The message names what is missing and the columns that are there.
    """
    missing = [name for name in REQUIRED if name not in present]
    if missing:
        raise DataError(
            f"{source}: required column '{missing[0]}' is missing"
            + (f" (and {', '.join(missing[1:])})" if missing[1:] else "")
            + f". {describe_columns(columns, expected=mapping.drawn)} "
            "Rename the column, or give a mapping with --mapping."
        )


def _present(schema: ibis.Schema, request: MappingRequest) -> frozenset[str]:
    return _of_any_source(_mapped_columns, schema, request)


@lru_cache(maxsize=64)
def _mapped_columns(schema: ibis.Schema, request: MappingRequest) -> frozenset[str]:
    return map_columns(placeholder("extract", schema), request).present


def _typed_rows(schema: ibis.Schema, request: MappingRequest) -> CompiledQuery:
    return _of_any_source(_mapped_rows, schema, request)


def _of_any_source(
    made: Callable[[ibis.Schema, MappingRequest], Made], schema: ibis.Schema, request: MappingRequest
) -> Made:
    """What `made` gives for the request, which is the same for a file of any name: compiling takes half a second."""
    try:
        return made(schema, replace(request, source=""))
    except DnapredictError:
        return made(schema, request)  # is refused again, with the name of the file


@compiled
def _mapped_rows(schema: ibis.Schema, request: MappingRequest) -> ir.Table:
    mapped = map_columns(placeholder("extract", schema), request)
    typed = cast_columns(mapped.table, mapped.present, request.mapping)
    return typed.mutate(**_plausible_times(typed, mapped.present))


def _plausible_times(typed: ir.Table, present: frozenset[str]) -> dict[str, ir.Value]:
    """The optional times, null and flagged where they are after the appointment or before any system's records."""
    columns: dict[str, ir.Value] = {}
    for each in COLUMNS:
        if each.is_optional_time and each.name in present:
            value, local = typed[each.name], _local_name(each)
            is_wrong = ((value > typed.starts_at) | (value.year() < YEARS[0])).fill_null(False)
            columns |= {name: ibis.ifelse(is_wrong, ibis.null(_TIME), typed[name]) for name in (each.name, local)}
            columns[f"bad_{each.name}"] = typed[f"bad_{each.name}"].fill_null(False) | is_wrong
    return columns


@compiled
def _cells(schema: ibis.Schema) -> ir.Table:
    """What is read of few rows outside the engine: codes, and optional cells with their flags."""
    typed, optional = placeholder("typed", schema), flagged(schema.names)
    return typed.select(ROW_NUMBER, "patient_id", *CODED, *optional, *(f"bad_{name}" for name in optional))


@compiled
def _rejected_rows(schema: ibis.Schema) -> ir.Table:
    return rejected_rows(placeholder("typed", schema)).order_by(ROW_NUMBER)


def rejected_rows(typed: ir.Table) -> ir.Table:
    """`row_number`, `appointment_id` and the first broken rule of each rejected row of `typed`, in no order."""
    return _with_rule(typed).select(ROW_NUMBER, "appointment_id", "rule")


@compiled
def _opt_outs(schema: ibis.Schema) -> ir.Table:
    """Patients of rejected rows who opted out of calls, or whose `opt_out` cannot be read."""
    rejected = _with_rule(placeholder("typed", schema))
    opted_out = rejected.opt_out.fill_null(False) | rejected.bad_opt_out.fill_null(False)
    return rejected.filter(opted_out).select("appointment_id", "patient_id")


def _with_rule(typed: ir.Table) -> ir.Table:
    """The rejected rows with the first rule that each breaks."""
    checked = typed.mutate(rule=first_broken_rule(typed))
    return checked.filter(checked.rule.notnull())


@compiled
def _kept_rows(schema: ibis.Schema) -> ir.Table:
    return kept_rows(placeholder("typed", schema), placeholder("rejected", ibis.schema({ROW_NUMBER: "int64"})))


def kept_rows(typed: ir.Table, rejected: ir.Table) -> ir.Table:
    """The valid rows of `typed` without flags; `rejected` has the `row_number` of the others."""
    flags = [name for name in typed.columns if name.startswith(("bad_", NOTE))]
    kept = typed.anti_join(rejected, ROW_NUMBER).drop(*flags)
    is_child = kept.age_years < CHILD_BELOW_YEARS
    return kept.mutate(carer_or_child=ibis.coalesce(kept.carer_or_child, is_child))
