"""Compiled queries: an Ibis expression over placeholder tables, compiled once and bound to real tables at each use.

Compiling the factors takes about a second and running them for one patient milliseconds, so a compiled query is
kept for each input schema. The expression is kept too, for an engine that does not read DuckDB's SQL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import ibis
import ibis.expr.types as ir

_PREFIX: Final = "placeholder_"


@dataclass(frozen=True)
class CompiledQuery:
    """An Ibis expression over placeholders, and DuckDB's SQL for it."""

    sql: str
    expression: ir.Table = field(compare=False, repr=False)

    def bind(self, **tables: ir.Table) -> "BoundQuery":
        """The query with a table of an engine for each placeholder, by role."""
        return BoundQuery(self, tables)

    def sql_on(self, names: Mapping[str, str]) -> str:
        """The SQL with a table name for each role."""
        sql = self.sql
        for role, name in names.items():
            sql = sql.replace(f'"{_PREFIX}{role}"', f'"{name}"')
        return sql


@dataclass(frozen=True)
class BoundQuery:
    """A compiled query and the tables that it reads, by role."""

    compiled: CompiledQuery
    tables: Mapping[str, ir.Table]

    @cached_property
    def sql(self) -> str:
        """The SQL that names the tables."""
        return self.compiled.sql_on({role: table.get_name() for role, table in self.tables.items()})


def placeholder(role: str, schema: ibis.Schema) -> ir.Table:
    """A table with the columns of `schema`, to be bound to a real one as `role`."""
    return ibis.table(schema, name=f"{_PREFIX}{role}")


def compiled(expression: Callable[..., ir.Table]) -> Callable[..., CompiledQuery]:
    """Compile what a function builds on placeholders; calls with equal arguments share one compiled query."""

    @lru_cache(maxsize=64)
    def compile_once(*arguments: object) -> CompiledQuery:
        built = expression(*arguments)
        return CompiledQuery(str(ibis.to_sql(built, dialect="duckdb")), built)

    return compile_once
