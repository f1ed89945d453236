"""Move a synthetic extract by whole weeks, so that its list of the coming week starts next Monday.

Whole weeks keep the weekdays of clinics. Bank holidays of the simulated year move too; a list leaves out appointments
that would be on a real bank holiday.
"""

import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnapredict.data.files.atomic_write import SHARED_FILE, write_atomically

_DAYS_A_WEEK: Final = 7
AS_OF_KEY: Final = b"dnapredict.as_of"
"""The key of the metadata of a synthetic file for the local time at which the extract was drawn."""


def next_monday(today: datetime.date) -> datetime.date:
    """The Monday of the week after that of `today`.

    >>> next_monday(datetime.date(2026, 11, 29)), next_monday(datetime.date(2026, 11, 30))
    (datetime.date(2026, 11, 30), datetime.date(2026, 12, 7))
    """
    return today + datetime.timedelta(days=_DAYS_A_WEEK - today.weekday())


def move_extract(extract: Path, *, monday: datetime.date) -> None:
    """Rewrite the synthetic `extract` so that the first week of its appointments to come begins on `monday`.

    Raises
    ------
    ValueError
        If `monday` is another day of the week.
    StoreError
        If the file cannot be written.
    """
    table = pq.read_table(extract)
    notes = dict(table.schema.metadata or {})
    drawn = datetime.datetime.fromisoformat(notes[AS_OF_KEY].decode())
    # The first whole week ahead: an extract is drawn on the Monday before.
    days = (monday - drawn.date()).days - _DAYS_A_WEEK
    if days % _DAYS_A_WEEK:
        raise ValueError(f"{monday} is no Monday.")
    by = pa.scalar(datetime.timedelta(days=days), pa.duration("us"))
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field, pc.add(table[field.name], by))
    notes[AS_OF_KEY] = (drawn + datetime.timedelta(days=days)).isoformat().encode()
    with write_atomically(extract, mode=SHARED_FILE) as draft:
        pq.write_table(table.replace_schema_metadata(notes), draft)


def week_to_come(extract: Path, *, monday: datetime.date) -> pa.Table:
    """The appointments of the week that begins on `monday`, without those on a bank holiday of England."""
    return open_clinics(pq.read_table(extract), monday=monday)


def open_clinics(table: pa.Table, *, monday: datetime.date) -> pa.Table:
    """The rows of `table` in the week that begins on `monday`, without those on a bank holiday of England."""
    import holidays  # half a second to load

    days = [monday + datetime.timedelta(days=day) for day in range(_DAYS_A_WEEK)]
    closed = holidays.country_holidays("GB", subdiv="ENG", years={day.year for day in days})
    day_of = table["starts_at"].cast(pa.date32())
    return table.filter(pc.is_in(day_of, pa.array([day for day in days if day not in closed], pa.date32())))
