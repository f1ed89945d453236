"""The history store: what is known of past appointments, in the files of one folder.

It holds only the columns that factors read: no age, no ethnicity, no address. A new history is written to a new
folder and then becomes the current one in a single step, while a service may still read the previous folder.

`CURRENT` names the folder in use and the digest of its `store.json`, which holds those of the other files.
All of them are checked once, when a process opens the store, before Arrow maps a file into memory.
"""

import contextlib
import datetime
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AwareDatetime

from dnapredict.data.engine import running_step
from dnapredict.data.engine.duckdb_engine import Workspace, compiled, engine_function, placeholder
from dnapredict.data.engine.prepared_queries import Engine
from dnapredict.data.files.atomic_write import create_folder, private_folder, write_private
from dnapredict.data.files.drafts import is_abandoned, remove_abandoned_drafts
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.data.files.newest_marks import NewestMark, NewestState
from dnapredict.errors import StoreError
from dnapredict.features.booking_context import clinic_days_of, minute_counts
from dnapredict.features.history import REMEMBERED
from dnapredict.features.matrix import Past, counting, is_crowded
from dnapredict.features.rates import COUNTED, daily_counts, keys_of
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.mapped_files import (
    CUMULATIVE,
    SORTED_BOOKINGS,
    SORTED_MINUTES,
    write_appointments,
    write_bookings,
    write_counts,
    write_minutes,
)
from dnapredict.features.store.merging import (
    Additions,
    additions,
    merged_appointments,
    merged_counts,
    merged_minutes,
)
from dnapredict.features.store.store_files import MEND, Contents, opened, write_manifest

CURRENT: Final = "CURRENT"
"""The file of a history's root that names the one in use."""
_LOCK: Final = "CURRENT.lock"
_SECONDS_TO_WAIT: Final = 30.0
# Two lines: folder and digest. Before digests were kept it was one line that did not end.
_NAMED: Final = re.compile(r"(history-\w+)\n([0-9a-f]{64})\n", re.ASCII)
_NAMED_BEFORE: Final = re.compile(r"history-\w+", re.ASCII)
# Names of histories, whose drafts are removed; and of unfinished folders of earlier releases.
_HISTORIES: Final = re.compile(r"history-\w+", re.ASCII)
_DRAFTS: Final = (".history-*", "draft-*")
REFRESHED: Final = "history.json"
"""The file of a home that says when its history was last replaced, as `refreshed_at`."""
# A history that is just being put in place is not in use yet.
_SECONDS_TO_BE_NAMED: Final = 3_600
# Kinds of look-up keys in addition to those of the daily counts (`rates.KINDS`), which are numbered from 0.
_PATIENT: Final = -1
_OUTCOME: Final = -2
_CLINIC: Final = -3
_OF_CLINICS: Final = ("booked_day", "minute", "appointment_id", "booking", "has_patient")
# The hash of `mapped_files.SORTED_BOOKINGS`.
_booking: Final = engine_function("md5_number_lower", (dt.string,), dt.uint64)
_BATCH: Final = 100_000


@dataclass(frozen=True)
class CountedRows:
    """Past appointments and the counts of all of them, as tables of a workspace.

    Attributes
    ----------
    appointments
        The columns `features.history.REMEMBERED`, each appointment once.
    daily
        `features.rates.daily_counts`.
    made
        `features.booking_context.minute_counts`, which may be added up by minute.
    """

    appointments: ir.Table
    daily: ir.Table
    made: ir.Table


