"""Cells of optional columns that cannot be read: they count as not known, and their row stays."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.contract.columns import COLUMNS, column
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation.rules import OPTIONAL_CELLS, expected_in

_FIRST_ROWS: Final = 5
# A column is the wrong one where more than this share of at least so many cells cannot be read.
_MOST_UNREADABLE: Final = 0.5
_FEWEST_CELLS: Final = 20


@dataclass(frozen=True)
class UnreadableCells:
    """The cells of an optional column that cannot be read: their number and first rows, and the filled cells."""

    column: str
    count: int
    filled: int
    first_rows: tuple[int, ...]

    @property
    def is_wrong_column(self) -> bool:
        """Whether so many cells are unreadable that the column must hold something else."""
        return self.filled >= _FEWEST_CELLS and self.count > _MOST_UNREADABLE * self.filled

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.first_rows)
        more = ", ..." if self.count > len(self.first_rows) else ""
        cells, noun, verb = ("cell is", "row", "counts") if self.count == 1 else ("cells are", "rows", "count")
        expected = expected_in(column(self.column))
        return f"{self.column}: {self.count:,} {cells} not {expected} and {verb} as not known ({noun} {rows}{more})"


def unreadable_cells(typed: ir.Table, workspace: Engine, *, cells: pa.Table | None) -> tuple[UnreadableCells, ...]:
    """Every optional column with cells that cannot be read, in the contract's order.

    `cells` are those of `typed` where it has few rows.
    """
    names = flagged(typed.columns)
    if cells is not None:
        return tuple(_of_few(name, cells) for name in names if pc.any(cells[f"bad_{name}"]).as_py())
    if not names:
        return ()
    counts = workspace.fetch(_counts(typed.schema(), names).bind(typed=typed)).to_pylist()[0]
    return tuple(_of_many(name, int(counts[name]), typed, workspace) for name in names if counts[name])


def flagged(columns: Iterable[str]) -> tuple[str, ...]:
    """The optional columns with a flag for unreadable cells, in the contract's order."""
    flags = set(columns)
    return tuple(each.name for each in COLUMNS if each.name in OPTIONAL_CELLS and f"bad_{each.name}" in flags)


def _of_few(name: str, cells: pa.Table) -> UnreadableCells:
    rows = sorted(cells.filter(cells[f"bad_{name}"])[ROW_NUMBER].to_pylist())
    filled = cells.num_rows - cells[name].null_count + len(rows)
    return UnreadableCells(name, len(rows), filled, tuple(rows[:_FIRST_ROWS]))


def _of_many(name: str, count: int, typed: ir.Table, workspace: Engine) -> UnreadableCells:
    filled = workspace.fetch(_filled(typed.schema(), name).bind(typed=typed))["filled"][0].as_py()
    rows = workspace.fetch(_first_rows(typed.schema(), name).bind(typed=typed))[ROW_NUMBER].to_pylist()
    return UnreadableCells(name, count, filled + count, tuple(rows))


@compiled
def _counts(schema: ibis.Schema, names: tuple[str, ...]) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.agg(**{name: typed[f"bad_{name}"].sum().fill_null(0) for name in names})


@compiled
def _filled(schema: ibis.Schema, name: str) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.agg(filled=typed[name].count())


@compiled
def _first_rows(schema: ibis.Schema, name: str) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.filter(typed[f"bad_{name}"]).select(ROW_NUMBER).order_by(ROW_NUMBER).limit(_FIRST_ROWS)
