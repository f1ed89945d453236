"""Hold an extract against the data contract: rows that keep it, and rejected rows by rule.

The rules are Ibis expressions that the embedded engine evaluates in one pass.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.data import codes
from dnapredict.data.columns import COLUMNS, NAMES, REQUIRED, Column, Kind
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.mapped import contract_name, map_columns
from dnapredict.data.parsing import Parsed, parse
from dnapredict.data.plan import compiled, placeholder
from dnapredict.data.workspace import Workspace
from dnapredict.errors import DataError

__all__ = ["RULES", "Checked", "Rejection", "check", "present", "sentence_of"]

# Nothing is booked or held outside these years; 2999-12-31 is how a dictionary says "not known".
_YEARS: Final = (1990, 2100)
# Set aside by rule, and no fault of the extract.
_BOUNDED: Final = (Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN)
_NOT_A_FAULT: Final = frozenset({"administrative_event"})

RULES: Final = {
    "no_appointment_id": "has no appointment_id",
    "duplicate_appointment_id": "repeats an appointment_id of an earlier row",
    "no_booked_at": "has no booked_at",
    "no_starts_at": "has no starts_at",
    **{f"{column.name}_unreadable": "" for column in COLUMNS if column.kind is Kind.TIMESTAMP},
    "date_out_of_range": f"holds a date outside {_YEARS[0]} to {_YEARS[1]}, such as a placeholder",
    "starts_before_booked": "starts before it was booked",
    "outcome_before_start": "has an attendance outcome recorded before the appointment",
    "outcome_code_unknown": f"holds an outcome_code that is not one of {', '.join(sorted(codes.OUTCOME))}",
    **{f"{column.name}_invalid": "" for column in COLUMNS if column.kind in _BOUNDED},
    "administrative_event": "is an administrative event (first_attendance_code 5), not an appointment",
}


def sentence_of(rule: str) -> str:
    """What a row does that breaks `rule`, to follow "row 12 ...".

    >>> sentence_of("starts_before_booked")
    'starts before it was booked'
    >>> sentence_of("age_years_invalid")
    'holds an age_years that is not a number from 0 to 120'
    """
    if RULES[rule]:
        return RULES[rule]
    if rule.endswith("_unreadable"):
        return f"holds a {rule.removesuffix('_unreadable')} that is not a date and time"
    name = rule.removesuffix("_invalid")
    column = next(column for column in COLUMNS if column.name == name)
    article = "an" if name[0] in "aeio" else "a"
    return f"holds {article} {name} that is not {_expected(column)}"


def _expected(column: Column) -> str:
    if column.kind is Kind.BOOLEAN:
        return "yes or no (1 or 0, true or false)"
    whole = "a whole number" if column.kind is Kind.INTEGER else "a number"
    return f"{whole} from {column.lowest:g} to {column.highest:g}"


@dataclass(frozen=True)
class Rejection:
    """One rule that rows broke: how many, and the first of their row numbers."""

    rule: str
    count: int
    first_rows: tuple[int, ...]

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.first_rows)
        more = ", ..." if self.count > len(self.first_rows) else ""
        noun = "row" if self.count == 1 else "rows"
        return f"{self.count:,} {noun}: {sentence_of(self.rule)} ({noun} {rows}{more})"


@dataclass(frozen=True)
class Checked:
    """An extract held against the contract.

    Attributes
    ----------
    rows
        Rows that keep it: `row_number`, every contract column (absent ones null), and the
        clinic's clock as `booked_local` and `starts_local`. Times are UTC without offset.
    rejected
        `row_number`, `appointment_id` (may be null), `rule`: the first rule that a row broke.
    total
        Rows read.
    present
        Contract columns that the extract has.
    """

    rows: ir.Table
    rejected: pa.Table
    total: int
    present: frozenset[str]

    @property
    def kept(self) -> int:
        """Number of rows that keep the contract."""
        return self.total - int(self.rejected.num_rows)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Broken rules, most frequent first, each with its first five row numbers."""
        found = []
        for rule in pc.unique(self.rejected["rule"]).to_pylist():
            rows = self.rejected.filter(pc.field("rule") == rule)[ROW_NUMBER].to_pylist()
            found.append(Rejection(rule, len(rows), tuple(sorted(rows)[:5])))
        return tuple(sorted(found, key=lambda rejection: (-rejection.count, rejection.rule)))

    @property
    def rejected_share(self) -> float:
        """Share of all rows that are faulty; rows set aside by rule are no fault."""
        faults = sum(r.count for r in self.rejections if r.rule not in _NOT_A_FAULT)
        return faults / self.total if self.total else 0.0

    def require(self, *, max_rejected_share: float, source: str) -> None:
        """Refuse an extract of which too much is faulty.

        Raises
        ------
        DataError
            If more than `max_rejected_share` of the rows were rejected, or none is left.
        """
        if self.kept and self.rejected_share <= max_rejected_share:
            return
        reasons = "; ".join(str(rejection) for rejection in self.rejections)
        raise DataError(
            f"{source}: {self.rejected_share:.1%} of {self.total:,} rows break the contract, and the "
            f"configured limit is {max_rejected_share:.1%}: {reasons}. Correct the extract or its mapping."
        )


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


@lru_cache(maxsize=64)
def _present(schema: ibis.Schema, mapping: Mapping, future: bool, source: str) -> frozenset[str]:
    asked = placeholder("asked", schema)
    return map_columns(asked, mapping, source=source, future=future).present


