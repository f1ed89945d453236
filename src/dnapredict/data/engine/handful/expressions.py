"""Turn the values of an expression into steps."""

import datetime
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import ibis.expr.operations as ops

from dnapredict.data.engine.handful import clocks, logic, windows
from dnapredict.data.engine.handful.certainty import NotCertain
from dnapredict.data.engine.handful.scalars import BUILT_IN, STRICT
from dnapredict.data.engine.handful.steps import Recorder, Works, lenient, strict
from dnapredict.data.engine.handful.texts import MICROS_PER_DAY, MICROS_PER_SECOND
from dnapredict.data.engine.handful.value_columns import Column

_MICROS_OF: Final = {"D": MICROS_PER_DAY, "s": MICROS_PER_SECOND}


@dataclass(frozen=True)
class Relation:
    """A table of an expression: a place of as many rows as it has, and of each column on demand."""

    rows: int
    column: Callable[[str], int]


@dataclass
class ExpressionScope:
    """Where values are worked out: the columns that they may name, and what has been worked out already.

    Attributes
    ----------
    rows
        A place of as many rows as the values have.
    named
        The place of a column that is named.
    parts
        Of an aggregation, the place of its groups; `whole` is then where they were made of.
    """

    rows: int
    named: Callable[[ops.Field], int]
    parts: int | None = None
    whole: "ExpressionScope | None" = None
    made: dict[Hashable, int] = field(default_factory=dict)


def scope_of(tables: Mapping[ops.Node, Relation]) -> ExpressionScope:
    """Where values may name the columns of tables that all have as many rows."""

    def named(node: ops.Field) -> int:
        return tables[node.rel].column(node.name)

    return ExpressionScope(next(iter(tables.values())).rows, named)


class Values:
    """Puts down the steps of values."""

    def __init__(self, recorder: Recorder, relation: Callable[[ops.Node], Relation]) -> None:
        """`relation` puts down the steps of a table that a value asks about."""
        self._recorder = recorder
        self._relation = relation

    def value(self, node: ops.Node, scope: ExpressionScope) -> int:
        """The place of a value.

        Raises
        ------
        NotCertain
            If it holds an operation that is not known here.
        """
        if node not in scope.made:
            scope.made[node] = self._made(node, scope)
        return scope.made[node]

    def _made(self, node: ops.Node, scope: ExpressionScope) -> int:
        if isinstance(node, ops.Field):
            return scope.named(node)
        if isinstance(node, ops.Literal):
            return self._recorder.constant(plain(node), scope.rows)
        if isinstance(node, ops.WindowFunction):
            return self._window(node, scope)
        if isinstance(node, ops.Reduction):
            return self._reduction(node, scope)
        if isinstance(node, (ops.ScalarSubquery, ops.InSubquery)):
            return self._asked(node, scope)
        return self._choice(node, scope) if type(node) in _CHOICES else self._operation(node, scope)

    def _choice(self, node: ops.Node, scope: ExpressionScope) -> int:
        arguments, function = _CHOICES[type(node)](node)
        places = [self.value(argument, scope) for argument in arguments]
        return self._recorder.step(lenient(function), *places, works=Works.BY_ROW)

    def _operation(self, node: ops.Node, scope: ExpressionScope) -> int:
        """An operation on values of which none is null; constants are bound to it once."""
        if isinstance(node, ops.ScalarUDF) and node.__func_name__ in BUILT_IN:
            names, make = node.argnames, BUILT_IN[node.__func_name__]
        elif type(node) in STRICT:
            names, make = STRICT[type(node)]
        else:
            raise NotCertain
        arguments = [getattr(node, name) for name in names]
        constants = {i: plain(a) for i, a in enumerate(arguments) if isinstance(a, ops.Literal)}
        if None in constants.values():
            return self._recorder.constant(None, scope.rows)
        function = make(node)
        if len(constants) == len(arguments):
            return self._recorder.constant(function(*constants.values()), scope.rows)
        places = [self.value(a, scope) for i, a in enumerate(arguments) if i not in constants]
        bound = strict(_bound(function, constants), len(places))
        return self._recorder.step(bound, *places, works=Works.STRICTLY)

    def _asked(self, node: ops.Node, scope: ExpressionScope) -> int:
        """A value of another table, or whether a value is in one of its columns."""
        relation = self._relation(node.rel)
        column = relation.column(node.rel.schema.names[0])
        if isinstance(node, ops.ScalarSubquery):
            return self._recorder.step(_only, column, scope.rows)
        return self._recorder.step(_is_in, self.value(node.needle, scope), column)

    def _reduction(self, node: ops.Node, scope: ExpressionScope) -> int:
        reduction = windows.REDUCTIONS.get(type(node).__name__)
        if scope.parts is None or scope.whole is None or reduction is None:
            raise NotCertain
        counted = self._argument(node, scope.whole)
        where = () if node.where is None else (self.value(node.where, scope.whole),)
        return self._recorder.step(windows.reduced(reduction), scope.parts, counted, *where)

    def _argument(self, node: ops.Node, scope: ExpressionScope) -> int:
        """The column that is counted or summed; of whole rows, one that is never null."""
        if isinstance(node, ops.CountStar):
            return self._recorder.constant(True, scope.rows)
        return self.value(node.arg, scope)

    def _window(self, node: ops.WindowFunction, scope: ExpressionScope) -> int:
        parts, function = self._parts(node, scope), node.func
        if isinstance(function, ops.RowNumber):
            return self._recorder.step(windows.numbered, parts, scope.rows)
        if isinstance(function, (ops.Lag, ops.Lead)):
            rows = 1 if function.offset is None else plain(function.offset)
            backwards = rows if isinstance(function, ops.Lag) else -rows
            if function.default is not None:
                raise NotCertain
            return self._recorder.step(windows.shifted(backwards), parts, self.value(function.arg, scope))
        return self._framed(node, parts, scope)

    def _framed(self, node: ops.WindowFunction, parts: int, scope: ExpressionScope) -> int:
        kind = type(node.func).__name__
        if node.func.where is not None or kind not in windows.REDUCTIONS or node.end is None:
            raise NotCertain
        counted = self._argument(node.func, scope)
        end = plain(node.end.value)
        if node.how == "rows" and node.start is None and end == 0 and kind != "CountStar":
            return self._recorder.step(windows.running(kind), parts, counted)
        if node.how == "range" and kind == "Sum" and node.start is not None and node.end.preceding:
            before = windows.summed_before(plain(node.start.value), end)
            return self._recorder.step(before, parts, counted, self.value(node.order_by[0].arg, scope))
        raise NotCertain

    def _parts(self, node: ops.WindowFunction, scope: ExpressionScope) -> int:
        """The rows of each part in order: worked out once for all windows over them."""
        key = ("parts", node.group_by, node.order_by)
        if key not in scope.made:
            if not all(sort.ascending and not sort.nulls_first for sort in node.order_by):
                raise NotCertain
            keys = [self.value(each, scope) for each in node.group_by]
            parts = self._recorder.step(windows.grouped, scope.rows, *keys)
            orders = [self.value(sort.arg, scope) for sort in node.order_by]
            scope.made[key] = self._recorder.step(windows.ordered, parts, *orders)
        return scope.made[key]


