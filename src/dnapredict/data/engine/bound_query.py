"""Queries compiled once and run often: an Ibis expression over tables that are filled in later.

Compiling the factors takes about a second and running them for one patient milliseconds, so a
plan is kept for each shape of input. An expression is the same whether DuckDB runs its SQL here or
another engine compiles it anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import ibis
import ibis.expr.types as ir

_PREFIX: Final = "filled_in_by_"


@dataclass(frozen=True)
class CompiledQuery:
    """An expression, and the embedded engine's SQL for it, with a place for each table it reads."""

    sql: str
    expression: ir.Table = field(compare=False, repr=False)

    def over(self, **tables: ir.Table) -> "BoundQuery":
        """The plan with each place filled by a named table of an engine."""
        return BoundQuery(self, tables)


@dataclass(frozen=True)
class BoundQuery:
    """A plan and the tables that it reads."""

    plan: CompiledQuery
    tables: Mapping[str, ir.Table]

    @cached_property
    def sql(self) -> str:
        """The SQL with each place filled."""
        sql = self.plan.sql
        for role, table in self.tables.items():
            sql = sql.replace(f'"{_PREFIX}{role}"', f'"{table.get_name()}"')
        return sql


def placeholder(role: str, schema: ibis.Schema) -> ir.Table:
    """A table that will be filled in as `role`, with the columns of `schema`."""
    return ibis.table(schema, name=f"{_PREFIX}{role}")


def role_of(name: str) -> str:
    """The role that a placeholder of that name stands for."""
    return name.removeprefix(_PREFIX)


def compiled(expression: Callable[..., ir.Table]) -> Callable[..., CompiledQuery]:
    """Make a plan of a function that builds an expression on placeholders; equal arguments share one."""

    @lru_cache(maxsize=64)
    def plan(*arguments: object) -> CompiledQuery:
        found = expression(*arguments)
        return CompiledQuery(str(ibis.to_sql(found, dialect="duckdb")), found)

    return plan
