"""Queries compiled once and run often: an Ibis expression over tables that are filled in later.

Compiling the factors takes about a second and running them for one patient milliseconds, so a
plan is kept for each shape of input. An expression is the same whether DuckDB runs its SQL here or
another engine compiles it anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import ibis
import ibis.expr.types as ir

__all__ = ["Plan", "compiled", "placeholder"]

_PREFIX: Final = "filled_in_by_"


@dataclass(frozen=True)
class Plan:
    """SQL of the embedded engine with a place for each table it reads."""

    sql: str

    def over(self, **tables: ir.Table) -> str:
        """The SQL with each place filled by a named table of the workspace."""
        sql = self.sql
        for role, table in tables.items():
            sql = sql.replace(f'"{_PREFIX}{role}"', f'"{table.get_name()}"')
        return sql


def placeholder(role: str, schema: ibis.Schema) -> ir.Table:
    """A table that will be filled in as `role`, with the columns of `schema`."""
    return ibis.table(schema, name=f"{_PREFIX}{role}")


def compiled(expression: Callable[..., ir.Table]) -> Callable[..., Plan]:
    """Make a plan of a function that builds an expression on placeholders; equal arguments share one."""

    @lru_cache(maxsize=64)
    def plan(*arguments: object) -> Plan:
        return Plan(str(ibis.to_sql(expression(*arguments), dialect="duckdb")))

    return plan
