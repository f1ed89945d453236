"""Join other files to the extract by key: other parts of it, and reference tables.

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
from dnapredict.data.contract.parsing import null_if_missing_word
from dnapredict.data.engine.duckdb_engine import Workspace, compiled, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER, describe_columns
from dnapredict.errors import DataError

# Prefix of a column that says whether a row has a match; null where the row has no key.
MATCHED: Final = "matched::"
_FIRST: Final = 5

FileState = tuple[Path, int, int]


def join_files(table: ir.Table, mapping: Mapping, workspace: Engine, *, source: str) -> ir.Table:
    """`table` with the columns `NAME.COLUMN` that `mapping` takes from other files, and `MATCHED` of each file.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or holds a key twice; of a lookup, twice with
        different values.
    """
    join_tables = {}
    for name, join in mapping.joins.items():
        used = (column for column in mapping.drawn if mapping.join_of(column) == name)
        wanted = sorted(column.partition(".")[2] for column in used)
        right = join_table(file_state(join.path), name, join, tuple(wanted), once=name in mapping.files)
        join_tables[f"side_{name}"] = workspace.refer(right)
    _require_columns(table, mapping, source)
    shapes = tuple((role, right.schema()) for role, right in join_tables.items())
    return workspace.view(_joined(table.schema(), mapping, shapes).bind(extract=table, **join_tables))


def file_state(path: Path) -> FileState:
    """Path, time of change and size of a file, so that it is read again only when it has changed.

    Raises
    ------
    DataError
        If there is no such file.
    """
    try:
        status = path.stat()
    except OSError:
        raise DataError(f"{path}: no such file.") from None
    return path, status.st_mtime_ns, status.st_size


def read_reference(path: Path, workspace: Workspace) -> ir.Table:
    """Read a reference file, in which every row must be sound.

    Raises
    ------
    DataError
        If it cannot be read, or a row has more cells than the header, so that its values may have moved.
    """
    table = table_file.read(path, workspace)
    if ROW_FAULT not in table.columns:
        return table
    faulty = table.filter(table[ROW_FAULT].notnull()).select(ROW_NUMBER)
    numbers = workspace.backend.to_pyarrow(faulty)[ROW_NUMBER].to_pylist()
    if numbers:
        raise DataError(f"{path.name}: {describe_rows(numbers)} cannot be split into columns. Correct the file.")
    return table.drop(ROW_FAULT)


def describe_rows(numbers: list[int]) -> str:
    """The number of rows, and the first of them.

    >>> describe_rows([12]), describe_rows([3, 1_040, 7])
    ('1 row (row 12)', '3 rows (rows 3, 7, 1,040)')
    """
    first = ", ".join(f"{number:,}" for number in sorted(numbers)[:_FIRST])
    noun = "row" if len(numbers) == 1 else "rows"
    return f"{len(numbers):,} {noun} ({noun} {first}{', ...' if len(numbers) > _FIRST else ''})"


def key(value: ir.Value, *, loose: bool) -> ir.StringValue:
    """`value` in the form in which keys are compared: trimmed text, null where nothing is recorded.

    Where `loose`, in capitals and without spaces.
    """
    text = value.cast("string")
    if value.type().is_floating():
        text = text.re_replace(r"\.0$", "")
    if loose:
        text = text.upper().replace(" ", "")
    return null_if_missing_word(text.strip().nullif(""))


def missing_column(where: str, column: str, table: ir.Table, *, expected: Collection[str] = ()) -> DataError:
    """The error for a source column that the table lacks; the mapping also uses the columns `expected`."""
    columns = describe_columns(table.columns, expected=expected)
    return DataError(f"{where}: column '{column}', which the mapping asks for, is missing. {columns}")


def _require_columns(table: ir.Table, mapping: Mapping, source: str) -> None:
    for join in mapping.joins.values():
        for column in join.match:
            if mapping.join_of(column) is None and column not in table.columns:
                raise missing_column(source, column, table, expected=mapping.drawn)


@compiled
def _joined(schema: ibis.Schema, mapping: Mapping, join_tables: tuple[tuple[str, ibis.Schema], ...]) -> ir.Table:
    table = placeholder("extract", schema)
    for (role, shape), (name, join) in zip(join_tables, mapping.joins.items(), strict=True):
        table = _join(table, placeholder(role, shape), _JoinKeys(name, join, loose=name in mapping.lookups))
    return table


@dataclass(frozen=True)
class _JoinKeys:
    name: str
    join: Join
    loose: bool

    def column(self, index: int) -> str:
        return f"{self.name}::{index}"


def _join(table: ir.Table, right: ir.Table, keys: _JoinKeys) -> ir.Table:
    own_keys = [key(table[column], loose=keys.loose) for column in keys.join.match]
    key_columns = [keys.column(index) for index in range(len(own_keys))]
    joined = table.left_join(right, [mine == right[name] for mine, name in zip(own_keys, key_columns, strict=True)])
    has_key = ibis.and_(*(key(joined[column], loose=keys.loose).notnull() for column in keys.join.match))
    matched = ibis.ifelse(has_key, joined[key_columns[0]].notnull(), ibis.null("boolean"))
    return joined.mutate(**{f"{MATCHED}{keys.name}": matched}).drop(*key_columns)


@lru_cache(maxsize=8)
def join_table(state: FileState, name: str, join: Join, wanted: tuple[str, ...], *, once: bool) -> pa.Table:
    """The joined file `name` with one row a key, and only the columns that are used: names and telephone numbers are
    not copied. Its first columns are the keys, in normal form unless `once`.
    """
    path = state[0]
    keys = _JoinKeys(name, join, loose=not once)
    with Workspace() as workspace:
        table = read_reference(path, workspace)
        for column in (*join.match.values(), *wanted):
            if column not in table.columns:
                raise missing_column(path.name, column, table, expected=(*join.match.values(), *wanted))
        rows = _needed_columns(table, keys, wanted)
        kept = workspace.compute(ibis.to_sql(rows, dialect="duckdb"))
        _require_unique(kept, keys, workspace, path=path)
        return workspace.backend.to_pyarrow(kept.drop(ROW_NUMBER))


def _needed_columns(table: ir.Table, keys: _JoinKeys, wanted: tuple[str, ...]) -> ir.Table:
    rows = table.select(
        ROW_NUMBER,
        **{
            keys.column(index): key(table[column], loose=keys.loose)
            for index, column in enumerate(keys.join.match.values())
        },
        **{f"{keys.name}.{column}": table[column] for column in wanted},
    )
    rows = rows.filter(*(rows[keys.column(index)].notnull() for index in range(len(keys.join.match))))
    if not keys.loose:
        return rows
    others = [column for column in rows.columns if column != ROW_NUMBER]
    return rows.group_by(others).agg(**{ROW_NUMBER: rows[ROW_NUMBER].min()}).relocate(ROW_NUMBER)


def _require_unique(rows: ir.Table, keys: _JoinKeys, workspace: Workspace, *, path: Path) -> None:
    columns = [keys.column(index) for index in range(len(keys.join.match))]
    repeats = rows.group_by(columns).agg(times=rows.count()).filter(lambda found: found.times > 1)
    repeated = rows.semi_join(repeats, columns).select(ROW_NUMBER).order_by(ROW_NUMBER)
    numbers = workspace.backend.to_pyarrow(repeated)[ROW_NUMBER].to_pylist()
    if numbers:
        named = " and ".join(f"'{column}'" for column in keys.join.match.values())
        differing = " with different values" if keys.loose else ""
        raise DataError(
            f"{path.name}: column {named} holds keys that stand in more than one row{differing}: "
            f"{describe_rows(numbers)}. Each key may stand once, or appointments would be "
            "doubled. Correct the file."
        )
