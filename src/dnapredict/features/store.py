"""The history store: what is known of past appointments, in the files of one folder.

It holds the columns that factors read and no others: no age, no ethnicity, no address. A folder is
written whole beside the old one and swapped in a single step, while a service may still read the old.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.engines import Engine
from dnapredict.data.plan import compiled, placeholder
from dnapredict.data.workspace import Workspace
from dnapredict.errors import StoreError
from dnapredict.features.build import Past, counting, is_crowded
from dnapredict.features.clinic_bookings import clinic_days_of, minute_counts
from dnapredict.features.clock import Clock
from dnapredict.features.history import REMEMBERED
from dnapredict.features.kept.appointments import KeptAppointments, write_appointments
from dnapredict.features.kept.counts import CUMULATIVE, KeptCounts, write_counts
from dnapredict.features.kept.minutes import SORTED_MINUTES, KeptMinutes, write_minutes
from dnapredict.features.rates import COUNTED, daily_counts, keys_of
from dnapredict.whole_files import private_folder

__all__ = ["HistoryStore"]

_CURRENT: Final = "CURRENT"
# Counted up when the files change their form: a store of another form is refused and written anew.
_FORM: Final = 3
_ABOUT: Final = "store.json"
# What a row of a question to the store is, where it is not the kind of a key of the daily counts.
_PATIENT: Final = -1
_OUTCOME: Final = -2
_CLINIC: Final = -3
_OF_CLINICS: Final = ("booked_day", "minute", "appointment_id")
_BATCH: Final = 100_000


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
            private_folder(place)
            store = cls(Path(tempfile.mkdtemp(prefix="history-", dir=place)))
            try:
                store._fill(rows, clock, workspace)
                _replace_text(place / _CURRENT, store.folder.name)
            except BaseException:  # also Ctrl-C: half a history is no use to anybody
                shutil.rmtree(store.folder, ignore_errors=True)
                raise
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            raise StoreError(f"{place}: the history cannot be written ({type(error).__name__}).") from None
        _forget_older(place, store.folder)
        return store

    def past(self, points: ir.Table, *, clock: Clock, workspace: Engine) -> Past:
        """What may be known when `points` are scored: this history and what the points say themselves.

        An appointment that stands in both is taken from the points. Counts of the points' own
        outcomes are added where the history does not hold them yet; of a point whose patient is not
        known that cannot be told, and it is not counted. Nor are bookings, in the minutes of a clinic.
        """
        self._require_form(clock)
        appointments, counts, minutes = _opened(self.folder)
        asked = workspace.fetch(_asking(points.schema(), clock).over(points=points))
        told = asked["kind"].to_numpy()
        stored = workspace.keep(appointments.read(asked.filter(told == _PATIENT)["key"].to_pylist()))
        daily = counts.asked(asked.filter(told >= 0))
        if (told == _OUTCOME).any():
            fresh = _freshly_counted(points.schema(), stored.schema(), clock)
            added = workspace.fetch(fresh.over(points=points, stored=stored))
            daily = pa.concat_tables([daily, added.cast(daily.schema)])
        held = workspace.fetch(_holding(points.schema(), stored.schema()).over(points=points, stored=stored))
        own = _minutes_of(asked.filter(told == _CLINIC), held)
        made = minutes.asked(own)
        made = pa.concat_tables([made, own.cast(made.schema)])
        recalled = _recalling(points.schema(), stored.schema()).over(points=points, stored=stored)
        known = workspace.compute(recalled)
        crowded = is_crowded(known, clock=clock, workspace=workspace)
        return Past(known, workspace.keep(daily), workspace.keep(made), crowded)

    def _fill(self, rows: ir.Table, clock: Clock, workspace: Workspace) -> None:
        connection = workspace.backend.con
        kept = connection.sql(
            f"SELECT {', '.join(REMEMBERED)} FROM {rows.get_name()} "
            "ORDER BY patient_id, starts_at, appointment_id"
        )
        write_appointments(kept.to_arrow_reader(_BATCH), self.folder)
        daily = counting(rows.schema(), clock).over(known=rows)
        write_counts(workspace.fetch(CUMULATIVE.format(daily=daily.sql)), self.folder)
        made = _booking(rows.schema()).over(known=rows)
        write_minutes(workspace.fetch(SORTED_MINUTES.format(made=made.sql)), self.folder)
        written = {"form": _FORM, "recording_delay_days": clock.recording_delay_days}
        (self.folder / _ABOUT).write_text(json.dumps(written), encoding="utf-8")

    def _require_form(self, clock: Clock) -> None:
        try:
            written = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise StoreError(
                f"{self.folder}: the history is damaged. Run 'dnapredict refresh EXTRACT'."
            ) from None
        if written.get("form") != _FORM:
            raise StoreError(
                f"{self.folder}: the history was written by another version of dnapredict. "
                "Run 'dnapredict refresh EXTRACT'."
            )
        if written.get("recording_delay_days") != clock.recording_delay_days:
            raise StoreError(
                f"{self.folder}: the history was written for another recording delay than the model's "
                f"({clock.recording_delay_days} days). Run 'dnapredict refresh EXTRACT'."
            )


@lru_cache(maxsize=2)
def _opened(folder: Path) -> tuple[KeptAppointments, KeptCounts, KeptMinutes]:
    try:
        return KeptAppointments.open(folder), KeptCounts.open(folder), KeptMinutes.open(folder)
    except (OSError, pa.ArrowException, KeyError):
        raise StoreError(f"{folder}: the history is damaged. Run 'dnapredict refresh EXTRACT'.") from None


@compiled
def _holding(points_schema: ibis.Schema, stored_schema: ibis.Schema) -> ir.Table:
    """The appointments that stand in both."""
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    return stored.semi_join(points, "appointment_id").select("appointment_id")


@compiled
def _recalling(points_schema: ibis.Schema, stored_schema: ibis.Schema) -> ir.Table:
    """The points, and the stored appointments that are not among them. A stranger whose hash is that of
    a point's patient does no harm: history runs within a patient.
    """
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    others = stored.anti_join(points, "appointment_id")
    mine = points.select(**{name: points[name].cast(stored[name].type()) for name in stored.columns})
    return mine.union(others)


@compiled
def _asking(points_schema: ibis.Schema, clock: Clock) -> ir.Table:
    """All that a store is asked: keys and days, each patient, and a row if there are outcomes to add."""
    points = placeholder("points", points_schema)
    keys = keys_of(points, clock=clock)
    asked = clinic_days_of(points)
    clinics = asked.select(
        *_OF_CLINICS, kind=ibis.literal(_CLINIC, "int32"), key=asked.clinic, day=asked.starts_day
    )
    nothing = {name: ibis.null(clinics[name].type()) for name in ("day", *_OF_CLINICS)}
    patients = points.filter(points.patient_id.notnull()).select(
        kind=ibis.literal(_PATIENT, "int32"), key=points.patient_id, **nothing
    )
    told = points.filter(points.outcome_code.isin(list(COUNTED)), points.patient_id.notnull())
    outcomes = told.select(kind=ibis.literal(_OUTCOME, "int32"), key=ibis.literal(""), **nothing).limit(1)
    counts = keys.select(key=keys.key, **(nothing | {"kind": keys.kind.cast("int32"), "day": keys.day}))
    in_order = ("kind", "key", "day", *_OF_CLINICS)
    return ibis.union(*(part.select(in_order) for part in (counts, patients.distinct(), outcomes, clinics)))


def _minutes_of(clinics: pa.Table, held: pa.Table) -> pa.Table:
    """The minutes of the points' bookings, counting those that are not `held` by the store."""
    own = clinics["appointment_id"]
    fresh = pc.and_(pc.is_valid(own), pc.invert(pc.is_in(own, value_set=held["appointment_id"])))
    parts = (
        pa.table(
            {
                "kind": pa.array(np.full(clinics.num_rows, kind, np.int32)),
                "clinic": clinics["key"],
                "day": clinics[day],
                "minute": clinics["minute"],
                "n": fresh.cast(pa.int32()),
            }
        )
        for kind, day in enumerate(("day", "booked_day"))
    )
    return pa.concat_tables(parts)


@compiled
def _freshly_counted(points_schema: ibis.Schema, stored_schema: ibis.Schema, clock: Clock) -> ir.Table:
    """Counts of the points with an outcome that the stored history does not hold yet."""
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    counted = stored.filter(stored.outcome_code.isin(list(COUNTED)))
    told = points.filter(points.outcome_code.isin(list(COUNTED)), points.patient_id.notnull())
    return daily_counts(told.anti_join(counted, "appointment_id"), clock=clock)


@compiled
def _booking(schema: ibis.Schema) -> ir.Table:
    return minute_counts(placeholder("known", schema))


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