@dataclass(frozen=True)
class HistoryStore:
    """One written history, which any number of processes may read.

    Attributes
    ----------
    digest
        SHA-256 of `store.json`; "" for a store that was written before digests were kept.
    """

    folder: Path
    digest: str = ""

    @classmethod
    def current(cls, root: Path) -> "HistoryStore | None":
        """The history in use at `root`; None where none was ever written.

        Raises
        ------
        StoreError
            If there are histories, and the file that names the current one is missing or damaged.
        """
        try:
            text = (root / CURRENT).read_bytes().decode("ascii")
        except FileNotFoundError:
            if any(root.glob("history-*")):
                raise StoreError(f"{root / CURRENT}: is missing. {MEND}") from None
            return None
        except UnicodeDecodeError:
            text = ""
        except OSError as error:
            raise StoreError(f"{root}: the history store cannot be read ({type(error).__name__}).") from None
        return cls._named(text, root)

    @classmethod
    def _named(cls, text: str, root: Path) -> "HistoryStore":
        if found := _NAMED.fullmatch(text):
            return cls(root / found[1], found[2])
        if _NAMED_BEFORE.fullmatch(text):
            return cls(root / text)
        raise StoreError(f"{root / CURRENT}: is damaged; it does not name a history. {MEND}")

    @classmethod
    def write(
        cls, rows: ir.Table, root: Path, *, clock: Clock, workspace: Workspace, mark: NewestMark | None = None
    ) -> "HistoryStore":
        """Write contract rows as the history at `root` and make it the current one.

        `mark` is that of the history of a home, which then names this one as the newest.

        Raises
        ------
        StoreError
            If the root cannot be written to; the history in use stays.
        """
        return cls._written(root, clock, partial(_fill, rows=rows, clock=clock, workspace=workspace), mark)

    @classmethod
    def write_counted(
        cls, counted: "CountedRows", root: Path, *, clock: Clock, workspace: Workspace, mark: NewestMark | None = None
    ) -> "HistoryStore":
        """Write what another engine has counted as the history at `root`, as `write` does.

        Raises
        ------
        StoreError
            As `write`.
        """
        names = (counted.appointments, counted.daily, counted.made)
        appointments, daily, made = (f"FROM {table.get_name()}" for table in names)
        fill = partial(_write_files, workspace=workspace, appointments=appointments, daily=daily, made=made)
        return cls._written(root, clock, fill, mark)

    def append(
        self,
        rows: ir.Table,
        root: Path,
        *,
        clock: Clock,
        workspace: Workspace,
        source: str,
        mark: NewestMark | None = None,
    ) -> tuple["HistoryStore", Additions]:
        """Write this history and the contract rows of the extract `source` as the history at `root`.

        The new store equals one of both extracts together, file by file, where every row of this history was
        written for the same `clock`. See `features.store.merging` for appointments that are in both.

        Raises
        ------
        DataError
            If an appointment of this history has changed otherwise than by its first outcome.
        StoreError
            If this history is damaged or was written for another clock, or the root cannot be written to.
        """
        contents = self._contents
        contents.require_clock(clock)
        contents.require_bookings()
        added = additions(rows, contents, workspace, source=source)
        fill = partial(_fill_merged, added=added, store=contents, clock=clock, workspace=workspace)
        return self._written(root, clock, fill, mark), added

    @classmethod
    def _written(
        cls, root: Path, clock: Clock, fill: Callable[[Path], None], mark: NewestMark | None
    ) -> "HistoryStore":
        """A history whose files `fill` writes, made the current one at `root` in a single step."""
        try:
            private_folder(root)
            remove_abandoned_drafts(root, of=_HISTORIES)  # each has another name
            folder = root / f"history-{secrets.token_hex(8)}"
            running_step.begin("Writing the history")
            with create_folder(folder) as draft:
                fill(draft)
                digest = write_manifest(draft, clock=clock)
            _replace_current(root, folder, digest, mark)
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            raise StoreError(f"{root}: the history cannot be written ({type(error).__name__}).") from None
        _remove_older(root, folder)
        return cls(folder, digest)

    def verify(self) -> None:
        """Check every file against its digest; it is done once in a process, here or at the first look-up.

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
        """Kept with the store, so that a newer history does not close one that is still read."""
        return {}

    def past(self, points: ir.Table, *, clock: Clock, workspace: Engine) -> Past:
        """What may be known when `points` are scored: this history and the points themselves.

        An appointment that is in both is taken from the points. The outcome of a point is added to the daily
        counts unless the history holds it already, or the patient of the point is not known.
        """
        contents = self._contents
        contents.require_delay(clock.recording_delay_days)
        appointments, counts, minutes = contents.appointments, contents.counts, contents.minutes
        keys = workspace.fetch(_lookup_keys(points.schema(), clock).bind(points=points))
        kinds = keys["kind"].to_numpy()
        stored = workspace.keep(appointments.read(keys.filter(kinds == _PATIENT)["key"].to_pylist()))
        daily = counts.before(keys.filter(kinds >= 0))
        if (kinds == _OUTCOME).any():
            fresh = _new_counts(points.schema(), stored.schema(), clock)
            added = workspace.fetch(fresh.bind(points=points, stored=stored))
            daily = pa.concat_tables([daily, added.cast(daily.schema)])
        clinics = keys.filter(kinds == _CLINIC)
        if contents.bookings is None:
            held = workspace.fetch(_in_both(points.schema(), stored.schema()).bind(points=points, stored=stored))
            is_new = pc.and_(
                clinics["has_patient"], pc.invert(pc.is_in(clinics["appointment_id"], held["appointment_id"]))
            )
        else:
            is_new = pa.chunked_array([~contents.bookings.holds(clinics["booking"])])
        own = _minutes_of(clinics, is_new)
        made = minutes.of_clinic_days(own)
        made = pa.concat_tables([made, own.cast(made.schema)])
        known = workspace.compute(_known_rows(points.schema(), stored.schema()).bind(points=points, stored=stored))
        crowded = is_crowded(known, clock=clock, workspace=workspace)
        return Past(
            known,
            workspace.keep(daily),
            workspace.keep(made),
            crowded=crowded,
            with_unidentified=contents.bookings is not None,
        )


def _fill(folder: Path, *, rows: ir.Table, clock: Clock, workspace: Workspace) -> None:
    daily, made = _counts_of(rows, rows, clock)
    appointments = f"SELECT {', '.join(REMEMBERED)} FROM {rows.get_name()}"
    _write_files(folder, workspace, appointments=appointments, daily=daily, made=made)


def _fill_merged(folder: Path, *, added: Additions, store: Contents, clock: Clock, workspace: Workspace) -> None:
    daily, made = _counts_of(added.rows, added.bookings, clock)
    _write_files(
        folder,
        workspace,
        appointments=merged_appointments(added.rows, store, workspace),
        daily=merged_counts(daily, store, workspace),
        made=merged_minutes(made, store, workspace),
    )


def _counts_of(rows: ir.Table, bookings: ir.Table, clock: Clock) -> tuple[str, str]:
    """Queries of the outcomes by day of `rows` and of the bookings by minute of `bookings`."""
    daily = counting(rows.schema(), clock).bind(known=rows)
    return daily.sql, _minutes(bookings.schema()).bind(known=bookings).sql


def _write_files(folder: Path, workspace: Workspace, *, appointments: str, daily: str, made: str) -> None:
    in_order = workspace.backend.con.sql(f"FROM ({appointments}) ORDER BY patient_id, starts_at, appointment_id")
    write_appointments(in_order.to_arrow_reader(_BATCH), folder)
    write_counts(workspace.fetch(CUMULATIVE.format(daily=daily)), folder)
    write_minutes(workspace.fetch(SORTED_MINUTES.format(made=made)), folder)
    write_bookings(workspace.fetch(SORTED_BOOKINGS.format(appointments=appointments)), folder)


@compiled
def _in_both(points_schema: ibis.Schema, stored_schema: ibis.Schema) -> ir.Table:
    """Appointments that are both points and stored."""
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    return stored.semi_join(points, "appointment_id").select("appointment_id")


@compiled
def _known_rows(points_schema: ibis.Schema, stored_schema: ibis.Schema) -> ir.Table:
    """The points, and the stored appointments that are not among them.

    Rows of another patient with the same hash change nothing, since history is computed for each patient.
    """
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    others = stored.anti_join(points, "appointment_id")
    own = points.select(**{name: points[name].cast(stored[name].type()) for name in stored.columns})
    return own.union(others)


@compiled
def _lookup_keys(points_schema: ibis.Schema, clock: Clock) -> ir.Table:
    """Look-up keys of `points` in one table: of daily counts, patients and clinics, and a row if there are outcomes."""
    points = placeholder("points", points_schema)
    keys = keys_of(points, clock=clock)
    booked = clinic_days_of(points)
    booked = booked.mutate(booking=_booking(booked.appointment_id))
    clinics = booked.select(*_OF_CLINICS, kind=ibis.literal(_CLINIC, "int32"), key=booked.clinic, day=booked.starts_day)
    nothing = {name: ibis.null(clinics[name].type()) for name in ("day", *_OF_CLINICS)}
    patients = points.filter(points.patient_id.notnull()).select(
        kind=ibis.literal(_PATIENT, "int32"), key=points.patient_id, **nothing
    )
    counted = points.filter(points.outcome_code.isin(list(COUNTED)), points.patient_id.notnull())
    outcomes = counted.select(kind=ibis.literal(_OUTCOME, "int32"), key=ibis.literal(""), **nothing).limit(1)
    counts = keys.select(key=keys.key, **(nothing | {"kind": keys.kind.cast("int32"), "day": keys.day}))
    in_order = ("kind", "key", "day", *_OF_CLINICS)
    return ibis.union(*(part.select(in_order) for part in (counts, patients.distinct(), outcomes, clinics)))


def _minutes_of(clinics: pa.Table, is_new: pa.ChunkedArray) -> pa.Table:
    """The minutes of the points' bookings, of which those that the store does not hold are counted."""
    parts = (
        pa.table(
            {
                "kind": pa.array(np.full(clinics.num_rows, kind, np.int32)),
                "clinic": clinics["key"],
                "day": clinics[day],
                "minute": clinics["minute"],
                "n": is_new.cast(pa.int32()),
            }
        )
        for kind, day in enumerate(("day", "booked_day"))
    )
    return pa.concat_tables(parts)


