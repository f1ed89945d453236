"""Read the contact columns of a list, for the person who calls.

In: a list as it was read, and its mapping. Out: a name, a date of birth and so on by row number. Never: into a table
that is checked, scored or logged; no other module reads these columns.
"""

import datetime
from collections.abc import Iterator
from typing import Final, cast

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.contract.columns import CONTACT_COLUMNS, CONTACT_NAMES, Column, Kind
from dnapredict.data.contract.columns import column as contract_column
from dnapredict.data.contract.parsing import null_if_missing_word, parse, without_blanks
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.apply_mapping import translated, value_before_translation
from dnapredict.data.mapping.file_joins import join_files
from dnapredict.data.readers.csv_dialect import ROW_NUMBER

# A longer text is a note in the wrong column.
_LONGEST: Final = 200
# Patients were born in these years; a year of two digits is one of them.
_OLDEST_YEARS: Final = 125


def contact_rows(appointments: pa.Table, mapping: Mapping, *, source: str) -> pa.Table | None:
    """The contact columns of a list, with `row_number`; None where neither its header nor the mapping names one.

    Parameters
    ----------
    appointments
        The list as it was read, numbered.
    source
        Its name in messages.

    Returns
    -------
    Text, and `person_birth_date` as a date; null where the cell is blank, or is no date. A column that the mapping
    names and the list lacks is left out: calls can be made and recorded without it.

    Raises
    ------
    DataError
        If a joined file that a contact column comes from cannot be joined.
    """
    if not contact_sources(tuple(appointments.column_names), mapping):
        return None
    with Workspace() as workspace:
        table = workspace.keep(appointments)
        if mapping.joins:
            table = join_files(table, mapping, workspace, source=source)
        return read_contacts(table, mapping, workspace)


def read_contacts(table: ir.Table, mapping: Mapping, workspace: Workspace) -> pa.Table:
    """The contact columns of `table`, which has the columns of joined files, as in `contact_rows`."""
    sources = contact_sources(table.columns, mapping)
    columns = {column.name: _value(table, column, sources[column.name], mapping) for column in _known(sources)}
    rows = workspace.backend.to_pyarrow(table.select(ROW_NUMBER, **columns))
    for place, name in enumerate(rows.column_names):
        if name in columns and contract_column(name).kind is Kind.DATE:
            rows = rows.set_column(place, name, _plausible_births(rows[name]))
    return rows


def contact_sources(columns: tuple[str, ...], mapping: Mapping) -> dict[str, ColumnSource]:
    """The source of each contact column that a list with these columns has, by mapping or by its own name."""
    found = frozenset(columns)
    own = {name.strip().lower().replace(" ", "_"): name for name in sorted(found)}
    by_name = {
        name: ColumnSource.model_validate({"from": own[name]})
        for name in CONTACT_NAMES
        if name in own and name not in mapping.columns
    }
    mapped = {name: mapping.columns[name] for name in CONTACT_NAMES if name in mapping.columns}
    return by_name | {
        name: origin
        for name, origin in mapped.items()
        if all(column in found or mapping.join_of(column) for column in origin.columns)
    }


def _known(sources: dict[str, ColumnSource]) -> Iterator[Column]:
    return (column for column in CONTACT_COLUMNS if column.name in sources)


def _value(table: ir.Table, column: Column, origin: ColumnSource, mapping: Mapping) -> ir.Value:
    value = value_before_translation(table, origin)
    if column.kind is Kind.DATE:
        return _birth_date(value, origin, mapping)
    text = null_if_missing_word(without_blanks(_whole(value)).nullif(""))
    return cast(ir.StringValue, translated(text, origin)).substr(0, _LONGEST)


def _whole(value: ir.Value) -> ir.StringValue:
    """Text of a cell: a telephone number in a column of numbers has no ".0"."""
    text = value.cast("string")
    return text.re_replace(r"\.0$", "") if value.type().is_floating() else text


def _birth_date(value: ir.Value, origin: ColumnSource, mapping: Mapping) -> ir.TimestampValue:
    parsed = parse(value, contract_column("starts_at"), zone=mapping.timezone, formats=origin.formats)
    day = cast(ir.TimestampValue, parsed.local)
    if any("%y" in pattern for pattern in origin.formats):
        # The engine reads a year of two digits up to 68 as one from 2000 on.
        this_year = datetime.datetime.now(datetime.UTC).year
        day = ibis.ifelse(day.year() > this_year, day - ibis.interval(years=100), day)
    return day


def _plausible_births(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    """The dates of these times, null where nobody who is alive can have been born then.

    In Arrow, since the engine would parse the text of a date again for each mention of it.
    """
    this_year = datetime.datetime.now(datetime.UTC).year
    years = pc.year(moments)
    is_plausible = pc.and_(pc.greater_equal(years, this_year - _OLDEST_YEARS), pc.less_equal(years, this_year))
    days = pc.floor_temporal(moments, unit="day")
    return pc.if_else(is_plausible, days, pa.scalar(None, days.type)).cast(pa.date32())
