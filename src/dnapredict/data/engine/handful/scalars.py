"""What one value makes of others: each operation of an expression as a function of plain values.

All of these give null where an argument is null; what does not is in `logic`.
"""

import datetime
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from dnapredict.data.engine.handful import clocks, texts
from dnapredict.data.engine.handful.certainty import NotCertain

Scalar = Callable[..., Any]
# The names of an operation's arguments, and the function that it stands for.
Made = tuple[tuple[str, ...], Callable[[Any], Scalar]]

_PAIR: Final = ("left", "right")
_LONGEST_EXACT: Final = 2**53


def _same(function: Scalar) -> Callable[[Any], Scalar]:
    return lambda _: function


def _divided(a: float, b: float) -> float:
    if b == 0:
        raise NotCertain
    return a / b


def _floor_divided(a: float, b: float) -> int:
    return math.floor(_divided(a, b))


def _remainder(a: int, b: int) -> int:
    """With the sign of `a`, as SQL has it."""
    if b == 0 or not (isinstance(a, int) and isinstance(b, int)):
        raise NotCertain
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def _rounded(number: float, digits: int) -> int:
    """To the nearest whole number, halves away from zero."""
    if digits:
        raise NotCertain
    return math.floor(abs(number) + 0.5) * (1 if number >= 0 else -1)


def _substring(text: str, start: int, length: int) -> str:
    if start < 0:
        raise NotCertain
    return text[start : start + length]


def _padded(text: str, width: int, pad: str) -> str:
    return pad * (width - len(text)) + text


def _replaced(node: ops.RegexReplace) -> Scalar:
    pattern = texts.engine_pattern(_constant(node.pattern))
    written = _constant(node.replacement)
    return lambda text: pattern.sub(written, text)


def _searched(node: ops.RegexSearch) -> Scalar:
    search = texts.engine_pattern(_constant(node.pattern)).search
    return lambda text: search(text) is not None


def _constant(node: ops.Node) -> Any:
    if not isinstance(node, ops.Literal):
        raise NotCertain
    return node.value


def _cast(node: ops.Cast | ops.TryCast) -> Scalar:
    """A value of one type as one of another; text is read by `texts` alone."""
    before, after = _family(node.arg.dtype), _family(node.to)
    if before == "string" and after != "string" and isinstance(node, ops.Cast):
        raise NotCertain
    if (before, after) not in _CASTS:
        raise NotCertain
    return _CASTS[before, after]


def _family(type_: dt.DataType) -> str:
    if type_.is_timestamp():
        if type_.timezone not in {None, "UTC"}:
            raise NotCertain
        return "local" if type_.timezone is None else "instant"
    kinds = ("string", "boolean", "integer", "floating", "date")
    return next((kind for kind in kinds if getattr(type_, f"is_{kind}")()), "other")


def _same_value(value: Any) -> Any:
    return value


def _whole(number: float) -> int:
    """To the nearest whole number, halves to the even one."""
    if abs(number) > _LONGEST_EXACT:
        raise NotCertain
    return round(number)


_CASTS: Final[Mapping[tuple[str, str], Scalar]] = {
    **{(kind, kind): _same_value for kind in ("string", "boolean", "integer", "floating", "date")},
    **{(one, other): _same_value for one in ("local", "instant") for other in ("local", "instant")},
    ("string", "floating"): texts.number_in,
    ("string", "integer"): texts.whole_in,
    ("string", "boolean"): texts.truth_in,
    ("string", "local"): texts.local_in,
    ("string", "instant"): texts.instant_in,
    ("boolean", "integer"): int,
    ("boolean", "floating"): float,
    ("integer", "floating"): float,
    ("integer", "string"): str,
    ("floating", "integer"): _whole,
    ("local", "date"): clocks.day_of,
}


def _truncated(node: ops.TimestampTruncate) -> Scalar:
    if node.unit.short != "D":
        raise NotCertain
    return lambda moment: moment // texts.MICROS_PER_DAY * texts.MICROS_PER_DAY


def _days_apart(node: ops.DateDelta) -> Scalar:
    if _constant(node.part).lower() != "day":
        raise NotCertain
    return operator.sub


