"""Files beside the extract, found by key: other parts of it, and reference tables.

A join adds columns and never a row: a key that would match twice is refused by row number.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.config.mapping_config import Join, Mapping
from dnapredict.data.contract.parsing import recorded
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER, columns_told
from dnapredict.errors import DataError

# Before the name of a join: whether a row found its match; null where it has no key to look for.
MATCHED: Final = "matched::"
_FIRST: Final = 5

Stamp = tuple[Path, int, int]


def join_files(table: ir.Table, mapping: Mapping, workspace: Engine, *, source: str) -> ir.Table:
    """`table` with the columns `NAME.COLUMN` that `mapping` draws from other files, and `MATCHED` of each.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or holds a key twice; of a lookup, twice with
        different values.
    """
    sides = {}
    for name, join in mapping.joins.items():
        drawn = (column for column in mapping.drawn if mapping.join_of(column) == name)
        wanted = sorted(column.partition(".")[2] for column in drawn)
        side = _side(stamp(join.path), name, join, tuple(wanted), once=name in mapping.files)
        sides[f"side_{name}"] = workspace.refer(side)
    _require_columns(table, mapping, source)
    shapes = tuple((role, side.schema()) for role, side in sides.items())
    return workspace.view(_joining(table.schema(), mapping, shapes).bind(asked=table, **sides))


def stamp(path: Path) -> Stamp:
    """What tells one state of a file from the next, so that it is read once for many requests.

    Raises
    ------
    DataError
        If there is no such file.
    """
    try:
        found = path.stat()
    except OSError:
        raise DataError(f"{path}: no such file.") from None
    return path, found.st_mtime_ns, found.st_size


def read_beside(path: Path, workspace: Workspace) -> ir.Table:
    """A file that stands beside an extract, every row of which must be whole.

    Raises
    ------
    DataError
        If it cannot be read, or a row has more cells than the header: its values stand who knows where.
    """
    table = table_file.read(path, workspace)
    if ROW_FAULT not in table.columns:
        return table
    faulty = table.filter(table[ROW_FAULT].notnull()).select(ROW_NUMBER)
    numbers = workspace.backend.to_pyarrow(faulty)[ROW_NUMBER].to_pylist()
    if numbers:
        raise DataError(f"{path.name}: {rows_told(numbers)} cannot be told apart into columns. Correct the file.")
    return table.drop(ROW_FAULT)


def rows_told(numbers: list[int]) -> str:
    """How many rows, and which are the first.

    >>> rows_told([12]), rows_told([3, 1_040, 7])
    ('1 row (row 12)', '3 rows (rows 3, 7, 1,040)')
    """
    first = ", ".join(f"{number:,}" for number in sorted(numbers)[:_FIRST])
    noun = "row" if len(numbers) == 1 else "rows"
    return f"{len(numbers):,} {noun} ({noun} {first}{', ...' if len(numbers) > _FIRST else ''})"


def key(value: ir.Value, *, loose: bool) -> ir.StringValue:
    """`value` as it is compared: trimmed text, null where nothing is recorded.

    Where `loose`, in capitals and without spaces.
    """
    text = value.cast("string")
    if value.type().is_floating():
        text = text.re_replace(r"\.0$", "")
    if loose:
        text = text.upper().replace(" ", "")
    return recorded(text.strip().nullif(""))


def missing_column(where: str, column: str, table: ir.Table, *, expected: Collection[str] = ()) -> DataError:
    """The error for a column that the mapping draws on and that is not there; it draws on `expected` too."""
    told = columns_told(table.columns, expected=expected)
    return DataError(f"{where}: column '{column}', which the mapping asks for, is missing. {told}")


def _require_columns(table: ir.Table, mapping: Mapping, source: str) -> None:
    for join in mapping.joins.values():
        for column in join.match:
            if mapping.join_of(column) is None and column not in table.columns:
                raise missing_column(source, column, table, expected=mapping.drawn)


@compiled
def _joining(schema: ibis.Schema, mapping: Mapping, sides: tuple[tuple[str, ibis.Schema], ...]) -> ir.Table:
    table = placeholder("asked", schema)
    for (role, shape), (name, join) in zip(sides, mapping.joins.items(), strict=True):
        table = _with(table, placeholder(role, shape), _Keys(name, join, loose=name in mapping.lookups))
    return table


@dataclass(frozen=True)
class _Keys:
    name: str
    join: Join
    loose: bool

    def column(self, place: int) -> str:
        return f"{self.name}::{place}"


def _with(table: ir.Table, side: ir.Table, keys: _Keys) -> ir.Table:
    ours = [key(table[column], loose=keys.loose) for column in keys.join.match]
    theirs = [keys.column(place) for place in range(len(ours))]
    joined = table.left_join(side, [mine == side[name] for mine, name in zip(ours, theirs, strict=True)])
    asked = ibis.and_(*(key(joined[column], loose=keys.loose).notnull() for column in keys.join.match))
    found = ibis.ifelse(asked, joined[theirs[0]].notnull(), ibis.null("boolean"))
    return joined.mutate(**{f"{MATCHED}{keys.name}": found}).drop(*theirs)


@lru_cache(maxsize=8)
def _side(stamped: Stamp, name: str, join: Join, wanted: tuple[str, ...], *, once: bool) -> pa.Table:
    """One row a key, with the columns that are drawn and no other: names and telephones stay behind."""
    path = stamped[0]
    keys = _Keys(name, join, loose=not once)
    with Workspace() as workspace:
        table = read_beside(path, workspace)
        for column in (*join.match.values(), *wanted):
            if column not in table.columns:
                raise missing_column(path.name, column, table, expected=(*join.match.values(), *wanted))
        rows = _narrowed(table, keys, wanted)
        kept = workspace.compute(ibis.to_sql(rows, dialect="duckdb"))
        _require_unique(kept, keys, workspace, path=path)
        return workspace.backend.to_pyarrow(kept.drop(ROW_NUMBER))


def _narrowed(table: ir.Table, keys: _Keys, wanted: tuple[str, ...]) -> ir.Table:
    rows = table.select(
        ROW_NUMBER,
        **{
            keys.column(place): key(table[column], loose=keys.loose)
            for place, column in enumerate(keys.join.match.values())
        },
        **{f"{keys.name}.{column}": table[column] for column in wanted},
    )
    rows = rows.filter(*(rows[keys.column(place)].notnull() for place in range(len(keys.join.match))))
    if not keys.loose:
        return rows
    others = [column for column in rows.columns if column != ROW_NUMBER]
    return rows.group_by(others).agg(**{ROW_NUMBER: rows[ROW_NUMBER].min()}).relocate(ROW_NUMBER)


def _require_unique(rows: ir.Table, keys: _Keys, workspace: Workspace, *, path: Path) -> None:
    columns = [keys.column(place) for place in range(len(keys.join.match))]
    repeats = rows.group_by(columns).agg(times=rows.count()).filter(lambda found: found.times > 1)
    repeated = rows.semi_join(repeats, columns).select(ROW_NUMBER).order_by(ROW_NUMBER)
    numbers = workspace.backend.to_pyarrow(repeated)[ROW_NUMBER].to_pylist()
    if numbers:
        named = " and ".join(f"'{column}'" for column in keys.join.match.values())
        differing = " with different values" if keys.loose else ""
        raise DataError(
            f"{path.name}: column {named} holds keys that stand in more than one row{differing}: "
            f"{rows_told(numbers)}. Each key may stand once, or appointments would be "
            "doubled. Correct the file."
        )
