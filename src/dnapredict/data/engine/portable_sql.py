"""SQL that is written once, in DuckDB's dialect, and that Spark runs too: counts, whose results are small.

Expressions with rows as results are Ibis's. `spark_sql` translates the dialect by sqlglot, which Ibis uses itself.
"""

from typing import Final, Protocol

import ibis.expr.types as ir
import pyarrow as pa
import sqlglot
from sqlglot import expressions as sql

_CLOCK_TIME: Final = "HH:mm:ss.SSSSSS"


class SqlEngine(Protocol):
    """What runs SQL of DuckDB's dialect on its tables: `Workspace`, or `SparkEngine` for what both engines have."""

    def fetch(self, query: str, /) -> pa.Table:
        """The result of a query, which does not grow with the rows."""

    def compute(self, query: str, /) -> ir.Table:
        """A table that holds the result of a query."""

    def compute_expression(self, expression: ir.Table, /) -> ir.Table:
        """A table that holds the result of an Ibis expression over tables of the engine."""


def spark_sql(query: str) -> str:
    """A query of DuckDB's dialect in that of Spark.

    Differences of types are for the query to avoid: a difference of dates is a number in DuckDB alone, and
    `date_diff` of times counts midnights in DuckDB alone, so that both are written as `date_diff` of dates. Of a local
    time, `timezone(zone, t)` is the instant; of an instant, `t AT TIME ZONE zone` is the local time.

    >>> spark_sql("SELECT a::TIME = TIME '23:59:59' AS is_end FROM t")
    "SELECT DATE_FORMAT(a, 'HH:mm:ss.SSSSSS') = '23:59:59.000000' AS is_end FROM t"
    >>> spark_sql("SELECT hash(a, b) AS h FROM t")
    'SELECT XXHASH64(a, b) AS h FROM t'
    >>> spark_sql("SELECT timezone('Europe/London', a) AT TIME ZONE 'Europe/London' AS back FROM t")
    "SELECT FROM_UTC_TIMESTAMP(TO_UTC_TIMESTAMP(a, 'Europe/London'), 'Europe/London') AS back FROM t"
    """
    return sqlglot.parse_one(query, read="duckdb").transform(_translated).sql(dialect="spark")


def _translated(node: sql.Expression) -> sql.Expression:
    if isinstance(node, sql.Cast) and node.is_type(sql.DataType.Type.TIME):
        # Spark has no type for the time of day.
        if isinstance(node.this, sql.Literal):
            return sql.Literal.string(f"{node.this.this}.000000")
        return _function("DATE_FORMAT", node.this, sql.Literal.string(_CLOCK_TIME))
    if isinstance(node, sql.AtTimeZone):
        return _function("FROM_UTC_TIMESTAMP", node.this, node.args["zone"])
    name = node.name.upper() if isinstance(node, sql.Anonymous) else ""
    if name == "TIMEZONE":
        return _function("TO_UTC_TIMESTAMP", *reversed(node.expressions))
    # Spark's own `hash` has 32 bits, which ten million visits would share.
    return _function("XXHASH64", *node.expressions) if name == "HASH" else node


def _function(name: str, *arguments: sql.Expression) -> sql.Expression:
    # A node that takes another's place is not looked into again.
    return sql.Anonymous(this=name, expressions=[each.transform(_translated) for each in arguments])
