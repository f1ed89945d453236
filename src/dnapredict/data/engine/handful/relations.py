"""Turn the tables of an expression into steps; a column that nothing asks for is never worked out."""

from collections.abc import Callable
from functools import cache, partial, singledispatchmethod
from typing import Any

import ibis.expr.operations as ops

from dnapredict.data.engine.handful.certainty import NotCertain
from dnapredict.data.engine.handful.expressions import ExpressionScope, Relation, Values, scope_of
from dnapredict.data.engine.handful.joins import Joins
from dnapredict.data.engine.handful.rows import chosen, gathered
from dnapredict.data.engine.handful.steps import Recorder
from dnapredict.data.engine.handful.value_columns import Column
from dnapredict.data.engine.handful.windows import grouped, ordered


class Relations:
    """Puts down the steps of tables, each once."""

    def __init__(self, recorder: Recorder, role_of: Callable[[str], str]) -> None:
        """`role_of` tells which of the tables that are filled in a name stands for."""
        self._recorder = recorder
        self._role_of = role_of
        self._values = Values(recorder, self.relation)
        self._found: dict[ops.Node, Relation] = {}

    def relation(self, node: ops.Node) -> Relation:
        """A table of the expression.

        Raises
        ------
        NotCertain
            If it holds an operation that is not known here.
        """
        if node not in self._found:
            self._found[node] = self._made(node)
        return self._found[node]

    @singledispatchmethod
    def _made(self, _: ops.Node) -> Relation:
        raise NotCertain

    @_made.register
    def _filled_in(self, node: ops.UnboundTable) -> Relation:
        column = partial(self._recorder.column_of, self._role_of(node.name))
        return Relation(column(node.schema.names[0]), column)

    @_made.register
    def _project(self, node: ops.Project) -> Relation:
        scope = scope_of({node.parent: self.relation(node.parent)})
        many = [value for value in node.values.values() if isinstance(value, ops.Unnest)]
        if many:
            return self._unnested(node, many, scope)
        return Relation(scope.rows, cache(lambda name: self._values.value(node.values[name], scope)))

    def _unnested(self, node: ops.Project, many: list[ops.Unnest], scope: ExpressionScope) -> Relation:
        """A row for each member of a list."""
        if len(many) > 1:
            raise NotCertain
        lists = self._values.value(many[0].arg, scope)
        rows = self._recorder.step(_rows_of_members, lists)

        def column(name: str) -> int:
            value = node.values[name]
            if value is many[0]:
                return self._recorder.step(_members, lists)
            return self._recorder.step(gathered, self._values.value(value, scope), rows)

        return Relation(rows, cache(column))

    @_made.register
    def _filter(self, node: ops.Filter) -> Relation:
        parent = self.relation(node.parent)
        scope = scope_of({node.parent: parent})
        holds = [self._values.value(predicate, scope) for predicate in node.predicates]
        return chosen(self._recorder, parent, self._recorder.step(_rows_where, *holds))

    @_made.register
    def _sort(self, node: ops.Sort) -> Relation:
        parent = self.relation(node.parent)
        scope = scope_of({node.parent: parent})
        if not all(key.ascending and not key.nulls_first for key in node.keys):
            raise NotCertain
        keys = [self._values.value(key.arg, scope) for key in node.keys]
        return chosen(self._recorder, parent, self._recorder.step(_in_order, parent.rows, *keys))

    @_made.register
    def _limit(self, node: ops.Limit) -> Relation:
        parent = self.relation(node.parent)
        if not isinstance(node.n, int) or node.offset:
            raise NotCertain
        first = partial(_first, most=node.n)
        return chosen(self._recorder, parent, self._recorder.step(first, parent.rows))

    @_made.register
    def _distinct(self, node: ops.Distinct) -> Relation:
        parent = self.relation(node.parent)
        columns = [parent.column(name) for name in node.schema.names]
        return chosen(self._recorder, parent, self._recorder.step(_first_of_equals, *columns))

    @_made.register
    def _union(self, node: ops.Union) -> Relation:
        if node.distinct:
            raise NotCertain
        left, right, step = self.relation(node.left), self.relation(node.right), self._recorder.step
        rows = step(_after, left.rows, right.rows)
        return Relation(rows, cache(lambda name: step(_after, left.column(name), right.column(name))))

    @_made.register
    def _without_columns(self, node: ops.DropColumns) -> Relation:
        return self.relation(node.parent)

    @_made.register
    def _aggregate(self, node: ops.Aggregate) -> Relation:
        parent = self.relation(node.parent)
        whole = scope_of({node.parent: parent})
        keys = {name: self._values.value(key, whole) for name, key in node.groups.items()}
        parts = self._recorder.step(grouped, parent.rows, *keys.values())
        scope = ExpressionScope(parts, _no_field, parts=parts, whole=whole)

        def column(name: str) -> int:
            if name in keys:
                return self._recorder.step(_first_of_parts, parts, keys[name])
            return self._values.value(node.metrics[name], scope)

        return Relation(parts, cache(column))

    @_made.register
    def _join(self, node: ops.JoinChain) -> Relation:
        """Tables one after the other; each column follows the rows that are joined."""
        joins = Joins(self._recorder, self._values)
        sides = {node.first: self.relation(node.first.parent)}
        for link in node.rest:
            sides = joins.joined(sides, link, self.relation(link.table.parent))
        scope = scope_of(sides)
        return Relation(scope.rows, cache(lambda name: self._values.value(node.values[name], scope)))


def _no_field(_: ops.Field) -> int:
    raise NotCertain


def _rows_where(*holds: Column) -> list[int]:
    return [row for row, values in enumerate(zip(*holds, strict=True)) if all(values)]


def _in_order(beside: Column, *keys: Column) -> list[int]:
    return ordered([list(range(len(beside)))], *keys)[0]


def _first(rows: Column, *, most: int) -> list[int]:
    return list(range(len(rows)))[:most]


def _first_of_equals(*columns: Column) -> list[int]:
    found: dict[tuple[Any, ...], int] = {}
    for row, values in enumerate(zip(*columns, strict=True)):
        found.setdefault(values, row)
    return list(found.values())


def _after(left: Column, right: Column) -> Column:
    return [*left, *right]


def _first_of_parts(parts: list[list[int]], column: Column) -> Column:
    return [column[part[0]] for part in parts]


def _rows_of_members(lists: Column) -> list[int]:
    return [row for row, members in enumerate(lists) for _ in members or ()]


def _members(lists: Column) -> Column:
    return [member for members in lists for member in members or ()]
