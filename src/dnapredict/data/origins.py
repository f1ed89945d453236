"""What a mapping makes of an extract's columns, before the contract reads it: still as it was written."""

from collections.abc import Collection
from typing import Final, cast

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping import Mapping, Source
from dnapredict.data.columns import column
from dnapredict.data.joins import MATCHED, missing_column
from dnapredict.data.parsing import parse, recorded

__all__ = ["patient_number", "value_of", "with_age"]

# Clocks beside a table, until the age has been worked out.
_START: Final = "clock::start"
_BORN: Final = "clock::born"


def value_of(table: ir.Table, origin: Source, *, where: str, expected: Collection[str] = ()) -> ir.Value:
    """The values that `origin` stands for, in the columns of `table` and of what is joined to it.

    Raises
    ------
    DataError
        If a column that it draws on is missing; the message names the file `where`, and the columns of the
        file where some are those that the mapping `expected`.
    """
    for name in origin.columns:
        if name not in table.columns:
            raise missing_column(where, name, table, expected=expected or origin.columns)
    value = _drawn(table, origin)
    if not origin.translate:
        return value
    text = value.cast("string").strip()
    return text.cases(*origin.translate.items(), else_=text)


def _drawn(table: ir.Table, origin: Source) -> ir.Value:
    if origin.constant is not None:
        return ibis.literal(origin.constant)
    if origin.date is not None and origin.time is not None:
        return _moment(table[origin.date], table[origin.time], tidy=not origin.format)
    if origin.filled is not None:
        return _filled(table, origin.filled)
    return table[origin.columns[0]]


def _filled(table: ir.Table, name: str) -> ir.BooleanValue:
    """Whether anything stands there; not known where the joined file has no such row."""
    holds = _text(table[name]).notnull()
    matched = MATCHED + name.partition(".")[0]
    return ibis.ifelse(table[matched], holds, ibis.null("boolean")) if matched in table.columns else holds


def _moment(date: ir.Value, time: ir.Value, *, tidy: bool) -> ir.StringValue:
    """Date and clock time as one text; the date alone where no clock time stands.

    Sheets keep a date as midnight and a time as a moment of one odd day: only their own half is taken.
    Where no pattern says how times are written, 0930, 930 and 9.30 are half past nine.
    """
    day = _text(date).re_replace(r"[ T]00:00(:00(\.0+)?)?$", "")
    clock = _text(time).re_replace(r"^\d{4}-\d\d-\d\d[ T]", "")
    if tidy:
        clock = clock.re_replace(r"^(\d{1,2})[.:]?(\d\d)$", r"\1:\2")
    return day + ibis.coalesce(ibis.literal(" ") + clock, "")


def _text(value: ir.Value) -> ir.StringValue:
    return recorded(value.cast("string").strip().nullif(""))


def patient_number(table: ir.Table, mapping: Mapping, *, where: str) -> ir.StringValue:
    """The numbers that are to become pseudonyms, as they are written; null where none is recorded.

    Without this every patient whose number is "N/A" would become one patient with a long history.
    """
    return _text(value_of(table, mapping.columns["patient_id"], where=where, expected=mapping.drawn))


def with_age(table: ir.Table, mapping: Mapping) -> ir.Table:
    """`table` with the whole years from the date of birth in `age_years` to the day of `starts_at`.

    NaN stands where there is something that is no date. Who was born on 29 February has their birthday on
    1 March of other years.
    """
    # The two clocks stand in a query of their own, since the age names each of them several times.
    clocks = {_START: _clock(table, "starts_at", mapping), _BORN: _clock(table, "age_years", mapping)}
    clocked = table.mutate(age_years=_text(table.age_years), **clocks)
    start, born = clocked[_START], clocked[_BORN]
    had_birthday = _day_of_year(start) >= _day_of_year(born)
    years = (start.year() - born.year() - ibis.ifelse(had_birthday, 0, 1)).cast("float64")
    no_date = clocked.age_years.notnull() & born.isnull()
    return clocked.mutate(age_years=ibis.ifelse(no_date, ibis.literal(float("nan")), years)).drop(
        _START, _BORN
    )


def _clock(table: ir.Table, name: str, mapping: Mapping) -> ir.TimestampValue:
    origin = mapping.columns.get(name)
    formats = origin.formats if origin else ()
    parsed = parse(table[name], column("starts_at"), zone=mapping.timezone, formats=formats)
    return cast(ir.TimestampValue, parsed.local)


def _day_of_year(time: ir.TimestampValue) -> ir.IntegerValue:
    return time.month() * 100 + time.day()
