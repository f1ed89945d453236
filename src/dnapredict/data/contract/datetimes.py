"""Parse dates and times: ISO, the British formats, or the serial number of a spreadsheet.

Whether a column has the day or the month first is never guessed row by row. Dates are parsed day first;
`order_of` gives the evidence of each row, and `is_ambiguous` the rows that the evidence of the whole column
makes ambiguous.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.engine.duckdb_engine import engine_function
from dnapredict.errors import ConfigurationError

INSTANT: Final = dt.Timestamp(timezone="UTC")
LOCAL: Final = dt.Timestamp()

_strptime: Final = engine_function("try_strptime", (dt.string, dt.string), LOCAL)
_strptime_any: Final = engine_function("try_strptime", (dt.string, dt.Array(dt.string)), LOCAL)
_from_micros: Final = engine_function("make_timestamp", (dt.int64,), LOCAL)
# From local time in a zone to an instant, and from an instant to local time in a zone.
instant_of: Final = engine_function("timezone", (dt.string, LOCAL), INSTANT)
wall_clock: Final = engine_function("timezone", (dt.string, INSTANT), LOCAL)

# Formats for counts of seconds or milliseconds from 1 January 1970 UTC, with the microseconds of one.
EPOCHS: Final = {"epoch": 1_000_000, "epoch_ms": 1_000}
_DAY: Final = r"^\d{1,2}/\d{1,2}/\d{4}"
_NAMED_DAY: Final = r"^\d{1,2}-[A-Za-z]{3}-\d{4}"
# Trying all patterns in turn is slow, so the shape of the text chooses one.
_SHAPES: Final = tuple(
    (day + clock + "$", pattern + format_)
    for day, pattern in ((_DAY, "%d/%m/%Y"), (_NAMED_DAY, "%d-%b-%Y"))
    for clock, format_ in (("", ""), (r" \d{1,2}:\d\d", " %H:%M"), (r" \d{1,2}:\d\d:\d\d", " %H:%M:%S"))
)
_SERIAL: Final = r"^\d{5,6}(\.\d+)?$"
# Days from 30 December 1899, which a spreadsheet counts from, to 1 January 1970.
_TO_1970: Final = 25_569
_SECONDS: Final = 86_400
_MOST_MICROS: Final = 253_402_300_799_000_000
# A column counts as day first where at most one in this many unambiguous dates says otherwise.
_EXCEPTIONS: Final = 20


class Order(IntEnum):
    """What one row shows about the order of day and month in its column."""

    EITHER = 1
    """Numbers with strokes, both at most 12."""
    MONTH_FIRST = 2
    """The second number is above 12."""
    DAY_FIRST = 3
    """The first number is above 12."""
    ISO_EITHER = 4
    """Year first, and the day is at most 12."""
    ISO_CERTAIN = 5
    """Year first, and the day is above 12."""


def local_of(text: ir.StringValue, formats: Sequence[str] = ()) -> ir.TimestampValue:
    """`text` parsed as local time, by one of the patterns `formats` where they are given; null where it fails."""
    if formats:
        return _strptime_any(text, list(formats)) if len(formats) > 1 else _strptime(text, formats[0])
    # The engine would also accept words such as "infinity" and "epoch".
    digits = text.substr(0, 1).between("0", "9")
    iso = ibis.ifelse(digits, text.try_cast(LOCAL), ibis.null(LOCAL))
    british = ibis.cases(
        *((text.re_search(shape), _strptime(text, pattern)) for shape, pattern in _SHAPES),
        else_=ibis.null(LOCAL),
    )
    serial = ibis.ifelse(text.re_search(_SERIAL), _from_serial(text), ibis.null(LOCAL))
    return ibis.coalesce(iso, british, serial)


def instant_of_epoch(text: ir.StringValue, format_: str) -> ir.TimestampValue:
    """The instant of a count from 1970; null where `text` is no number, or one of no year up to 9999."""
    micros = text.try_cast("float64") * EPOCHS[format_]
    sound = ibis.ifelse(micros.between(-_MOST_MICROS, _MOST_MICROS), micros, ibis.null("float64"))
    return instant_of("UTC", _from_micros(sound.round().cast("int64")))


@lru_cache
def require_pattern(pattern: str, *, where: str) -> None:
    """Refuse a time format that the engine does not know, or that gives no whole date; `where` begins the message.

    Raises
    ------
    ConfigurationError
    """
    if pattern in EPOCHS:
        return
    if re.search(r"%[zZ]", pattern):
        raise ConfigurationError(
            f"{where}: the format '{pattern}' has an offset. ISO times with an offset need no format: leave it out."
        )
    try:
        with duckdb.connect(":memory:") as engine:
            parsed = engine.execute(_ROUND_TRIP, {"pattern": pattern}).fetchone()
    except duckdb.Error:
        raise ConfigurationError(
            f"{where}: '{pattern}' is no format of a date and time. Use the codes of strptime, such as "
            "'%d/%m/%Y %H:%M', or 'epoch' or 'epoch_ms' for counts from 1970."
        ) from None
    if not (parsed and parsed[0]):
        raise ConfigurationError(
            f"{where}: the format '{pattern}' gives no whole date. It needs day, month and year, as in '%d/%m/%Y'."
        )


_ROUND_TRIP: Final = (
    "SELECT coalesce(try_strptime(strftime(TIMESTAMP '2021-03-14 15:09:26', $pattern), $pattern)::DATE "
    "= DATE '2021-03-14', false)"
)


def _from_serial(text: ir.StringValue) -> ir.Value:
    seconds = ((text.try_cast("float64") - _TO_1970) * _SECONDS).round()
    return _from_micros(seconds.cast("int64") * 1_000_000)


def order_of(text: ir.StringValue, local: ir.TimestampValue) -> ir.IntegerValue:
    """The `Order` of each row, null where it shows nothing; `local` is `text` parsed day first."""
    year_first = text.substr(4, 1).isin(["-", "/"]) & ~text.substr(0, 4).contains("/")
    low = local.day() <= 12
    read = ibis.cases(
        # No spreadsheet writes an ISO time with a T.
        (text.contains("T"), ibis.null("int8")),
        (year_first & low, Order.ISO_EITHER.value),
        (year_first, Order.ISO_CERTAIN.value),
        (text.contains("/") & low, Order.EITHER.value),
        (text.contains("/"), Order.DAY_FIRST.value),
        else_=ibis.null("int8"),
    )
    month_first = text.re_search(_DAY) & _strptime(text.substr(0, 10).strip(), "%m/%d/%Y").notnull()
    unread = ibis.ifelse(month_first, Order.MONTH_FIRST.value, ibis.null("int8"))
    return ibis.ifelse(local.notnull(), read, unread).cast("int8")


def is_ambiguous(order: ir.IntegerColumn) -> ir.BooleanValue:
    """Whether day and month of a row may be swapped; `order` holds the `Order` of every row of the column.

    Where some rows have the month first, rows that could be either are ambiguous. A spreadsheet with American
    settings parses what it can month first and leaves the rest as text: where every real date has a day of
    at most 12 and every text a day above 12, the real dates are swapped.
    """
    counts = order.as_table().agg(**{f"n_{kind.value}": (order == kind.value).sum().fill_null(0) for kind in Order})
    month, day = counts[f"n_{Order.MONTH_FIRST}"], counts[f"n_{Order.DAY_FIRST}"]
    contrary = counts[f"n_{Order.EITHER}"] + counts[f"n_{Order.ISO_CERTAIN}"] + month
    verdict = counts.select(month_first=month * _EXCEPTIONS > day, half_parsed=(contrary == 0) & (day > 0))
    month_first, half_parsed = (verdict.select(name).as_scalar() for name in ("month_first", "half_parsed"))
    ambiguous = ((order == Order.EITHER.value) & month_first) | ((order == Order.ISO_EITHER.value) & half_parsed)
    return ambiguous.fill_null(False)
