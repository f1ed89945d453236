"""The history store: what is known of past appointments, in the files of one folder.

It holds the columns that factors read and no others: no age, no ethnicity, no address. A folder is
written whole beside the old one and swapped in a single step, while a service may still read the old.

`CURRENT` names the folder in use and the digest of its `store.json`, which holds those of the other files.
All of them are checked once, when a process opens the store, before Arrow maps a file into memory.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.files.atomic_write import private_folder
from dnapredict.errors import StoreError
from dnapredict.features.booking_context import clinic_days_of, minute_counts
from dnapredict.features.history import REMEMBERED
from dnapredict.features.matrix import Past, counting, is_crowded
from dnapredict.features.rates import COUNTED, daily_counts, keys_of
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.appointment_file import write_appointments
from dnapredict.features.store.count_files import CUMULATIVE, SORTED_MINUTES, write_counts, write_minutes
from dnapredict.features.store.store_files import MEND, Contents, opened, write_manifest

_CURRENT: Final = "CURRENT"
# Two lines: folder and digest. Before digests were kept it was one line that did not end.
_NAMED: Final = re.compile(r"(history-\w+)\n([0-9a-f]{64})\n", re.ASCII)
_NAMED_BEFORE: Final = re.compile(r"history-\w+", re.ASCII)
_DRAFT: Final = "draft-"
_DRAFT_SECONDS: Final = 86_400
# What a row of a question to the store is, where it is not the kind of a key of the daily counts.
_PATIENT: Final = -1
_OUTCOME: Final = -2
_CLINIC: Final = -3
_OF_CLINICS: Final = ("booked_day", "minute", "appointment_id")
_BATCH: Final = 100_000


@dataclass(frozen=True)
class HistoryStore:
    """One written history, read by as many as like to.

    Attributes
    ----------
    digest
        SHA-256 of `store.json`; "" for a store that was written before digests were kept.
    """

    folder: Path
    digest: str = ""

    @classmethod
    def current(cls, place: Path) -> "HistoryStore | None":
        """The history in use at `place`; None where none was ever written.

        Raises
        ------
        StoreError
            If there are histories and what says which of them is in use is missing or damaged.
        """
        try:
            text = (place / _CURRENT).read_bytes().decode("ascii")
        except FileNotFoundError:
            if any(place.glob("history-*")):
                raise StoreError(f"{place / _CURRENT}: is missing. {MEND}") from None
            return None
        except UnicodeDecodeError:
            text = ""
        except OSError as error:
            raise StoreError(f"{place}: the history store cannot be read ({type(error).__name__}).") from None
        return cls._named(text, place)

    @classmethod
    def _named(cls, text: str, place: Path) -> "HistoryStore":
        if found := _NAMED.fullmatch(text):
            return cls(place / found[1], found[2])
        if _NAMED_BEFORE.fullmatch(text):
            return cls(place / text)
        raise StoreError(f"{place / _CURRENT}: is damaged; it does not name a history. {MEND}")

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
            with _draft(place) as draft:
                _fill(draft, rows, clock, workspace)
                digest = write_manifest(draft, recording_delay_days=clock.recording_delay_days)
                store = cls(place / draft.name.replace(_DRAFT, "history-"), digest)
                draft.rename(store.folder)
            _replace_text(place / _CURRENT, f"{store.folder.name}\n{digest}\n")
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            raise StoreError(f"{place}: the history cannot be written ({type(error).__name__}).") from None
        _forget_older(place, store.folder)
        return store

    def verify(self) -> None:
        """Check every file against its digest; it is done once in a process, here or at the first question.

        Raises
        ------
        StoreError
            If a file is missing or is not as it was written.
        """
        _ = self._contents

    @property
    def _contents(self) -> Contents:
        held = self._held.get("contents")
        if held is None or not held.is_as_opened():
            held = self._held["contents"] = opened(self.folder, self.digest)
        return held

    @cached_property
    def _held(self) -> dict[str, Contents]:
        """Kept with the store, so that a newer history does not close one that is still asked."""
        return {}

    def past(self, points: ir.Table, *, clock: Clock, workspace: Engine) -> Past:
        """What may be known when `points` are scored: this history and what the points say themselves.

        An appointment that stands in both is taken from the points. Counts of the points' own
        outcomes are added where the history does not hold them yet; of a point whose patient is not
        known that cannot be told, and it is not counted. Nor are bookings, in the minutes of a clinic.
        """
        contents = self._contents
        contents.require_delay(clock.recording_delay_days)
        appointments, counts, minutes = contents.appointments, contents.counts, contents.minutes
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


def _fill(folder: Path, rows: ir.Table, clock: Clock, workspace: Workspace) -> None:
    connection = workspace.backend.con
    kept = connection.sql(
        f"SELECT {', '.join(REMEMBERED)} FROM {rows.get_name()} ORDER BY patient_id, starts_at, appointment_id"
    )
    write_appointments(kept.to_arrow_reader(_BATCH), folder)
    daily = counting(rows.schema(), clock).over(known=rows)
    write_counts(workspace.fetch(CUMULATIVE.format(daily=daily.sql)), folder)
    made = _booking(rows.schema()).over(known=rows)
    write_minutes(workspace.fetch(SORTED_MINUTES.format(made=made.sql)), folder)


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
    clinics = asked.select(*_OF_CLINICS, kind=ibis.literal(_CLINIC, "int32"), key=asked.clinic, day=asked.starts_day)
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


@contextlib.contextmanager
def _draft(place: Path) -> Iterator[Path]:
    """A folder for a history that is not whole yet; it goes if it is not renamed."""
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace_text(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _forget_older(place: Path, current: Path) -> None:
    """Keep the history before this one, which a service may still be reading, and remove the rest.

    Also what is left of a writing that was killed, once it is a day old.
    """
    others = [folder for folder in place.glob("history-*") if folder != current]
    others.sort(key=_modified, reverse=True)
    left = [draft for draft in place.glob(f"{_DRAFT}*") if time.time() - _modified(draft) > _DRAFT_SECONDS]
    for folder in [*others[1:], *left]:
        shutil.rmtree(folder, ignore_errors=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process removed it
        return 0.0
