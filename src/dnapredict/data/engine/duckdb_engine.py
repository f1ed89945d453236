"""An embedded DuckDB for the length of a piece of work, and Ibis expressions that are compiled once for it.

Compiling the factors takes about a second and running them for one patient milliseconds, so a compiled query is
kept for each input schema: an expression over placeholder tables, which each use binds to real ones. The expression
is kept beside its SQL, for an engine that does not read DuckDB's SQL. Overflow of a large extract goes to disk.
"""

import inspect
import itertools
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from dnapredict.data.engine import running_step
from dnapredict.data.engine.interruption import interrupt_on_stop
from dnapredict.data.files.drafts import PRIVATE_FILE, PRIVATE_FOLDER
from dnapredict.data.files.operating_system import has_nameless_files
from dnapredict.data.files.temporary_folder import temporary_folder
from dnapredict.errors import UsageError


def engine_function(name: str, takes: tuple[dt.DataType, ...], gives: dt.DataType) -> Callable[..., ir.Value]:
    """The engine's function `name` as one of Ibis expressions."""

    def signature(*_: object) -> None: ...

    arguments = [inspect.Parameter(f"x{i}", inspect.Parameter.POSITIONAL_ONLY) for i in range(len(takes))]
    signature.__name__ = name
    signature.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    return cast(Callable[..., ir.Value], ibis.udf.scalar.builtin(signature, name=name, signature=(takes, gives)))


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
        return CompiledQuery(_sql_of(built), built)

    return compile_once


def _sql_of(built: ir.Table) -> str:
    """DuckDB's SQL for an expression.

    As `ibis.to_sql`, but not laid out in lines for a reader, and without a copy of the tree before it is written: the
    check of an extract is compiled in a sixth less time.
    """
    return str(Backend.compiler.to_sqlglot(built).sql(dialect=Backend.compiler.dialect, copy=False))


MEMORY_VARIABLE: Final = "DNAPREDICT_MEMORY"
"""Environment variable with the memory that a command may hold, such as 4GB; otherwise half of the machine's."""

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB)", re.IGNORECASE)
_MB: Final = {"MB": 1, "GB": 1000}
# The libraries of a command alone need about as much.
_LEAST_MB: Final = 500
# Of DuckDB's own limit, which is four fifths of the machine's or container's memory: what makes a quarter of it.
_QUARTER: Final = 0.25 / 0.8


def memory_in_mb(size: str) -> int:
    """A size such as 4GB or 750 MB, in millions of bytes.

    Raises
    ------
    UsageError
        If it is none, or less than a command needs.
    """
    mb = _in_mb(size)
    if mb < _LEAST_MB:
        raise UsageError(f"{size}: is no size of memory of at least {_LEAST_MB} MB. Write it as 4GB or 1500MB.")
    return mb


def _in_mb(size: str) -> int:
    found = _SIZE.fullmatch(size.strip())
    return round(float(found[1]) * _MB[found[2].upper()]) if found else 0


