"""A workspace for a handful of rows: plans are run as lists of steps on Python's own values."""

from functools import lru_cache
from typing import NoReturn

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.engine.bound_query import BoundQuery, CompiledQuery, role_of
from dnapredict.data.engine.handful.certainty import NotCertain
from dnapredict.data.engine.handful.programs import Program
from dnapredict.data.engine.handful.relations import Relations
from dnapredict.data.engine.handful.steps import Recorder
from dnapredict.data.engine.handful.value_columns import Columns


class Handful:
    """Answers as `Workspace` does, or raises `NotCertain`: then nothing has happened."""

    def __init__(self) -> None:
        """Hold no table yet."""
        self._tables: dict[str, Columns] = {}

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table that holds `rows`."""
        table = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows
        return self._told(Columns.of(table))

    def refer(self, rows: pa.Table) -> ir.Table:
        """Not here: what many share is large."""
        del rows
        raise NotCertain

    def compute(self, asked: BoundQuery) -> ir.Table:
        """A table that holds the answer to a plan."""
        found = self._run(asked)
        found.require_certainty()
        return self._told(found)

    view = compute

    def settled(self, table: ir.Table) -> ir.Table:
        """The same table: nothing is read anew here."""
        return table

    def fetch(self, asked: BoundQuery) -> pa.Table:
        """The answer to a plan."""
        return self._run(asked).table()

    def count(self, table: ir.Table) -> int:
        """Rows of a table."""
        return self._tables[table.op().name].rows

    @property
    def embedded(self) -> NoReturn:
        """Not here: what only the embedded engine can do."""
        raise NotCertain

    def _run(self, asked: BoundQuery) -> Columns:
        program = _program(asked.plan)
        tables = {role: self._tables[table.op().name] for role, table in asked.tables.items()}
        return program.run(tables)

    def _told(self, columns: Columns) -> ir.Table:
        name = f"t{len(self._tables)}"
        self._tables[name] = columns
        return _handle(columns.schema, name)


@lru_cache(maxsize=256)
def _handle(schema: ibis.Schema, name: str) -> ir.Table:
    return ibis.table(schema, name=name)


@lru_cache(maxsize=256)
def _compiled(plan: CompiledQuery) -> Program | None:
    recorder = Recorder()
    node = plan.expression.op()
    try:
        relation = Relations(recorder, role_of).relation(node)
        answers = tuple(relation.column(name) for name in node.schema.names)
    except NotCertain:
        return None
    given = tuple((role, name, place) for (role, name), place in recorder.given.items())
    return Program(node.schema, given, tuple(recorder.steps), answers, recorder.places)


def _program(plan: CompiledQuery) -> Program:
    program = _compiled(plan)
    if program is None:
        raise NotCertain
    return program
