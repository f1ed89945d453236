"""Tables in memory as input: written to a private temporary Parquet file, which is then read as any other.

So the reader, its limits, its row numbers and its digest are those of the command line, and no result depends on
where a table came from.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnapredict.data.engine.spark_engine import is_spark_frame
from dnapredict.data.files.temporary_folder import temporary_folder
from dnapredict.data.readers.frames import SYNTHETIC_KEY, arrow_of_frame, plain_field, refuse_duplicates
from dnapredict.errors import DnapredictError, UsageError

# How the simulation numbers its appointments. pandas and Polars drop the note that a file is synthetic.
_SYNTHETIC_ID: Final = "SYN-"


@runtime_checkable
class ArrowStream(Protocol):
    """Any table that exports itself by Arrow's PyCapsule interface, such as a Polars data frame."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the table as a stream of Arrow record batches."""


TableInput = str | os.PathLike[str] | ArrowStream
"""A path, or a table of pandas, Arrow or Polars."""


@contextlib.contextmanager
def as_file(table: TableInput, *, name: str) -> Iterator[Path]:
    """The path of `table`, or of a temporary file that holds it and that only this account can read.

    Parameters
    ----------
    name
        What error messages call a table in memory, such as "extract".

    Raises
    ------
    DataError
        If a column cannot be stored: it mixes types, is named twice, or has a type that no file has.
    UsageError
        If it is neither a path nor a table.
    """
    if isinstance(table, str | os.PathLike):
        yield Path(table)
        return
    if is_spark_frame(table):
        raise UsageError(
            f"{name}: is a data frame of Spark, whose rows may be more than this process holds. Score it with "
            "dnapredict.score_on_spark, or give table.toArrow() if it is small."
        )
    with temporary_folder() as folder:
        path = folder / f"{name}.parquet"
        pq.write_table(_arrow(table, name), path)
        try:
            yield path
        except DnapredictError as error:
            text = str(error).replace(str(path), name).replace(path.name, name)
            raise type(error)(text) from None


def _arrow(table: ArrowStream, name: str) -> pa.Table:
    """`table` as Arrow, marked as synthetic where its appointments are."""
    arrow = arrow_of_frame(table, name) if isinstance(table, pd.DataFrame) else _from_stream(table, name)
    refuse_duplicates(arrow.column_names, name)
    arrow = arrow.cast(pa.schema([plain_field(field, name) for field in arrow.schema], arrow.schema.metadata))
    if arrow.num_rows and not arrow.schema.metadata and _is_synthetic(arrow):
        arrow = arrow.replace_schema_metadata({SYNTHETIC_KEY: "true"})
    return arrow


def _from_stream(table: ArrowStream, name: str) -> pa.Table:
    try:
        return pa.table(table)
    except (pa.ArrowException, TypeError, ValueError, AttributeError):
        kind = type(table).__name__
        raise UsageError(f"{name}: expected a path or a table of pandas, Arrow or Polars, not {kind}.") from None


def _is_synthetic(table: pa.Table) -> bool:
    """Whether every appointment is numbered as the simulation numbers them."""
    if "appointment_id" not in table.column_names:
        return False
    ids = table["appointment_id"]
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        return False
    return bool(pc.all(pc.starts_with(ids, _SYNTHETIC_ID), skip_nulls=False).as_py())
