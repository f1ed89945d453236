"""Postcode to LSOA, by the ONS Postcode Directory or a file of its form.

The postcode is used in the join and nowhere else: no column of the result has it, and no message quotes it. The
directory has 2.7 million rows, so that it stays in Arrow and DuckDB, and only the rows that an extract asks for are
joined.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import Geography, Join
from dnapredict.data.contract.parsing import null_if_missing_word, without_blanks
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.mapping.deprivation_lookup import LSOA_HEADERS
from dnapredict.data.mapping.file_joins import MATCHED, FileState, file_state, join_table, missing_column
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import describe_columns
from dnapredict.errors import ConfigurationError, DataError

# The column of LSOA codes that `with_areas` adds; no file can have one of this name.
AREA_COLUMN: Final = "postcode::area"
# Name of the join in notes. A dot keeps it apart from the names of a mapping's own joins.
POSTCODES: Final = "geography.postcodes"
# Headers of the directory (ONSPD, NSPL) of any year, the variable-length form first: all are compared without spaces.
_POSTCODE: Final = re.compile(r"pcds|pcd[278]?|post ?code ?[123]?")
_DIRECTORY: Final = ibis.schema({"postcode": "string", "area": "string"})


def with_areas(table: ir.Table, geography: Geography, *, vintage: str, workspace: Engine, source: str) -> ir.Table:
    """`table` with the column `AREA_COLUMN`: the LSOA of the postcode in the column that `geography` names.

    Terminated postcodes are in the directory and are matched. Spaces, case and punctuation do not matter.

    Parameters
    ----------
    vintage
        The year of the LSOA codes that are wanted, "2011" or "2021"; "" for the newest that the file has.

    Raises
    ------
    DataError
        If the extract lacks the column, or the directory cannot be read, lacks a column, or holds a postcode twice
        with different areas.
    ConfigurationError
        If the directory does not have the LSOA codes of that year.
    """
    path, column = geography.postcodes, geography.postcode
    if path is None or column is None:
        return table
    if column not in table.columns:
        raise missing_column(source, column, table, expected=[column])
    directory = _directory(file_state(path), vintage)
    asked = workspace.fetch(_asked(table.schema(), column).bind(extract=table))["postcode"]
    found = directory.filter(pc.is_in(directory["postcode"], value_set=asked.combine_chunks()))
    kept = workspace.keep(found.combine_chunks())
    return workspace.view(_joined(table.schema(), column).bind(extract=table, directory=kept))


def normal_form(value: ir.Value) -> ir.StringValue:
    """A postcode in capitals without spaces and punctuation; null where nothing is recorded."""
    text = null_if_missing_word(without_blanks(value.cast("string")).nullif(""))
    return text.upper().re_replace("[^A-Z0-9]", "").nullif("")


@compiled
def _asked(schema: ibis.Schema, column: str) -> ir.Table:
    """Each postcode of the extract once."""
    extract = placeholder("extract", schema)
    asked = extract.select(postcode=normal_form(extract[column])).distinct()
    return asked.filter(asked.postcode.notnull())


@compiled
def _joined(schema: ibis.Schema, column: str) -> ir.Table:
    own = "postcode::own"
    extract = placeholder("extract", schema).mutate(**{own: lambda rows: normal_form(rows[column])})
    directory = placeholder("directory", _DIRECTORY)
    joined = extract.left_join(directory, extract[own] == directory.postcode)
    matched = ibis.ifelse(joined[own].notnull(), joined.postcode.notnull(), ibis.null("boolean"))
    return joined.select(*schema.names, **{AREA_COLUMN: joined.area, MATCHED + POSTCODES: matched})


@lru_cache(maxsize=2)
def _directory(state: FileState, vintage: str) -> pa.Table:
    """One row a postcode, with the LSOA of that year."""
    path = state[0]
    postcode, area = _columns(path, vintage)
    join = Join(path=path, match={"postcode": postcode})
    table = join_table(state, "postcodes", join, (area,), once=False)
    return table.rename_columns(["postcode", "area"]).cast(_DIRECTORY.to_pyarrow())


def _columns(path: Path, vintage: str) -> tuple[str, str]:
    """The names of the column of postcodes and of that of LSOA codes."""
    with Workspace() as workspace:
        headers = table_file.columns(path, workspace)
    postcodes = sorted(name for name in headers if _POSTCODE.fullmatch(name.strip().lower()))
    if not postcodes:
        raise DataError(
            f"{path}: no column holds postcodes. Expected 'pcds', 'pcd' or 'pcd2', as in the ONS Postcode Directory. "
            f"{describe_columns(headers)}"
        )
    areas = {year: name for year, header in LSOA_HEADERS.items() for name in headers if header.fullmatch(name.lower())}
    if not areas:
        raise DataError(
            f"{path}: no column holds LSOA codes. Expected 'lsoa21' or 'lsoa11', as in the ONS Postcode Directory. "
            f"{describe_columns(headers)}"
        )
    if vintage and vintage not in areas:
        raise ConfigurationError(
            f"{path}: holds LSOA codes of {max(areas)}, where those of {vintage} are wanted. Release 2019 of the "
            "indices goes with LSOA 2011, 2025 with LSOA 2021; do not mix them."
        )
    # 'pcds' sorts after the forms of fixed length, which can hold a postcode of seven characters without its space.
    return postcodes[-1], areas[vintage or max(areas)]
