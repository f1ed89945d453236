"""The history store: what is known of past appointments, in two Parquet files of one folder.

`appointments.parquet` holds contract rows sorted by patient, so that a request reads a few row
groups; `daily.parquet` holds the daily counts, sorted by key. A folder is written whole beside the
old one and swapped in a single step, while a service may still read the old.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import ibis
import ibis.expr.types as ir

from dnapredict.config.training import ATTENDANCE_CODES
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.plan import compiled, placeholder
from dnapredict.data.workspace import Workspace
from dnapredict.errors import StoreError
from dnapredict.features.build import Past, counting
from dnapredict.features.clock import Clock

__all__ = ["HistoryStore"]

_CURRENT: Final = "CURRENT"
_APPOINTMENTS: Final = "appointments.parquet"
_DAILY: Final = "daily.parquet"
_ROW_GROUP: Final = 10_000


@dataclass(frozen=True)
class HistoryStore:
    """One written history, read by as many as like to."""

    folder: Path

    @classmethod
    def current(cls, place: Path) -> "HistoryStore | None":
        """The history in use at `place`; None where none was ever written."""
        try:
            name = (place / _CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{place}: the history store cannot be read ({type(error).__name__}).") from None
        return cls(place / name)

    @classmethod
    def write(cls, rows: ir.Table, place: Path, *, clock: Clock, workspace: Workspace) -> "HistoryStore":
        """Write contract rows as the history at `place` and make it the current one.

        Raises
        ------
        StoreError
            If the place cannot be written to; the history in use stays.
        """
        try:
            place.mkdir(parents=True, exist_ok=True)
            store = cls(Path(tempfile.mkdtemp(prefix="history-", dir=place)))
            store._fill(rows, clock, workspace)
            _replace_text(place / _CURRENT, store.folder.name)
        except (OSError, duckdb.Error) as error:
            raise StoreError(f"{place}: the history cannot be written ({type(error).__name__}).") from None
        _forget_older(place, store.folder)
        return store

    def past(self, points: ir.Table, *, clock: Clock, workspace: Workspace) -> Past:
        """What may be known when `points` are scored: this history and what the points say themselves.

        An appointment that stands in both is taken from the points. Counts of the points' own
        outcomes are added where the history does not hold them yet.
        """
        self._require_delay(clock)
        stored = workspace.view(f"SELECT * FROM read_parquet({_sql(self.folder / _APPOINTMENTS)})")
        daily = workspace.view(f"SELECT * FROM read_parquet({_sql(self.folder / _DAILY)})")
        recalling = _recalling(points.schema(), stored.schema())
        rows = workspace.view(recalling.over(points=points, stored=stored))
        return Past(rows, _with_new_outcomes(daily, stored, points, clock=clock, workspace=workspace))

    def _fill(self, rows: ir.Table, clock: Clock, workspace: Workspace) -> None:
        kept = f"SELECT * EXCLUDE ({ROW_NUMBER}) FROM {rows.get_name()}"
        _copy(
            f"{kept} ORDER BY patient_id, starts_at, appointment_id", self.folder / _APPOINTMENTS, workspace
        )
        daily = counting(rows.schema(), clock).over(known=rows)
        _copy(f"FROM ({daily}) ORDER BY kind, key, day, outcome_code", self.folder / _DAILY, workspace)
        delay = {"recording_delay_days": clock.recording_delay_days}
        (self.folder / "store.json").write_text(json.dumps(delay), encoding="utf-8")

    def _require_delay(self, clock: Clock) -> None:
        try:
            written = json.loads((self.folder / "store.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise StoreError(
                f"{self.folder}: the history is damaged. Run 'dnapredict refresh EXTRACT'."
            ) from None
        if written.get("recording_delay_days") != clock.recording_delay_days:
            raise StoreError(
                f"{self.folder}: the history was written for another recording delay than the model's "
                f"({clock.recording_delay_days} days). Run 'dnapredict refresh EXTRACT'."
            )


def _with_new_outcomes(
    daily: ir.Table, stored: ir.Table, points: ir.Table, *, clock: Clock, workspace: Workspace
) -> ir.Table:
    fresh = workspace.view(_freshness(points.schema(), stored.schema()).over(points=points, stored=stored))
    if not workspace.fetch(f"SELECT count(*) AS n FROM {fresh.get_name()}")["n"][0].as_py():
        return daily
    added = counting(fresh.schema(), clock).over(known=fresh)
    return workspace.compute(f"SELECT * FROM {daily.get_name()} UNION ALL BY NAME ({added})")


@compiled
def _recalling(points_schema: ibis.Schema, stored_schema: ibis.Schema) -> ir.Table:
    """The points, and the stored appointments of their patients that are not among them."""
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    patients = points.select("patient_id").distinct()
    others = stored.semi_join(patients, "patient_id").anti_join(points, "appointment_id")
    return points.select(others.columns).union(others)


@compiled
def _freshness(points_schema: ibis.Schema, stored_schema: ibis.Schema) -> ir.Table:
    """The points with an outcome of attendance that the stored history does not hold yet."""
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    counted = stored.filter(stored.outcome_code.isin(ATTENDANCE_CODES))
    return points.filter(points.outcome_code.isin(ATTENDANCE_CODES)).anti_join(counted, "appointment_id")


def _copy(sql: str, path: Path, workspace: Workspace) -> None:
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}"
    workspace.backend.con.execute(f"COPY ({sql}) TO {_sql(path)} ({options})")


def _sql(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _replace_text(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def _forget_older(place: Path, current: Path) -> None:
    """Keep the history before this one, which a service may still be reading, and remove the rest."""
    others = [folder for folder in place.glob("history-*") if folder != current]
    others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in others[1:]:
        shutil.rmtree(folder, ignore_errors=True)
