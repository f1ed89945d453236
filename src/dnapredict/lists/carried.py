"""Columns that a worklist carries through for the people who call: names and telephones, untouched.

They go from the list straight into the file that is written, and nowhere else: not into the log, the store,
the service's answers, the page's list or an error.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.extract import ROW_NUMBER
from dnapredict.errors import ConfigurationError, DataError
from dnapredict.lists.answers import COLUMNS

__all__ = ["beside", "carried"]


def carried(appointments: pa.Table, names: Sequence[str], *, source: str) -> pa.Table:
    """The columns `names` of a list, as text, with the numbers of its rows.

    Raises
    ------
    ConfigurationError
        If a name is one that the worklist itself has.
    DataError
        If the list `source` lacks a column; the message holds headers and no value.
    """
    own = [name for name in names if name in (*COLUMNS, ROW_NUMBER)]
    if own:
        raise ConfigurationError(
            f"serving/worklist.toml: carry_through: '{own[0]}' is a column that every worklist has."
        )
    lacking = [name for name in names if name not in appointments.column_names]
    if lacking:
        found = ", ".join(name for name in appointments.column_names if name != ROW_NUMBER)
        raise DataError(
            f"{source}: column '{lacking[0]}', to be carried through (serving/worklist.toml), is missing. "
            f"The file has: {found}."
        )
    text = {name: pc.cast(appointments[name], pa.string()) for name in names}
    return pa.table({ROW_NUMBER: pc.cast(appointments[ROW_NUMBER], pa.int64())} | text)


def beside(worklist: pa.Table, carried: pa.Table) -> pa.Table:
    """The carried columns in the order of `worklist`, by row number."""
    places = pc.index_in(worklist[ROW_NUMBER], value_set=carried[ROW_NUMBER])
    return carried.take(places).drop_columns([ROW_NUMBER])
