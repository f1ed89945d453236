"""Turn source columns into contract columns: the only place that reads text as time, number or code.

Every function takes and gives Ibis expressions. A value that cannot be read becomes null
beside a flag, so that the contract can name the rule and the row and never the value.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.columns import Column, Kind

__all__ = ["Parsed", "parse"]

_INSTANT: Final = dt.Timestamp(timezone="UTC")
_LOCAL: Final = dt.Timestamp()
# ISO first; then as a British export writes it. A month above 12 is refused, not swapped.
_UK_FORMATS: Final = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y %H:%M",
    "%d-%b-%Y",
)
_TRUE: Final = ("1", "true", "t", "yes", "y")
_FALSE: Final = ("0", "false", "f", "no", "n")
_OFFSET: Final = r"\d:\d\d.*([Zz]|[+-]\d\d:?\d\d)$"


def _engine_function(
    name: str, takes: tuple[dt.DataType, ...], gives: dt.DataType
) -> Callable[..., ir.Value]:
    """A function of DuckDB that Ibis has no word for."""

    def signature(*_: object) -> None: ...

    arguments = [inspect.Parameter(f"x{i}", inspect.Parameter.POSITIONAL_ONLY) for i in range(len(takes))]
    signature.__name__ = name
    signature.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    return cast(
        Callable[..., ir.Value], ibis.udf.scalar.builtin(signature, name=name, signature=(takes, gives))
    )


# The first pattern that fits, else null.
_strptime: Final = _engine_function("try_strptime", (dt.string, dt.Array(dt.string)), _LOCAL)
# The instant at which a clock in a zone shows a local time, and what a clock in a zone shows then.
_instant: Final = _engine_function("timezone", (dt.string, _LOCAL), _INSTANT)
_wall_clock: Final = _engine_function("timezone", (dt.string, _INSTANT), _LOCAL)


@dataclass(frozen=True)
class Parsed:
    """A contract column as read: its value, and whether something stood there that is not one.

    For times `value` is UTC and `local` is what the clinic's clock shows.
    """

    value: ir.Value
    unreadable: ir.BooleanValue
    local: ir.TimestampValue | None = None


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
    text = _text(source)
    value = _code(text, column) if column.kind is Kind.CODE else text
    return Parsed(value, ibis.literal(False))


def _text(source: ir.Value) -> ir.StringValue:
    """Trimmed text; blank is null. Whole numbers lose the ".0" that spreadsheets and floats add."""
    text = source.cast("string")
    if source.type().is_floating():
        text = text.re_replace(r"\.0$", "")
    return text.strip().nullif("")


def _code(text: ir.StringValue, column: Column) -> ir.StringValue:
    upper = text.upper()
    if column.name == "ethnic_category_code":
        # The second character is local; "99" is the one national code of two characters.
        return ibis.ifelse(upper == "99", upper, upper.substr(0, 1))
    if not column.width:
        return upper
    is_short_number = upper.re_search(r"^\d+$") & (upper.length() < column.width)
    return ibis.ifelse(is_short_number, upper.lpad(column.width, "0"), upper)


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
    if source.type().is_boolean():
        return Parsed(source, ibis.literal(False))
    text = _text(source).lower()
    value = ibis.cases((text.isin(_TRUE), True), (text.isin(_FALSE), False), else_=ibis.null("boolean"))
    return Parsed(value, text.notnull() & value.isnull())


def _timestamp(source: ir.Value, zone: str, formats: tuple[str, ...]) -> Parsed:
    kind = source.type()
    if kind.is_timestamp() and kind.timezone is not None:
        return _both_clocks(source.cast(_INSTANT), None, zone, present=source.notnull())
    if kind.is_timestamp() or kind.is_date():
        return _both_clocks(None, source.cast(_LOCAL), zone, present=source.notnull())
    text = _text(source)
    if formats:
        return _both_clocks(None, _strptime(text, list(formats)), zone, present=text.notnull())
    with_offset = text.re_search(_OFFSET)
    local = ibis.coalesce(text.try_cast(_LOCAL), _strptime(text, list(_UK_FORMATS)))
    instant = ibis.ifelse(with_offset, text.try_cast(_INSTANT), _instant(zone, local))
    wall = ibis.ifelse(with_offset, _wall_clock(zone, instant), local)
    return _both_clocks(instant, wall, zone, present=text.notnull())


def _both_clocks(
    instant: ir.TimestampValue | None,
    local: ir.TimestampValue | None,
    zone: str,
    *,
    present: ir.BooleanValue,
) -> Parsed:
    if instant is None:
        instant = _instant(zone, local)
    if local is None:
        local = _wall_clock(zone, instant)
    utc = _wall_clock("UTC", instant)
    return Parsed(utc, present & utc.isnull(), local)