@compiled
def _new_counts(points_schema: ibis.Schema, stored_schema: ibis.Schema, clock: Clock) -> ir.Table:
    """Counts of the points with an outcome that the stored history does not hold yet."""
    points, stored = placeholder("points", points_schema), placeholder("stored", stored_schema)
    counted = stored.filter(stored.outcome_code.isin(list(COUNTED)))
    with_outcome = points.filter(points.outcome_code.isin(list(COUNTED)), points.patient_id.notnull())
    return daily_counts(with_outcome.anti_join(counted, "appointment_id"), clock=clock)


@compiled
def _minutes(schema: ibis.Schema) -> ir.Table:
    return minute_counts(placeholder("known", schema))


def _replace_current(root: Path, folder: Path, digest: str, mark: NewestMark | None) -> None:
    """Name a history as the one in use; the mark accepts the one before as well until that is done."""
    text, newest = f"{folder.name}\n{digest}\n", NewestState(number=1, seal=digest)
    if mark is None:
        write_private(root / CURRENT, text)
        return
    # Of two processes at once the second one's mark must not be followed by the first one's.
    with locked(root / _LOCK, busy_message=f"{root}: another process replaces the history.", seconds=_SECONDS_TO_WAIT):
        mark.announce(newest.model_copy(update={"before": _digest_in_use(root)}))
        write_private(root / CURRENT, text)
        mark.note(newest)


