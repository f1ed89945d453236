"""Read text as a moment: ISO, as Britain writes it, or the serial number of a spreadsheet.

Whether a column has the day or the month first is never guessed row by row. The day is read first;
`order_of` says of each row what it proves, and `in_doubt` which rows the whole column throws in doubt.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.data.engine.duckdb_functions import engine_function

INSTANT: Final = dt.Timestamp(timezone="UTC")
LOCAL: Final = dt.Timestamp()

_strptime: Final = engine_function("try_strptime", (dt.string, dt.string), LOCAL)
_strptime_any: Final = engine_function("try_strptime", (dt.string, dt.Array(dt.string)), LOCAL)
_from_micros: Final = engine_function("make_timestamp", (dt.int64,), LOCAL)
# The instant at which a clock in a zone shows a local time, and what a clock in a zone shows then.
instant_of: Final = engine_function("timezone", (dt.string, LOCAL), INSTANT)
wall_clock: Final = engine_function("timezone", (dt.string, INSTANT), LOCAL)

_DAY: Final = r"^\d{1,2}/\d{1,2}/\d{4}"
_NAMED_DAY: Final = r"^\d{1,2}-[A-Za-z]{3}-\d{4}"
# Trying patterns in turn is slow where they fail, so the shape of the text chooses one.
_SHAPES: Final = tuple(
    (day + clock + "$", pattern + format_)
    for day, pattern in ((_DAY, "%d/%m/%Y"), (_NAMED_DAY, "%d-%b-%Y"))
    for clock, format_ in (("", ""), (r" \d{1,2}:\d\d", " %H:%M"), (r" \d{1,2}:\d\d:\d\d", " %H:%M:%S"))
)
_SERIAL: Final = r"^\d{5,6}(\.\d+)?$"
# Days from 30 December 1899, which a spreadsheet counts from, to 1 January 1970.
_TO_1970: Final = 25_569
_SECONDS: Final = 86_400
# A column is taken for day first where at most one in so many proofs says otherwise.
_STRAYS: Final = 20


class Order(IntEnum):
    """What one row tells about the order of day and month in its column."""

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
    """The local time that `text` says, by one of the patterns `formats` where they are given; else null."""
    if formats:
        return _strptime_any(text, list(formats)) if len(formats) > 1 else _strptime(text, formats[0])
    # The engine also knows words such as "infinity" and "epoch".
    digits = text.substr(0, 1).between("0", "9")
    iso = ibis.ifelse(digits, text.try_cast(LOCAL), ibis.null(LOCAL))
    british = ibis.cases(
        *((text.re_search(shape), _strptime(text, pattern)) for shape, pattern in _SHAPES),
        else_=ibis.null(LOCAL),
    )
    serial = ibis.ifelse(text.re_search(_SERIAL), _from_serial(text), ibis.null(LOCAL))
    return ibis.coalesce(iso, british, serial)


def _from_serial(text: ir.StringValue) -> ir.Value:
    seconds = ((text.try_cast("float64") - _TO_1970) * _SECONDS).round()
    return _from_micros(seconds.cast("int64") * 1_000_000)


def order_of(text: ir.StringValue, local: ir.TimestampValue) -> ir.IntegerValue:
    """One of `Order` for each row, null where there is nothing to tell; `local` is `text` read day first."""
    year_first = text.substr(4, 1).isin(["-", "/"]) & ~text.substr(0, 4).contains("/")
    low = local.day() <= 12
    read = ibis.cases(
        # No spreadsheet writes a T, nor what follows it.
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


def in_doubt(order: ir.IntegerColumn) -> ir.BooleanValue:
    """Rows of a column whose day and month the column itself throws in doubt; `order` is of its rows.

    Where rows prove the month first, no row that could be either is read. And a spreadsheet of
    American habit turns what it can into a date, month first, and leaves the rest as text: where every
    real date has a day of at most 12 and every text one above, the dates are swapped.
    """
    proofs = order.as_table().agg(**{f"n_{kind.value}": (order == kind.value).sum().fill_null(0) for kind in Order})
    month, day = proofs[f"n_{Order.MONTH_FIRST}"], proofs[f"n_{Order.DAY_FIRST}"]
    both = proofs[f"n_{Order.EITHER}"] + proofs[f"n_{Order.ISO_CERTAIN}"] + month
    said = proofs.select(flipped=month * _STRAYS > day, half=(both == 0) & (day > 0))
    flipped, half = said.select("flipped").as_scalar(), said.select("half").as_scalar()
    doubtful = ((order == Order.EITHER.value) & flipped) | ((order == Order.ISO_EITHER.value) & half)
    return doubtful.fill_null(False)