class Workspace:
    """A private DuckDB; closing it removes every table and every overflow file.

    DuckDB spills to a temporary folder when memory is short, so that the extract of an
    integrated care board passes through a laptop.
    """

    def __init__(self, *, folder: Path | None = None, memory_limit: str = "") -> None:
        """Open an engine.

        Parameters
        ----------
        folder
            Folder for what does not fit into memory; otherwise the system's temporary folder.
        memory_limit
            What the engine may hold before it goes to disk, such as "1GB", where the caller needs less than it is
            given: half of what the command may hold (`MEMORY_VARIABLE`), since results are held too.

        Raises
        ------
        UsageError
            If the environment variable holds no size.
        """
        self._overflow = ExitStack()
        self._folder = self._overflow.enter_context(temporary_folder(folder))
        self.backend: Backend = ibis.duckdb.connect(":memory:", temp_directory=str(self._folder))
        self.backend.raw_sql("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        self.backend.raw_sql(f"SET memory_limit = '{self._limit(memory_limit)}'")
        self._numbers = itertools.count(1)
        self._nameless: list[int] = []
        interrupt_on_stop(self)
        if running_step.is_shown():
            # DuckDB counts how much of a query is done, which costs each query 0.3 ms, and prints no bar of its own.
            self.backend.raw_sql("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
            running_step.measure(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _limit(self, needed: str) -> str:
        given = os.environ.get(MEMORY_VARIABLE)
        if given:
            half = memory_in_mb(given) // 2
            return f"{min(half, _in_mb(needed)) if needed else half}MB"
        if needed:
            return needed
        ((own,),) = self.backend.con.sql("SELECT current_setting('memory_limit')").fetchall()
        number, unit = own.split()
        return f"{float(number) * _QUARTER:.3f} {unit}"

    def interrupt(self) -> None:
        """End the query that is running, from another thread; the thread that runs it gets an error."""
        self.backend.con.interrupt()

    def share_done(self) -> float:
        """The part of the running query that is done, from 0 to 1; negative where it is not known."""
        return float(self.backend.con.query_progress()) / 100

    def close(self) -> None:
        """Give back memory and disk."""
        self.backend.disconnect()
        while self._nameless:
            os.close(self._nameless.pop())
        self._overflow.close()

    def keep(self, rows: pa.Table | pa.RecordBatchReader) -> ir.Table:
        """A table of the workspace that holds `rows`, from memory or from a stream."""
        source = self._name("arrow")
        self.backend.con.register(source, rows)
        try:
            return self.compute(f"FROM {source}")
        finally:
            self.backend.con.unregister(source)

    def refer(self, rows: pa.Table) -> ir.Table:
        """A table of the workspace that reads `rows` without a copy: for reference data that many share."""
        name = self._name("arrow")
        self.backend.con.register(name, rows)
        return self.backend.table(name)

    def compute(self, query: BoundQuery | str) -> ir.Table:
        """A table of the workspace that holds the result of a query."""
        name = self._name("table")
        self.backend.con.execute(f"CREATE TABLE {name} AS {_sql(query)}")
        return self.backend.table(name)

    def compute_expression(self, expression: ir.Table) -> ir.Table:
        """A table of the workspace that holds the result of an Ibis expression over its tables."""
        return self.compute(str(self.backend.compile(expression)))

    def materialise(self, table: ir.Table) -> ir.Table:
        """The rows of a table or view as a table, which can be read many times at no cost."""
        return self.compute(f"FROM {table.get_name()}")

    def count(self, table: ir.Table) -> int:
        """Rows of a table or view."""
        return int(self.fetch(f"SELECT count(*) AS n FROM {table.get_name()}")["n"][0].as_py())

    def fetch(self, query: BoundQuery | str) -> pa.Table:
        """The result of a query."""
        return self.backend.con.sql(_sql(query)).to_arrow_table()

    def stream(self, query: BoundQuery | str, *, rows: int) -> pa.RecordBatchReader:
        """The result about so many `rows` at a time; run no other query in the workspace meanwhile."""
        return self.backend.con.sql(_sql(query)).to_arrow_reader(rows)

    def view(self, query: BoundQuery | str) -> ir.Table:
        """A view of a query, which runs each time the view is read."""
        name = self._name("view")
        self.backend.con.execute(f"CREATE VIEW {name} AS {_sql(query)}")
        return self.backend.table(name)

    def new_file(self, *, ending: str = "") -> Path:
        """The path of a new file of the workspace, which closing it removes.

        On Linux it is a link to a file without a name, which only this process can open and which the system removes
        when the process ends, however it ends: a copy of a list with patients' names must not outlive a killed one.
        """
        path = self._folder / (self._name("file") + ending)
        if has_nameless_files():
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE)
            self._nameless.append(descriptor)
            path.unlink()
            path.symlink_to(f"/proc/self/fd/{descriptor}")
        return path

    def new_folder(self) -> Path:
        """The path of a new folder of the workspace, which closing it removes."""
        folder = self._folder / self._name("folder")
        folder.mkdir(mode=PRIVATE_FOLDER)
        return folder

    def _name(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"


def _sql(query: BoundQuery | str) -> str:
    return query if isinstance(query, str) else query.sql
