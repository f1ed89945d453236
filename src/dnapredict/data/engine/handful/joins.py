"""Which rows of two tables belong together, and what a table is once another is joined to it."""

from collections.abc import Callable, Sequence
from typing import Any

import ibis.expr.operations as ops

from dnapredict.data.engine.handful.certainty import NotCertain
from dnapredict.data.engine.handful.expressions import Relation, Values, scope_of
from dnapredict.data.engine.handful.rows import chosen
from dnapredict.data.engine.handful.steps import Recorder
from dnapredict.data.engine.handful.value_columns import Column

# By how they are named in the expression, the tables that are joined so far: all of as many rows.
Sides = dict[ops.Node, Relation]
# A row on the left, and the one on the right that belongs to it.
Pairs = list[tuple[int, int | None]]


class Joins:
    """Puts down the steps of joins."""

    def __init__(self, recorder: Recorder, values: Values) -> None:
        """Keys and conditions are worked out by `values`."""
        self._recorder = recorder
        self._values = values

    def joined(self, sides: Sides, link: ops.JoinLink, right: Relation) -> Sides:
        """The tables on the left, with the one on the right.

        Raises
        ------
        NotCertain
            If it is a kind of join that is not known here.
        """
        pairs = self._pairs(sides, link, right)
        rows = next(iter(sides.values())).rows
        if link.how in {"anti", "semi"}:
            kept = self._recorder.step(_rows_with_match(link.how == "semi"), rows, pairs)
            return {side: chosen(self._recorder, table, kept) for side, table in sides.items()}
        if link.how == "left":
            pairs = self._recorder.step(_with_the_unmatched, rows, pairs)
        elif link.how != "inner":
            raise NotCertain
        return self._followed(pairs, sides, link.table, right)

    def _pairs(self, sides: Sides, link: ops.JoinLink, right: Relation) -> int:
        equal, others = _conditions(link)
        left_scope, right_scope = scope_of(sides), scope_of({link.table: right})
        keys = [self._values.value(left, left_scope) for left, _ in equal]
        keys += [self._values.value(each, right_scope) for _, each in equal]
        pairs = self._recorder.step(_matches(len(equal)), *keys)
        if not others:
            return pairs
        scope = scope_of(self._followed(pairs, sides, link.table, right))
        return self._recorder.step(_held, pairs, *(self._values.value(each, scope) for each in others))

    def _followed(self, pairs: int, sides: Sides, name: ops.Node, right: Relation) -> Sides:
        """All tables with a row for each pair."""
        lefts = self._recorder.step(_lefts, pairs)
        rights = self._recorder.step(_rights, pairs)
        followed = {side: chosen(self._recorder, table, lefts) for side, table in sides.items()}
        return followed | {name: chosen(self._recorder, right, rights)}


def _conditions(link: ops.JoinLink) -> tuple[list[tuple[ops.Node, ops.Node]], list[ops.Node]]:
    """What must be equal, the left of it and the right, and whatever else must hold."""
    equal, others = [], []
    for predicate in link.predicates:
        pair = _across(predicate, link.table)
        if pair is None:
            others.append(predicate)
        else:
            equal.append(pair)
    return equal, others


def _across(predicate: ops.Node, table: ops.Node) -> tuple[ops.Node, ops.Node] | None:
    """Both sides of an equation, if each speaks of one of the two tables."""
    if not isinstance(predicate, ops.Equals):
        return None
    left, right = (
        {each.rel for each in side.find(ops.Field, filter=ops.Value)} for side in (predicate.left, predicate.right)
    )
    if table not in left and right == {table}:
        return predicate.left, predicate.right
    if table not in right and left == {table}:
        return predicate.right, predicate.left
    return None


def _matches(keys: int) -> Callable[..., Pairs]:
    """Pairs of rows whose `keys` are equal; null equals nothing. Given are the left ones, then the right."""

    def run(*columns: Column) -> Pairs:
        held: dict[tuple[Any, ...], list[int]] = {}
        for row, key in enumerate(zip(*columns[keys:], strict=True)):
            if None not in key:
                held.setdefault(key, []).append(row)
        lefts = enumerate(zip(*columns[:keys], strict=True))
        return [(left, right) for left, key in lefts for right in held.get(key, ())]

    if not keys:
        raise NotCertain
    return run


def _rows_with_match(are_kept: bool) -> Callable[[Column, Pairs], list[int]]:
    """The rows on the left that have a match, if those are kept; otherwise those that have none."""

    def run(rows: Column, pairs: Pairs) -> list[int]:
        found = {left for left, _ in pairs}
        return [row for row in range(len(rows)) if (row in found) == are_kept]

    return run


def _with_the_unmatched(rows: Column, pairs: Pairs) -> Pairs:
    """The pairs, and the rows on the left that found no match."""
    found = {left for left, _ in pairs}
    return [*pairs, *((row, None) for row in range(len(rows)) if row not in found)]


def _held(pairs: Pairs, *holds: Column) -> Pairs:
    """The pairs of which everything else holds, too."""
    return [pair for pair, *values in zip(pairs, *holds, strict=True) if all(values)]


def _lefts(pairs: Sequence[tuple[int, int | None]]) -> list[int]:
    return [left for left, _ in pairs]


def _rights(pairs: Sequence[tuple[int, int | None]]) -> list[int | None]:
    return [right for _, right in pairs]
