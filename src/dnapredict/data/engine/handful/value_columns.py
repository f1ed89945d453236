"""Columns of a few rows as Python lists: whole numbers for times (microseconds) and days, None for null."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import ibis
import pyarrow as pa

from dnapredict.data.engine.handful.certainty import UNSURE, NotCertain

Column = list[Any]

_AS_THEY_ARE: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer)
_IN_UTC: Final = (None, "UTC")


@dataclass(frozen=True)
class Columns:
    """A table of a few rows."""

    schema: ibis.Schema
    values: dict[str, Column]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.values.values())))

    @classmethod
    def of(cls, table: pa.Table) -> "Columns":
        """Read an Arrow table.

        Raises
        ------
        NotCertain
            If it has a column of a type that is not known here, or a float that is no number.
        """
        values = {name: _listed(table[name]) for name in table.column_names}
        return cls(_typed(table.schema), values)

    def table(self) -> pa.Table:
        """The same as an Arrow table.

        Raises
        ------
        NotCertain
            If a value is not certain.
        """
        self.require_certainty()
        schema = _written(self.schema)
        return pa.table([pa.array(self.values[field.name], field.type) for field in schema], schema=schema)

    def require_certainty(self) -> None:
        """Refuse values that only the embedded engine knows."""
        for column in self.values.values():
            _require_certain(column)


def _require_certain(column: Sequence[Any]) -> None:
    for value in column:
        if value is UNSURE:
            raise NotCertain


def _listed(column: pa.ChunkedArray) -> Column:
    type_ = column.type
    if any(is_known(type_) for is_known in _AS_THEY_ARE):
        return list(column.to_pylist())
    if pa.types.is_float64(type_):
        return _numbers(column.to_pylist())
    if pa.types.is_date32(type_):
        return list(column.cast(pa.int32()).to_pylist())
    if pa.types.is_timestamp(type_) and type_.unit == "us" and type_.tz in _IN_UTC:
        return list(column.cast(pa.int64()).to_pylist())
    if pa.types.is_null(type_):
        return [None] * len(column)
    raise NotCertain


def _numbers(values: list[float | None]) -> Column:
    for value in values:
        if value is not None and value - value != 0:
            raise NotCertain
    return values


@lru_cache(maxsize=256)
def _typed(schema: pa.Schema) -> ibis.Schema:
    return ibis.Schema.from_pyarrow(schema)


@lru_cache(maxsize=256)
def _written(schema: ibis.Schema) -> pa.Schema:
    """As the embedded engine writes it, which does not say of a column that it is never null."""
    return pa.schema([pa.field(name, type_.to_pyarrow()) for name, type_ in schema.items()])