def _from_parts(year: int, month: int, day: int) -> int:
    return clocks.days_of(datetime.date(year, month, day))


def _field_of(node: ops.StructField) -> Scalar:
    return operator.itemgetter(node.arg.dtype.names.index(node.field))


STRICT: Final[Mapping[type[ops.Node], Made]] = {
    ops.Add: (_PAIR, _same(operator.add)),
    ops.Subtract: (_PAIR, _same(operator.sub)),
    ops.Multiply: (_PAIR, _same(operator.mul)),
    ops.Divide: (_PAIR, _same(_divided)),
    ops.FloorDivide: (_PAIR, _same(_floor_divided)),
    ops.Modulus: (_PAIR, _same(_remainder)),
    ops.Abs: (("arg",), _same(abs)),
    ops.Round: (("arg", "digits"), _same(_rounded)),
    ops.IsNan: (("arg",), _same(lambda number: number != number)),
    ops.IsInf: (("arg",), _same(math.isinf)),
    ops.Equals: (_PAIR, _same(operator.eq)),
    ops.NotEquals: (_PAIR, _same(operator.ne)),
    ops.Less: (_PAIR, _same(operator.lt)),
    ops.LessEqual: (_PAIR, _same(operator.le)),
    ops.Greater: (_PAIR, _same(operator.gt)),
    ops.GreaterEqual: (_PAIR, _same(operator.ge)),
    ops.Not: (("arg",), _same(operator.not_)),
    ops.Cast: (("arg",), _cast),
    ops.TryCast: (("arg",), _cast),
    ops.Uppercase: (("arg",), _same(texts.upper)),
    ops.StringLength: (("arg",), _same(len)),
    ops.StringContains: (("haystack", "needle"), _same(operator.contains)),
    ops.EndsWith: (("arg", "end"), _same(str.endswith)),
    ops.Substring: (("arg", "start", "length"), _same(_substring)),
    ops.LPad: (("arg", "length", "pad"), _same(_padded)),
    ops.Strip: (("arg",), _same(lambda text: text.strip(" "))),
    ops.RegexSearch: (("arg",), _searched),
    ops.RegexReplace: (("arg",), _replaced),
    ops.Date: (("arg",), _same(clocks.day_of)),
    ops.TimestampAdd: (_PAIR, _same(operator.add)),
    ops.TimestampSub: (_PAIR, _same(operator.sub)),
    ops.TimestampTruncate: (("arg",), _truncated),
    ops.DateDelta: (_PAIR, _days_apart),
    ops.DateFromYMD: (("year", "month", "day"), _same(_from_parts)),
    ops.ExtractYear: (("arg",), _same(clocks.year_of)),
    ops.ExtractDay: (("arg",), _same(clocks.day_of_month)),
    ops.ExtractHour: (("arg",), _same(clocks.hour_of)),
    ops.ExtractMinute: (("arg",), _same(clocks.minute_of)),
    ops.ExtractSecond: (("arg",), _same(clocks.second_of)),
    ops.ExtractEpochSeconds: (("arg",), _same(clocks.seconds_of)),
    ops.StructField: (("arg",), _field_of),
}


def _any_time(text: str, patterns: str | tuple[str, ...]) -> int | None:
    """By the first pattern that fits; of several, not certain unless the first one does."""
    first = patterns if isinstance(patterns, str) else patterns[0]
    found = texts.stripped_time(text, first)
    if found is None and first is not patterns:
        raise NotCertain
    return found


def _trimmed(text: str, characters: str) -> str:
    return text.strip(characters)


def _in_zone(node: ops.ScalarUDF) -> Scalar:
    return clocks.instant_at if node.x1.dtype.timezone is None else clocks.shown_at


# Functions of the embedded engine that `data.engine.duckdb_functions` names.
BUILT_IN: Final[Mapping[str, Callable[[Any], Scalar]]] = {
    "trim": _same(_trimmed),
    "left": _same(lambda text, length: text[:length]),
    "right": _same(lambda text, length: text[-length:]),
    "strlen": _same(lambda text: len(text.encode())),
    "try_strptime": _same(_any_time),
    "make_timestamp": _same(lambda micros: micros),
    "timezone": _in_zone,
}
