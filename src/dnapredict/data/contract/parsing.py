"""Parse source columns as contract columns: the only module that reads text as time, number or code.

Every function takes and returns Ibis expressions. A value that cannot be parsed becomes null and sets a flag,
so that a message can name the rule and the row and never the value.
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
from dnapredict.data.contract.datetimes import (
    EPOCHS,
    INSTANT,
    LOCAL,
    instant_of,
    instant_of_epoch,
    local_of,
    order_of,
    wall_clock,
)
from dnapredict.data.contract.known_names import NOT_RECORDED
from dnapredict.data.engine.duckdb_engine import engine_function

# A longer key or code, in bytes, is other text in the wrong column.
LONGEST: Final = 1_000
_OFFSET: Final = r"\d:\d\d.*([Zz]|[+-]\d\d:?\d\d)$"
# How a spreadsheet shows a long number, of which only the first digits are left.
_SCIENTIFIC: Final = r"^\d(\.\d+)?[Ee]\+\d+$|^\d\.\d+[Ee]\d+$"
_BLANK: Final = " \t\n\r\v\f\u00a0\u2007\u2009\u200b\u202f\u2060\u3000\ufeff"

_trim: Final = engine_function("trim", (dt.string, dt.string), dt.string)
_left: Final = engine_function("left", (dt.string, dt.int64), dt.string)
_right: Final = engine_function("right", (dt.string, dt.int64), dt.string)
_bytes: Final = engine_function("strlen", (dt.string,), dt.int64)


@dataclass(frozen=True)
class Parsed:
    """A parsed contract column.

    Attributes
    ----------
    value
        Null where the cell is blank or cannot be parsed. Times are UTC.
    unreadable
        The cell is not blank and cannot be parsed.
    local
        Of a time: the same in the clinic's time zone.
    order
        Of a time in text without a given pattern: its `datetimes.Order`.
    scientific
        Of a key: it has only the first digits of a number, as in 9.43477E+09.
    too_long
        Of a key or a code: it is longer than `LONGEST`.
    """

    value: ir.Value
    unreadable: ir.BooleanValue
    local: ir.TimestampValue | None = None
    order: ir.IntegerValue | None = None
    scientific: ir.BooleanValue | None = None
    too_long: ir.BooleanValue | None = None


def parse(source: ir.Value, column: Column, *, zone: str, formats: tuple[str, ...] = ()) -> Parsed:
    """Parse `source` as the contract's `column`, in one expression.

    Times without an offset are in the time zone `zone`. An expression grows with each step that uses its
    source several times, so a whole table takes the steps in separate queries: `trimmed`,
    `drop_missing_words`, `clock_time`, `typed_value`.
    """
    text = trimmed(source, column)
    text = null_if_missing_word(text, meaningful_words=column.meaningful_words) if text.type().is_string() else text
    return typed_value(text, column, zone=zone, formats=formats, local=clock_time(text, column, formats))


def trimmed(source: ir.Value, column: Column) -> ir.Value:
    """First step: text without blanks at its ends, null where empty; a column of the right type stays as it is."""
    kind = source.type()
    if column.kind is Kind.TIMESTAMP and (kind.is_timestamp() or kind.is_date()):
        return source
    if column.kind in (Kind.NUMBER, Kind.INTEGER) and not kind.is_string():
        return source
    if column.kind is Kind.BOOLEAN and kind.is_boolean():
        return source
    return _text(source)


def null_if_missing_word(text: ir.StringValue, *, meaningful_words: tuple[str, ...] = ()) -> ir.StringValue:
    """`text`, null where it is empty or a word for "not recorded" in any case, unless it is in `meaningful_words`."""
    # Names `text` once: an expression that named it often would grow with each step that follows.
    return text.re_replace(_missing_words(meaningful_words), "").nullif("")


def drop_missing_words(text: ir.Value, column: Column) -> ir.Value:
    """`null_if_missing_word` for a whole column. Use it in a separate query stage: it refers to `text` several times.

    Testing whether a cell is such a word takes two thirds of the time of replacing it, and none begins with a digit.
    """
    if not text.type().is_string():
        return text
    is_word = ~text.between("0", ":") & text.re_search(_missing_words(column.meaningful_words))
    return ibis.ifelse(is_word, ibis.null("string"), text)


@lru_cache
def _missing_words(meaningful_words: tuple[str, ...]) -> str:
    """A pattern that matches a whole cell, with letters of both cases."""
    words = (word for word in NOT_RECORDED if word not in meaningful_words)
    return "^(" + "|".join("".join(map(_any_case, word)) for word in words) + ")$"


def _any_case(character: str) -> str:
    if character.isalpha():
        return f"[{character}{character.lower()}]"
    if character == " ":
        return "[ \u00a0]+"
    return "[?]" if character == "?" else re.escape(character)


def clock_time(text: ir.Value, column: Column, formats: tuple[str, ...] = ()) -> ir.TimestampValue | None:
    """Second step, for times in text: the local time, by the patterns `formats` where there are some."""
    is_text = column.kind is Kind.TIMESTAMP and text.type().is_string() and not set(formats) & set(EPOCHS)
    return local_of(text, formats) if is_text else None


def typed_value(
    text: ir.Value,
    column: Column,
    *,
    zone: str,
    formats: tuple[str, ...] = (),
    local: ir.TimestampValue | None = None,
) -> Parsed:
    """Last step: the typed value and its flags, from the results of the steps before."""
    if column.kind is Kind.TIMESTAMP and len(formats) == 1 and formats[0] in EPOCHS:
        return _both_clocks(instant_of_epoch(text, formats[0]), None, zone, present=text.notnull())
    if column.kind is Kind.TIMESTAMP:
        return _timestamp(text, local, zone, is_guessed=not formats)
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        return _number(text, column)
    if column.kind is Kind.BOOLEAN:
        return _boolean(text, column)
    return _key_or_code(text, column)


def _text(source: ir.Value) -> ir.StringValue:
    """Text without blanks at its ends, null where empty, and whole numbers without the ".0" of a spreadsheet."""
    text = source.cast("string")
    if source.type().is_floating():
        text = text.re_replace(r"\.0$", "")
    # Trimming is slow, and few cells need it: those that begin or end with a blank, or hold more than
    # ASCII, such as the no-break space.
    needs_trim = (_left(text, 1) <= " ") | (_right(text, 1) <= " ") | (_bytes(text) != text.length())
    text = ibis.ifelse(needs_trim, without_blanks(text), text).nullif("")
    # A whole number has ".0" if it was once in a column of floats, such as one with gaps.
    return ibis.ifelse(text.endswith(".0"), text.re_replace(r"^(\d+)\.0$", r"\1"), text)


def without_blanks(text: ir.StringValue) -> ir.StringValue:
    """`text` without blanks at its ends, including no-break spaces and characters without width."""
    return _trim(text, _BLANK)


def _key_or_code(text: ir.StringValue, column: Column) -> Parsed:
    value = _code(text, column) if column.kind is Kind.CODE else text
    scientific = text.re_search(_SCIENTIFIC).fill_null(False) if column.role is Role.KEY else None
    too_long = (_bytes(text) > LONGEST).fill_null(False)
    return Parsed(value, ibis.literal(False), scientific=scientific, too_long=too_long)


def _code(text: ir.StringValue, column: Column) -> ir.StringValue:
    upper = text.upper()
    if column.name == "ethnic_category_code":
        # A text that is not exactly a code stays as it is, so that it never equals one.
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
        # 1e60 does not fit 64 bits, so only numbers that survive the cast are kept.
        value = number.try_cast("int64")
        sound = sound & (number == value.cast("float64"))
    sound = sound.fill_null(False)
    return Parsed(ibis.ifelse(sound, value, ibis.null()), text.notnull() & ~sound)


def _boolean(text: ir.Value, column: Column) -> Parsed:
    """Yes and no as the engine knows them (true, t, yes, y, 1 and their opposites), or in the column's own words."""
    if text.type().is_boolean():
        return Parsed(text, ibis.literal(False))
    value = text.try_cast("boolean")
    if column.yes or column.no:
        word = text.lower()
        in_words = ibis.cases((word.isin(column.yes), True), (word.isin(column.no), False), else_=ibis.null("boolean"))
        value = ibis.coalesce(value, in_words)
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
