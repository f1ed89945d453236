"""Data frames of pandas as Arrow tables, without a message that quotes a patient's value."""

from typing import Final

import pandas as pd
import pyarrow as pa

from dnapredict.errors import DataError

SYNTHETIC_KEY: Final = "dnapredict.synthetic"


def arrow_of_frame(frame: pd.DataFrame, name: str) -> pa.Table:
    """A frame as Arrow, marked as synthetic where it is; `name` is what messages call it.

    Raises
    ------
    DataError
        If a column mixes types, or is named twice. The message holds no value.
    """
    # A column at a time: the error of pandas' own conversion quotes the offending value.
    if any(level is not None for level in frame.index.names):
        frame = frame.reset_index()
    names = [str(column) for column in frame.columns]
    refuse_duplicates(names, name)
    columns = []
    for index, column in enumerate(names):
        try:
            columns.append(pa.Array.from_pandas(frame.iloc[:, index]))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise DataError(
                f"{name}: column '{column}' mixes types that no file can hold. Convert it first, such as with "
                ".astype('string')."
            ) from None
    metadata = {SYNTHETIC_KEY: "true"} if frame.attrs.get(SYNTHETIC_KEY) else None
    return pa.table(columns, names=names).replace_schema_metadata(metadata)


def plain_field(field: pa.Field, name: str) -> pa.Field:
    """The field with a type that a Parquet file keeps; Polars' texts are views, and a period would become a number."""
    if isinstance(field.type, pa.BaseExtensionType):
        raise DataError(f"{name}: column '{field.name}' is of type {field.type}. Convert it to a text or a date first.")
    if pa.types.is_string_view(field.type):
        return field.with_type(pa.large_string())
    return field


def refuse_duplicates(names: list[str], name: str) -> None:
    """Refuse a table with two columns of one name."""
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise DataError(f"{name}: has the column '{twice[0]}' twice.")
