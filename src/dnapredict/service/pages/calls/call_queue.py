"""The remaining calls of a list, in the order in which to make them."""

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.service.call_actions import RecordedAction
from dnapredict.worklist.calls.attempts import NextStep, next_step
from dnapredict.worklist.files.kept_list import KeptList

_COLUMNS: Final = ("appointment_id", "selected", "starts_at", "action")
_NUMBER: Final = "line"


@dataclass(frozen=True)
class WaitingLine:
    """A line of a list with a remaining call: its number from 1, appointment, next step, and when to call back.

    `assigned_to` is the colleague to whom the line was handed over; "" for the whole team.
    """

    number: int
    appointment_id: str
    step: NextStep
    call_back_at: datetime.datetime | None = None
    assigned_to: str = ""


@dataclass(frozen=True)
class CallQueue:
    """The lines of a list with a remaining call.

    Attributes
    ----------
    ready
        To call now: call-backs that are due, the earliest first, then the others by rank. Within each, the lines that
        were handed over to `person` come first.
    with_colleagues
        To call now by the colleagues to whom they were handed over.
    later
        To call later: call-backs by time, then calls to repeat at another time of day.
    to_write
        Not to be called any more: a letter or another number is needed.
    over
        Number of calls that were not made before their appointment began.
    """

    ready: tuple[WaitingLine, ...]
    later: tuple[WaitingLine, ...]
    to_write: tuple[WaitingLine, ...]
    over: int
    with_colleagues: tuple[WaitingLine, ...] = ()

    @property
    def left(self) -> int:
        """The number of remaining calls, today or later."""
        return len(self.ready) + len(self.with_colleagues) + len(self.later)

    @property
    def lines(self) -> Sequence[WaitingLine]:
        """All lines with a remaining call."""
        return (*self.ready, *self.with_colleagues, *self.later, *self.to_write)

    def after(self, number: int) -> Sequence[WaitingLine]:
        """The lines to call now, starting after the line `number`, which comes last."""
        numbers = [line.number for line in self.ready]
        start = numbers.index(number) + 1 if number in numbers else 0
        return (*self.ready[start:], *self.ready[:start])


def call_queue(
    kept: KeptList,
    *,
    entries_of: Callable[[Iterable[str]], Mapping[str, Sequence[RecordedAction]]],
    called_back: Callable[[Iterable[str]], Collection[str]],
    opted_out: Callable[[Iterable[str]], Collection[str]],
    most_attempts: int,
    unanswered_action: str,
    now: datetime.datetime,
    assigned: Mapping[int, str] = MappingProxyType({}),
    person: str = "",
) -> CallQueue:
    """The remaining calls of a list at `now`: the selected ones, and call-backs about any of its lines.

    A line that was not selected because nobody answered earlier calls is in `to_write`.

    Parameters
    ----------
    entries_of
        Everything that was recorded about appointments.
    called_back, opted_out
        Which of some appointments have an agreed call-back, and which have a patient who opted out of calls.
    unanswered_action
        The beginning of the action of a line that is not called because nobody answered earlier calls.
    assigned, person
        The name of the colleague to whom each line was handed over, and the name of the person of the request.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    rows = _rows(kept, called_back, unanswered_action)
    to_come = [row for row in rows if not _has_begun(row["starts_at"], now)]
    ids = [row["appointment_id"] for row in to_come]
    entries, refused = entries_of(ids), opted_out(ids)

    def step_of(row: Mapping[str, Any], done: Sequence[RecordedAction]) -> NextStep:
        step = next_step(
            [action.entry for action in done],
            now=now,
            most_attempts=most_attempts,
            zone=kept.heading.zone,
            exported_at=kept.heading.created_at,
        )
        is_unanswered = not row["selected"] and (row["action"] or "").startswith(unanswered_action)
        return NextStep.WRITE if is_unanswered and step in (NextStep.CALL, NextStep.OTHER_TIME) else step

    lines = [
        _line(row, done, step_of(row, done), assigned_to=assigned.get(row[_NUMBER], ""))
        for row in to_come
        if row["appointment_id"] not in refused
        for done in [entries.get(row["appointment_id"], ())]
    ]
    now_due = _with_steps(lines, NextStep.CALL_BACK, NextStep.CALL, person=person)
    return CallQueue(
        ready=tuple(line for line in now_due if not line.assigned_to or _is_of(line, person)),
        with_colleagues=tuple(line for line in now_due if line.assigned_to and not _is_of(line, person)),
        later=_with_steps(lines, NextStep.CALL_BACK_LATER, NextStep.OTHER_TIME),
        to_write=_with_steps(lines, NextStep.WRITE),
        over=len(rows) - len(to_come),
    )


def _rows(
    kept: KeptList, called_back: Callable[[Iterable[str]], Collection[str]], unanswered_action: str
) -> list[dict[str, Any]]:
    """Rows with something to do, each with its number: selected, with an agreed call-back, or unanswered."""
    table = kept.page_rows.select(_COLUMNS)
    table = table.append_column(_NUMBER, pa.array(np.arange(1, table.num_rows + 1)))
    agreed = called_back(table["appointment_id"].drop_null().to_pylist())
    is_agreed = pc.is_in(table["appointment_id"], pa.array(sorted(agreed), pa.string()))
    is_unanswered = pc.starts_with(table["action"], pattern=unanswered_action)
    others = pc.or_(is_agreed, pc.fill_null(is_unanswered, False))
    chosen = pc.or_(pc.fill_null(table["selected"], False), others)
    rows: list[dict[str, Any]] = table.filter(pc.and_(chosen, pc.is_valid(table["appointment_id"]))).to_pylist()
    # A row that repeats an appointment is an error of the list and not a second call; the scored row comes before it.
    return list({row["appointment_id"]: row for row in reversed(rows)}.values())[::-1]


def _has_begun(starts_at: datetime.datetime | None, now: datetime.datetime) -> bool:
    """Whether an appointment has begun; its time is in UTC without a zone, as everywhere in the contract."""
    return starts_at is not None and starts_at.replace(tzinfo=datetime.UTC) <= now


def _line(row: Mapping[str, Any], done: Sequence[RecordedAction], step: NextStep, *, assigned_to: str) -> WaitingLine:
    is_agreed = step in (NextStep.CALL_BACK, NextStep.CALL_BACK_LATER)
    call_back_at = done[-1].details.call_back_at if is_agreed else None
    return WaitingLine(row[_NUMBER], row["appointment_id"], step, call_back_at, assigned_to)


def _is_of(line: WaitingLine, person: str) -> bool:
    """Whether the line was handed over to the person; names are typed, so upper and lower case are equal."""
    return bool(person) and line.assigned_to.casefold() == person.casefold()


def _with_steps(lines: Iterable[WaitingLine], *steps: NextStep, person: str = "") -> tuple[WaitingLine, ...]:
    """The lines with one of the steps, in the order of the steps; the person's own first, call-backs by time."""
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)

    def place(line: WaitingLine) -> tuple[int, bool, datetime.datetime, int]:
        return steps.index(line.step), not _is_of(line, person), line.call_back_at or latest, line.number

    return tuple(sorted((line for line in lines if line.step in steps), key=place))
