"""What a mapping makes of an extract's columns, before the contract reads it: still as it was written."""

from typing import cast

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping import Mapping, Source
from dnapredict.data.columns import column
from dnapredict.data.joins import MATCHED, missing_column
from dnapredict.data.parsing import parse

__all__ = ["age_at_start", "patient_number", "value_of"]


def value_of(table: ir.Table, origin: Source, *, where: str) -> ir.Value:
    """The values that `origin` stands for, in the columns of `table` and of what is joined to it.

    Raises
    ------
    DataError
        If a column that it draws on is missing; the message names the file `where`.
    """
    for name in origin.columns:
        if name not in table.columns:
            raise missing_column(where, name, table)
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
    return value.cast("string").strip().nullif("")


def patient_number(table: ir.Table, mapping: Mapping, *, where: str) -> ir.StringValue:
    """The numbers that are to become pseudonyms, as they are written."""
    return value_of(table, mapping.columns["patient_id"], where=where).cast("string")


def age_at_start(table: ir.Table, mapping: Mapping) -> ir.FloatingValue:
    """Whole years from the date of birth in `age_years` to the day of `starts_at`; NaN for no date.

    Who was born on 29 February has their birthday on 1 March of other years.
    """
    start = _clock(table, "starts_at", mapping)
    text = table.age_years.cast("string").strip().nullif("")
    born = _clock(table, "age_years", mapping)
    had_birthday = _day_of_year(start) >= _day_of_year(born)
    years = (start.year() - born.year() - ibis.ifelse(had_birthday, 0, 1)).cast("float64")
    return ibis.ifelse(text.notnull() & born.isnull(), ibis.literal(float("nan")), years)


def _clock(table: ir.Table, name: str, mapping: Mapping) -> ir.TimestampValue:
    origin = mapping.columns.get(name)
    formats = origin.formats if origin else ()
    parsed = parse(table[name], column("starts_at"), zone=mapping.timezone, formats=formats)
    return cast(ir.TimestampValue, parsed.local)


def _day_of_year(time: ir.TimestampValue) -> ir.IntegerValue:
    return time.month() * 100 + time.day()
