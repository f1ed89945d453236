"""Turn source columns into contract columns: the only place that reads text as time, number or code.

Every function takes and gives Ibis expressions. A value that cannot be read becomes null
beside a flag, so that the contract can name the rule and the row and never the value.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.contract.codes import WHOLE_ETHNIC_CODE
from dnapredict.data.contract.columns import Column, Kind, Role
from dnapredict.data.contract.datetimes import INSTANT, LOCAL, instant_of, local_of, order_of, wall_clock
from dnapredict.data.contract.known_names import NOT_RECORDED
from dnapredict.data.engine.duckdb_functions import engine_function

# A key or a code of more bytes than this is something else in the wrong column.
LONGEST: Final = 1_000
_OFFSET: Final = r"\d:\d\d.*([Zz]|[+-]\d\d:?\d\d)$"
# How a spreadsheet shows a long number, of which it has kept the first digits.
_SCIENTIFIC: Final = r"^\d(\.\d+)?[Ee]\+\d+$|^\d\.\d+[Ee]\d+$"
_BLANK: Final = " \t\n\r\v\f\u00a0\u2007\u2009\u200b\u202f\u2060\u3000\ufeff"

_trim: Final = engine_function("trim", (dt.string, dt.string), dt.string)
_left: Final = engine_function("left", (dt.string, dt.int64), dt.string)
_right: Final = engine_function("right", (dt.string, dt.int64), dt.string)
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
    """Read `source` as the contract's `column`, in one expression.

    Naive times are the clock of `zone`; times with an offset are what they say. An expression grows with
    each step that names its source several times, so a whole table takes the steps one after the other:
    `tidied`, `cells_recorded`, `moment`, `interpreted`.
    """
    text = tidied(source, column)
    text = recorded(text, says=column.says) if text.type().is_string() else text
    return interpreted(text, column, zone=zone, formats=formats, local=moment(text, column, formats))


def tidied(source: ir.Value, column: Column) -> ir.Value:
    """First step: trimmed text, blank as null; what is typed as the column already stays as it is."""
    kind = source.type()
    if column.kind is Kind.TIMESTAMP and (kind.is_timestamp() or kind.is_date()):
        return source
    if column.kind in (Kind.NUMBER, Kind.INTEGER) and not kind.is_string():
        return source
    if column.kind is Kind.BOOLEAN and kind.is_boolean():
        return source
    return _text(source)


def recorded(text: ir.StringValue, *, says: tuple[str, ...] = ()) -> ir.StringValue:
    """`text`, null where it is empty or a word for "not recorded" in any case, unless it is in `says`."""
    # Names `text` once: an expression that named it often would grow with each step that follows.
    return text.re_replace(_not_recorded(says), "").nullif("")


def cells_recorded(text: ir.Value, column: Column) -> ir.Value:
    """`recorded` for a whole column. Use it in a separate query stage: the expression refers to `text` several times.

    Asking whether a cell is such a word takes two thirds of the time of replacing it, and none begins with a digit.
    """
    if not text.type().is_string():
        return text
    is_word = ~text.between("0", ":") & text.re_search(_not_recorded(column.says))
    return ibis.ifelse(is_word, ibis.null("string"), text)


@lru_cache
def _not_recorded(says: tuple[str, ...]) -> str:
    """A pattern for the whole of a word, letters in both cases."""
    words = (word for word in NOT_RECORDED if word not in says)
    return "^(" + "|".join("".join(map(_either_case, word)) for word in words) + ")$"


def _either_case(sign: str) -> str:
    if sign.isalpha():
        return f"[{sign}{sign.lower()}]"
    if sign == " ":
        return "[ \u00a0]+"
    return "[?]" if sign == "?" else re.escape(sign)


def moment(text: ir.Value, column: Column, formats: tuple[str, ...] = ()) -> ir.TimestampValue | None:
    """Second step, of a time in text: what a clock shows, by the patterns `formats` where there are some."""
    is_text = column.kind is Kind.TIMESTAMP and text.type().is_string()
    return local_of(text, formats) if is_text else None


def interpreted(
    text: ir.Value,
    column: Column,
    *,
    zone: str,
    formats: tuple[str, ...] = (),
    local: ir.TimestampValue | None = None,
) -> Parsed:
    """Last step: the value, from what the steps before made of it."""
    if column.kind is Kind.TIMESTAMP:
        return _timestamp(text, local, zone, is_guessed=not formats)
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        return _number(text, column)
    if column.kind is Kind.BOOLEAN:
        return _boolean(text)
    return _word(text, column)


def _text(source: ir.Value) -> ir.StringValue:
    """Trimmed text; blank is null. Whole numbers lose the ".0" that spreadsheets and floats add."""
    text = source.cast("string")
    if source.type().is_floating():
        text = text.re_replace(r"\.0$", "")
    # Taking blanks off is slow, and few cells have any: those that begin or end with one, or hold more
    # than ASCII, such as the space that does not break.
    edged = (_left(text, 1) <= " ") | (_right(text, 1) <= " ") | (_bytes(text) != text.length())
    trimmed = ibis.ifelse(edged, trimmed_of(text), text).nullif("")
    return _whole(trimmed)


def trimmed_of(text: ir.StringValue) -> ir.StringValue:
    """`text` without the blanks at its ends, those that do not break or have no width among them."""
    return _trim(text, _BLANK)


def _word(text: ir.StringValue, column: Column) -> Parsed:
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
        # A text that is no whole code stays as it is written, which never equals a code.
        code = ibis.ifelse(upper == "99", upper, upper.substr(0, 1))
        return ibis.ifelse(text.re_search(WHOLE_ETHNIC_CODE), code, text)
    if not column.width:
        return upper
    padded = ibis.ifelse(upper.re_search(r"^\d+$"), upper.lpad(column.width, "0"), upper)
    return ibis.ifelse(upper.length() < column.width, padded, upper)


def _number(text: ir.Value, column: Column) -> Parsed:
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


def _boolean(text: ir.Value) -> Parsed:
    """Yes and no in the engine's own words: true, t, yes, y, 1 and their opposites, in any case."""
    if text.type().is_boolean():
        return Parsed(text, ibis.literal(False))
    value = text.try_cast("boolean")
    return Parsed(value, text.notnull() & value.isnull())


def _timestamp(source: ir.Value, local: ir.TimestampValue | None, zone: str, *, is_guessed: bool) -> Parsed:
    kind = source.type()
    if local is None:
        if kind.is_timestamp() and kind.timezone is not None:
            return _both_clocks(source.cast(INSTANT), None, zone, present=source.notnull())
        return _both_clocks(None, source.cast(LOCAL), zone, present=source.notnull())
    if not is_guessed:
        return _both_clocks(None, local, zone, present=source.notnull())
    with_offset = source.re_search(_OFFSET)
    instant = ibis.ifelse(with_offset, source.try_cast(INSTANT), instant_of(zone, local))
    wall = ibis.ifelse(with_offset, wall_clock(zone, instant), local)
    read = _both_clocks(instant, wall, zone, present=source.notnull())
    return replace(read, order=order_of(source, local))


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
