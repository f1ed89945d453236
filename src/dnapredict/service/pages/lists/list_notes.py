"""Notes about a list: appointments that are over or too near, and changes since the previous export."""

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.call_outcomes import WORDS
from dnapredict.service.pages.rendering import local_day, moment_words
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.plan.working_days import call_by_day

LatestActions = Callable[[Iterable[str]], Mapping[str, RecordedAction]]
# Of more appointments than this, only the number is shown; the previous list shows all of them.
_MOST_SHOWN: Final = 100
_ALL_OVER: Final = (
    "All appointments on this list are over, so there is no call to make. Score a list of coming appointments."
)


@dataclass(frozen=True)
class GoneAppointment:
    """An appointment of the previous export that is no longer on the list, and its last recorded outcome."""

    appointment_id: str
    when: str
    recorded: str
    call_back: str


@dataclass(frozen=True)
class ListNotes:
    """Notes about a list.

    Attributes
    ----------
    warnings
        Sentences about appointments that are over, or that take place before the day of their call.
    follows
        The name of the previous export; "" if there is none.
    changes
        How the list differs from the previous export, as a sentence.
    gone
        Appointments that are no longer on it: those with a call-back first.
    """

    warnings: tuple[str, ...] = ()
    follows: str = ""
    follows_address: str = ""
    changes: str = ""
    gone: tuple[GoneAppointment, ...] = ()


_NONE_SCORED: Final = (
    "Nobody on this list can be called: no row could be scored. See what is wrong with each below. "
    "If a column was given a wrong meaning, send the file again: the page asks once more."
)


def list_warnings(kept: KeptList, *, now: datetime.datetime, working_days_before: int | None) -> tuple[str, ...]:
    """Sentences about appointments that are over, or that take place before the day on which to call about them.

    Parameters
    ----------
    working_days_before
        Working days between a call and its appointment; None if calls have no due day.
    """
    rows = kept.page_rows.select(["starts_at", "selected"]).filter(pc.is_null(kept.page_rows["error"]))
    over = int(pc.sum(pc.less(rows["starts_at"], pa.scalar(_utc(now), rows["starts_at"].type))).as_py() or 0)
    if not rows.num_rows:
        return (_NONE_SCORED,)
    if over and over == rows.num_rows:
        return (_ALL_OVER,)
    warnings = []
    if over:
        warnings.append(f"{_appointments(over)} of {rows.num_rows:,} on this list {_are(over)} over.")
    near = _due_already(rows, kept, now=now, working_days_before=working_days_before)
    if near:
        days = "1 working day" if working_days_before == 1 else f"{working_days_before} working days"
        warnings.append(
            f"{_calls(near)} {_are(near)} due today, or should have been made before: the appointment is less than "
            f"{days} away. Make {'it' if near == 1 else 'them'} first."
        )
    return tuple(warnings)


def _due_already(rows: pa.Table, kept: KeptList, *, now: datetime.datetime, working_days_before: int | None) -> int:
    """How many calls are about appointments to come and are due before today."""
    if working_days_before is None:
        return 0
    zone = kept.heading.zone
    called = rows.filter(pc.fill_null(rows["selected"], False))["starts_at"]
    to_come = called.filter(pc.fill_null(pc.greater_equal(called, pa.scalar(_utc(now), called.type)), False))
    # Many appointments start at the same time.
    moments = pc.value_counts(to_come)
    days = [local_day(each, zone) for each in moments.field("values").to_pylist()]
    due = call_by_day(np.array(days, dtype="datetime64[D]"), working_days_before=working_days_before)
    is_due = due < np.datetime64(local_day(now, zone))
    return int(moments.field("counts").to_numpy()[is_due].sum())


def list_changes(
    kept: KeptList, before: KeptList, *, latest_of: LatestActions, now: datetime.datetime, address: str
) -> ListNotes:
    """How a list differs from the previous export; appointments that are already over do not count as gone.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    rows = before.page_rows.select(["appointment_id", "starts_at"])
    is_over = pc.fill_null(pc.less(rows["starts_at"], pa.scalar(_utc(now), rows["starts_at"].type)), False)
    gone = rows.filter(pc.and_not(_is_missing_from(before, kept), is_over)).to_pylist()
    latest = latest_of([row["appointment_id"] for row in gone]) if gone else {}
    shown = [(row, latest.get(row["appointment_id"])) for row in gone]
    shown.sort(key=lambda each: (not _has_call_back(each[1]), each[1] is None))
    return ListNotes(
        follows=before.heading.name,
        follows_address=address,
        changes=_changes(_new(kept, before), gone=len(gone), call_backs=sum(_has_call_back(last) for _, last in shown)),
        gone=tuple(_gone(row, last, zone=kept.heading.zone) for row, last in shown[:_MOST_SHOWN]),
    )


def _is_missing_from(one: KeptList, other: KeptList) -> pa.ChunkedArray:
    """For each line of `one`, whether its appointment is not on `other`; False without an appointment number."""
    ids = one.page_rows["appointment_id"]
    return pc.and_(pc.is_valid(ids), pc.invert(pc.is_in(ids, other.page_rows["appointment_id"].combine_chunks())))


def _new(kept: KeptList, before: KeptList) -> int:
    """The number of appointments of a list that the previous export did not have."""
    new = kept.page_rows["appointment_id"].filter(_is_missing_from(kept, before))
    return int(pc.count_distinct(new).as_py())


def _has_call_back(last: RecordedAction | None) -> bool:
    return last is not None and last.details.call_back_at is not None


def _gone(row: Mapping[str, Any], last: RecordedAction | None, *, zone: datetime.tzinfo) -> GoneAppointment:
    agreed = None if last is None else last.details.call_back_at
    return GoneAppointment(
        row["appointment_id"],
        moment_words(row["starts_at"], zone),
        "" if last is None else f"{WORDS[last.outcome]}, {moment_words(last.at, zone)}",
        moment_words(agreed, zone),
    )


def _changes(new: int, *, gone: int, call_backs: int) -> str:
    words = [f"{_appointments(new)} {_are(new)} new"] if new else []
    if gone:
        words.append(f"{_appointments(gone)} {_are(gone)} no longer on this list")
    due = f"; {call_backs} of them {'has' if call_backs == 1 else 'have'} a call-back due" if call_backs else ""
    return " and ".join(words) + due + "." if words else "The appointments are the same."


def _utc(moment: datetime.datetime) -> datetime.datetime:
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _appointments(count: int) -> str:
    return "1 appointment" if count == 1 else f"{count:,} appointments"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