def _digest_in_use(root: Path) -> str:
    with contextlib.suppress(StoreError):  # a damaged file is about to be replaced
        if (store := HistoryStore.current(root)) is not None:
            return store.digest
    return ""


def _remove_older(root: Path, current: Path) -> None:
    """Keep the history before this one, which a service may still be reading, and remove the rest.

    Also what is left of a writing that was killed, once it is an hour old.
    """
    others = [folder for folder in root.glob("history-*") if folder != current]
    others.sort(key=_modified, reverse=True)
    drafts = (draft for pattern in _DRAFTS for draft in root.glob(pattern))
    left = [draft for draft in drafts if is_abandoned(_newest(draft))]
    for folder in [*others[1:], *left]:
        shutil.rmtree(folder, ignore_errors=True)


def remove_superseded(home: Path, root: Path, *, before: datetime.datetime) -> int:
    """Remove the histories at `root` that another one replaced before that moment; return their number.

    The home says when; one that does not, of an earlier release, keeps them until the next `refresh`.

    Raises
    ------
    StoreError
        If it cannot be read which history is in use.
    """
    record = last_refresh(home)
    current = HistoryStore.current(root)
    if record is None or current is None or record.refreshed_at >= before:
        return 0
    old = [folder for folder in root.glob("history-*") if folder != current.folder]
    old = [folder for folder in old if time.time() - _modified(folder) > _SECONDS_TO_BE_NAMED]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


class LastRefresh(StoredRecord):
    """When the history of a home was last replaced."""

    refreshed_at: AwareDatetime


def last_refresh(home: Path) -> LastRefresh | None:
    """The record of the last refresh; None where the home never had one.

    Raises
    ------
    StoreError
        If the record is damaged.
    """
    return read_record(home / REFRESHED, LastRefresh, advice="Run 'dnapredict refresh EXTRACT' to write it again.")


def _newest(folder: Path) -> float:
    """When something in a folder was last written to: a long writing still fills its own."""
    return max(map(_modified, (folder, *folder.rglob("*"))))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process removed it
        return 0.0
