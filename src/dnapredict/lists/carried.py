"""Columns that a worklist carries through for the people who call: names and telephones, untouched.

They go from the list straight into the file that is written, and nowhere else: not into the log, the store,
the service's answers, the page's list or an error.
"""

from collections.abc import Sequence

from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.header import columns_told
from dnapredict.errors import ConfigurationError, DataError
from dnapredict.lists.answers import COLUMNS

__all__ = ["require_carried"]


def require_carried(found: Sequence[str], names: Sequence[str], *, source: str) -> None:
    """Refuse to carry through what a list with the columns `found` lacks, or what a worklist has itself.

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
    lacking = [name for name in names if name not in found]
    if lacking:
        raise DataError(
            f"{source}: column '{lacking[0]}', to be carried through (serving/worklist.toml), is missing. "
            + columns_told(found, expected=names)
        )