@compiled
def _reading(schema: ibis.Schema, mapping: Mapping, future: bool, source: str) -> ir.Table:
    mapped = map_columns(placeholder("asked", schema), mapping, source=source, future=future)
    return _read(mapped.table, mapped.present, mapping)


@compiled
def _judging(schema: ibis.Schema) -> ir.Table:
    read = placeholder("read", schema)
    judged = read.mutate(rule=_first_broken_rule(read, _repeats(read)))
    broken = judged.filter(judged.rule.notnull())
    return broken.select(ROW_NUMBER, "appointment_id", "rule").order_by(ROW_NUMBER)


@compiled
def _keeping(schema: ibis.Schema) -> ir.Table:
    read = placeholder("read", schema)
    rejected = placeholder("rejected", ibis.schema({ROW_NUMBER: "int64"}))
    flags = [name for name in read.columns if name.startswith("bad_")]
    return read.anti_join(rejected, ROW_NUMBER).drop(*flags)


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


def _read(table: ir.Table, present: frozenset[str], mapping: Mapping) -> ir.Table:
    """Every contract column with its type, a `bad_` flag beside each that can be unreadable."""
    columns: dict[str, ir.Value] = {ROW_NUMBER: table[ROW_NUMBER].cast("int64")}
    for column in COLUMNS:
        if column.name not in present:
            columns |= _absent(column)
            continue
        origin = mapping.columns.get(column.name)
        formats = origin.formats if origin else ()
        columns |= _named(column, parse(table[column.name], column, zone=mapping.timezone, formats=formats))
    return table.select(**columns)


def _absent(column: Column) -> dict[str, ir.Value]:
    null = ibis.null(_type(column))
    locals_ = {_local_name(column): null} if column.kind is Kind.TIMESTAMP else {}
    return {column.name: null, **locals_}


def _named(column: Column, parsed: Parsed) -> dict[str, ir.Value]:
    value = parsed.value
    if parsed.local is None:
        return {column.name: value.cast(_type(column)), f"bad_{column.name}": parsed.unreadable}
    local = parsed.local
    if column.name in ("starts_at", "recorded_at"):
        value, local = _end_of_day_if_midnight(value, local)
    return {
        column.name: value.cast(_type(column)),
        _local_name(column): local.cast(_type(column)),
        f"bad_{column.name}": parsed.unreadable,
    }


def _end_of_day_if_midnight(utc: ir.Value, local: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Midnight is how a date without a clock time reads: it may happen at any time until the day ends."""
    no_clock = local == local.truncate("D")
    rest_of_day = ibis.interval(seconds=86_399)
    return ibis.ifelse(no_clock, utc + rest_of_day, utc), ibis.ifelse(no_clock, local + rest_of_day, local)


def _local_name(column: Column) -> str:
    return column.name.removesuffix("_at") + "_local"


def _type(column: Column) -> dt.DataType:
    return {
        Kind.TEXT: dt.string,
        Kind.CODE: dt.string,
        Kind.TIMESTAMP: dt.Timestamp(scale=6),
        Kind.NUMBER: dt.float64,
        Kind.INTEGER: dt.int64,
        Kind.BOOLEAN: dt.boolean,
    }[column.kind]


def _repeats(read: ir.Table) -> ir.Table:
    """Ids that occur more than once, with the row that keeps the id: the first."""
    named = read.filter(read.appointment_id.notnull())
    counted = named.group_by("appointment_id").agg(first_row=named[ROW_NUMBER].min(), times=named.count())
    return counted.filter(counted.times > 1)


def _first_broken_rule(read: ir.Table, repeats: ir.Table) -> ir.StringValue:
    """The name of the first rule that a row breaks, in the order of `RULES`; null where it breaks none."""
    broken = dict(_broken(read, repeats))
    return ibis.cases(*((broken[rule], rule) for rule in RULES if rule in broken), else_=ibis.null("string"))


def _broken(read: ir.Table, repeats: ir.Table) -> Iterable[tuple[str, ir.BooleanValue]]:
    yield "no_appointment_id", read.appointment_id.isnull()
    later = read.inner_join(repeats, "appointment_id")
    yield (
        "duplicate_appointment_id",
        read[ROW_NUMBER].isin(later.filter(later[ROW_NUMBER] > later.first_row)[ROW_NUMBER]),
    )
    for column in COLUMNS:
        if f"bad_{column.name}" in read.columns:
            ending = "unreadable" if column.kind is Kind.TIMESTAMP else "invalid"
            yield f"{column.name}_{ending}", read[f"bad_{column.name}"]
    yield from _broken_times(read)
    yield "outcome_code_unknown", read.outcome_code.notin(list(codes.OUTCOME))
    yield "administrative_event", read.first_attendance_code == codes.ADMINISTRATIVE_EVENT


def _broken_times(read: ir.Table) -> Iterable[tuple[str, ir.BooleanValue]]:
    yield "no_booked_at", read.booked_at.isnull() & ~_flag(read, "bad_booked_at")
    yield "no_starts_at", read.starts_at.isnull() & ~_flag(read, "bad_starts_at")
    times = [read.booked_at, read.starts_at, read.recorded_at]
    yield "date_out_of_range", ibis.or_(*(~time.year().between(*_YEARS) for time in times))
    yield "starts_before_booked", read.starts_at < read.booked_at
    came_or_missed = read.outcome_code.isin(["3", "5", "6", "7"])
    yield (
        "outcome_before_start",
        came_or_missed & (read.recorded_local.date() < read.starts_local.date()),
    )


def _flag(read: ir.Table, name: str) -> ir.BooleanValue:
    return read[name] if name in read.columns else ibis.literal(False)
