"""Turn source columns into contract columns: the only place that reads text as time, number or code.

Every function takes and gives Ibis expressions. A value that cannot be read becomes null
beside a flag, so that the contract can name the rule and the row and never the value.
"""

from dataclasses import dataclass, replace
from typing import Final, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.columns import Column, Kind, Role
from dnapredict.data.engine import engine_function
from dnapredict.data.moments import INSTANT, LOCAL, instant_of, local_of, order_of, wall_clock

__all__ = ["LONGEST", "Parsed", "parse"]

# A key or a code of more bytes than this is something else in the wrong column.
LONGEST: Final = 1_000
_OFFSET: Final = r"\d:\d\d.*([Zz]|[+-]\d\d:?\d\d)$"
# How a spreadsheet shows a long number, of which it has kept the first digits.
_SCIENTIFIC: Final = r"^\d(\.\d+)?[Ee]\+\d+$|^\d\.\d+[Ee]\d+$"
_BLANK: Final = " \t\n\r\v\f\u00a0\ufeff"

_trim: Final = engine_function("trim", (dt.string, dt.string), dt.string)
_bytes: Final = engine_function("strlen", (dt.string,), dt.int64)


@dataclass(frozen=True)
class Parsed:
    """A contract column as read.

    Attributes
    ----------
    value
        What stands there, null where nothing does or where it cannot be read. Times are UTC.
    unreadable
        Something stands there that is not one.
    local
        Of a time, what the clinic's clock shows.
    order
        Of a time written as text of no given pattern, what it tells of day and month: `moments.Order`.
    scientific
        Of a key, that only the first digits of a number are left, as in 9.43477E+09.
    too_long
        Of a key or a code, that it is longer than `LONGEST`.
    """

    value: ir.Value
    unreadable: ir.BooleanValue
    local: ir.TimestampValue | None = None
    order: ir.IntegerValue | None = None
    scientific: ir.BooleanValue | None = None
    too_long: ir.BooleanValue | None = None


def parse(source: ir.Value, column: Column, *, zone: str, formats: tuple[str, ...] = ()) -> Parsed:
    """Read `source` as the contract's `column`.

    Naive times are the clock of `zone`; times with an offset are what they say.
    """
    if column.kind is Kind.TIMESTAMP:
        return _timestamp(source, zone, formats)
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        return _number(source, column)
    if column.kind is Kind.BOOLEAN:
        return _boolean(source)
    return _word(source, column)


def _text(source: ir.Value) -> ir.StringValue:
    """Trimmed text; blank is null. Whole numbers lose the ".0" that spreadsheets and floats add."""
    text = source.cast("string")
    if source.type().is_floating():
        text = text.re_replace(r"\.0$", "")
    # Taking blanks off is slow, and few cells have any: those that begin or end with one, or hold more
    # than ASCII, such as the space that does not break.
    may_be_wide = _bytes(text) != text.length()
    edged = (text.left(1) <= " ") | (text.right(1) <= " ") | may_be_wide
    return ibis.ifelse(edged, cast(ir.StringValue, _trim(text, _BLANK)), text).nullif("")


def _word(source: ir.Value, column: Column) -> Parsed:
    text = _whole(_text(source))
    value = _code(text, column) if column.kind is Kind.CODE else text
    scientific = text.re_search(_SCIENTIFIC).fill_null(False) if column.role is Role.KEY else None
    too_long = (_bytes(text) > LONGEST).fill_null(False)
    return Parsed(value, ibis.literal(False), scientific=scientific, too_long=too_long)


def _whole(text: ir.StringValue) -> ir.StringValue:
    """12345.0 as 12345: how a number looks that was once in a column with gaps."""
    return ibis.ifelse(text.endswith(".0"), text.re_replace(r"^(\d+)\.0$", r"\1"), text)


def _code(text: ir.StringValue, column: Column) -> ir.StringValue:
    upper = text.upper()
    if column.name == "ethnic_category_code":
        # The second character is local; "99" is the one national code of two characters.
        return ibis.ifelse(upper == "99", upper, upper.substr(0, 1))
    if not column.width:
        return upper
    padded = ibis.ifelse(upper.re_search(r"^\d+$"), upper.lpad(column.width, "0"), upper)
    return ibis.ifelse(upper.length() < column.width, padded, upper)


def _number(source: ir.Value, column: Column) -> Parsed:
    text = _text(source) if source.type().is_string() else source
    number = text.try_cast("float64")
    sound = ~(number.isnan() | number.isinf())
    if column.lowest is not None and column.highest is not None:
        sound = sound & number.between(column.lowest, column.highest)
    value = number
    if column.kind is Kind.INTEGER:
        # Never cast before it is known to fit: 1e60 has no whole number of 64 bits.
        value = number.try_cast("int64")
        sound = sound & (number == value.cast("float64"))
    sound = sound.fill_null(False)
    return Parsed(ibis.ifelse(sound, value, ibis.null()), text.notnull() & ~sound)


def _boolean(source: ir.Value) -> Parsed:
    """Yes and no in the engine's own words: true, t, yes, y, 1 and their opposites, in any case."""
    if source.type().is_boolean():
        return Parsed(source, ibis.literal(False))
    text = _whole(_text(source))
    value = text.try_cast("boolean")
    return Parsed(value, text.notnull() & value.isnull())


def _timestamp(source: ir.Value, zone: str, formats: tuple[str, ...]) -> Parsed:
    kind = source.type()
    if kind.is_timestamp() and kind.timezone is not None:
        return _both_clocks(source.cast(INSTANT), None, zone, present=source.notnull())
    if kind.is_timestamp() or kind.is_date():
        return _both_clocks(None, source.cast(LOCAL), zone, present=source.notnull())
    text = _text(source)
    local = local_of(text, formats)
    if formats:
        return _both_clocks(None, local, zone, present=text.notnull())
    with_offset = text.re_search(_OFFSET)
    instant = ibis.ifelse(with_offset, text.try_cast(INSTANT), instant_of(zone, local))
    wall = ibis.ifelse(with_offset, wall_clock(zone, instant), local)
    read = _both_clocks(instant, wall, zone, present=text.notnull())
    return replace(read, order=order_of(text, local))


def _both_clocks(
    instant: ir.TimestampValue | None,
    local: ir.TimestampValue | None,
    zone: str,
    *,
    present: ir.BooleanValue,
) -> Parsed:
    if instant is None:
        instant = instant_of(zone, local)
    if local is None:
        local = wall_clock(zone, instant)
    utc = wall_clock("UTC", instant)
    return Parsed(utc, present & utc.isnull(), local)