def plain(node: ops.Node) -> Any:
    """A constant as a value of `columns`."""
    if not isinstance(node, ops.Literal):
        raise NotCertain
    value, type_ = node.value, node.dtype
    if value is None:
        return None
    if type_.is_interval():
        return value * _MICROS_OF[type_.unit.short]
    if isinstance(value, datetime.datetime) or type_.is_decimal() or type_.is_json():
        raise NotCertain
    return clocks.days_of(value) if isinstance(value, datetime.date) else value


def _bound(function: Callable[..., Any], constants: dict[int, Any]) -> Callable[..., Any]:
    """A function of what is no constant."""
    if not constants:
        return function
    if list(constants) == [1]:
        right = constants[1]
        return lambda left: function(left, right)

    def run(*values: Any) -> Any:
        rest = iter(values)
        total = len(values) + len(constants)
        return function(*(constants[i] if i in constants else next(rest) for i in range(total)))

    return run


def _only(column: Column, beside: Column) -> Column:
    if len(column) > 1:
        raise NotCertain
    return [column[0] if column else None] * len(beside)


def _is_in(needles: Column, column: Column) -> Column:
    held = set(column)
    if None in held:
        raise NotCertain
    return [None if needle is None and held else needle in held for needle in needles]


def _case(node: ops.Node) -> tuple[list[ops.Node], Callable[..., Any]]:
    cases = list(node.cases)
    if isinstance(node, ops.SimpleCase):
        cases = [ops.Equals(node.base, case) for case in cases]
    return [*cases, *node.results, node.default], logic.first_case(len(cases))


def _in_values(node: ops.Node) -> tuple[list[ops.Node], Callable[..., Any]]:
    options = frozenset(plain(option) for option in node.options)
    if None in options:
        raise NotCertain
    return [node.value], logic.member_of(options)


def _joined(node: ops.Node) -> tuple[list[ops.Node], Callable[..., Any]]:
    return list(node.arg), lambda *texts: None if None in texts else "".join(texts)


# What may be given null: the arguments of an operation and its function.
_CHOICES: Final[dict[type[ops.Node], Callable[[Any], tuple[list[ops.Node], Callable[..., Any]]]]] = {
    ops.NotNull: lambda node: ([node.arg], logic.is_known),
    ops.IsNull: lambda node: ([node.arg], logic.is_unknown),
    ops.And: lambda node: ([node.left, node.right], logic.all_of),
    ops.Or: lambda node: ([node.left, node.right], logic.any_of),
    ops.IfElse: lambda node: ([node.bool_expr, node.true_expr, node.false_null_expr], logic.chosen),
    ops.Coalesce: lambda node: (list(node.arg), logic.first_known),
    ops.Greatest: lambda node: (list(node.arg), logic.greatest),
    ops.Least: lambda node: (list(node.arg), logic.least),
    ops.NullIf: lambda node: ([node.arg, node.null_if_expr], logic.null_if),
    ops.Between: lambda node: ([node.arg, node.lower_bound, node.upper_bound], logic.between),
    ops.Array: lambda node: (list(node.exprs), logic.listed),
    ops.StructColumn: lambda node: (list(node.values), logic.listed),
    ops.SearchedCase: _case,
    ops.SimpleCase: _case,
    ops.InValues: _in_values,
    ops.StringConcat: _joined,
}
