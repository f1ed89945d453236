"""What an extract adds to a history store, so that the result equals a store of both extracts together.

An appointment that the store lacks is added. One that it holds is skipped where nothing has changed, and replaces
the stored one where an outcome has come in. Any other change is refused: the counts of clinics and
areas that the stored appointment is part of cannot be taken back, since the store keeps no area of an appointment.
"""

from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.errors import DataError
from dnapredict.features.history import REMEMBERED
from dnapredict.features.rates import COUNTED, count_of
from dnapredict.features.store.store_files import Contents

_OUTCOME: Final = ("outcome_code", "recorded_at")
_BOOKING: Final = tuple(name for name in REMEMBERED if name not in ("appointment_id", *_OUTCOME))
_COUNTED: Final = ", ".join(f"'{code}'" for code in COUNTED)


@dataclass(frozen=True)
class Additions:
    """Rows that are new to a store.

    Attributes
    ----------
    rows
        Contract rows of appointments that are added, or whose outcome has come in.
    bookings
        Those of them that are added.
    added, updated, unchanged
        How many rows are added, bring an outcome, or have not changed.
    """

    rows: ir.Table
    bookings: ir.Table
    added: int
    updated: int
    unchanged: int

    def __str__(self) -> str:
        return (
            f"{self.added:,} appointments were added to the history, {self.updated:,} were given an outcome, and "
            f"{self.unchanged:,} were in it already."
        )


def additions(rows: ir.Table, store: Contents, workspace: Workspace, *, source: str) -> Additions:
    """What the contract rows of the extract `source` add to `store`.

    Raises
    ------
    DataError
        If an appointment of the store has changed otherwise than by its first outcome.
    """
    stored = workspace.refer(pa.Table.from_batches(store.appointments.batches, store.appointments.schema))
    compared = workspace.compute(f"""
        SELECT new.*, old.appointment_id IS NULL AS is_new, {_same(REMEMBERED)} AS is_same,
               {_same(_BOOKING)} AND coalesce(old.outcome_code NOT IN ({_COUNTED}), true) AS brings_outcome
        FROM {rows.get_name()} AS new LEFT JOIN {stored.get_name()} AS old USING (appointment_id)
    """).get_name()
    counts = workspace.fetch(f"""
        SELECT count(*) FILTER (is_new) AS added,
               count(*) FILTER (NOT is_new AND NOT is_same AND brings_outcome) AS updated,
               count(*) FILTER (NOT is_new AND is_same) AS unchanged,
               count(*) FILTER (NOT is_new AND NOT is_same AND NOT brings_outcome) AS changed
        FROM {compared}
    """).to_pylist()[0]
    if changed := counts.pop("changed"):
        raise DataError(
            f"{source}: {changed:,} appointments are in the history with other values, and only a first outcome can "
            "be added to those. Run 'dnapredict refresh' with the whole extract, without --append."
        )
    flags = "EXCLUDE (is_new, is_same, brings_outcome)"
    fresh = workspace.compute(f"SELECT * {flags} FROM {compared} WHERE is_new OR NOT is_same")
    bookings = workspace.compute(f"SELECT * {flags} FROM {compared} WHERE is_new")
    return Additions(fresh, bookings, **counts)


def _same(names: tuple[str, ...]) -> str:
    return " AND ".join(f"new.{name} IS NOT DISTINCT FROM old.{name}" for name in names)


def merged_appointments(rows: ir.Table, store: Contents, workspace: Workspace) -> str:
    """Query of the rows and of the stored appointments that are not among them."""
    stored = workspace.refer(pa.Table.from_batches(store.appointments.batches, store.appointments.schema)).get_name()
    return f"""
        SELECT {", ".join(REMEMBERED)} FROM {rows.get_name()} UNION ALL
        SELECT {", ".join(REMEMBERED)} FROM {stored} ANTI JOIN {rows.get_name()} USING (appointment_id)
    """


def merged_counts(daily: str, store: Contents, workspace: Workspace) -> str:
    """Query of the daily counts of the query `daily` and of the store, which keeps cumulative counts."""
    stored = workspace.refer(pa.Table.from_batches([store.counts.rows])).get_name()
    counts = [count_of(code) for code in COUNTED]
    by_day = ", ".join(f'"{name}" - lag("{name}", 1, 0) OVER of_key AS "{name}"' for name in counts)
    columns = ", ".join(["kind", "key", "day", *(f'"{name}"' for name in counts)])
    return f"""
        SELECT {columns} FROM ({daily}) UNION ALL
        SELECT kind, key, day, {by_day} FROM {stored} WINDOW of_key AS (PARTITION BY kind, key ORDER BY day)
    """


def merged_minutes(made: str, store: Contents, workspace: Workspace) -> str:
    """Query of the bookings by minute of the query `made` and of the store."""
    stored = workspace.refer(store.minutes.rows).get_name()
    return f"SELECT kind, clinic, day, minute, n FROM ({made}) UNION ALL FROM {stored}"
