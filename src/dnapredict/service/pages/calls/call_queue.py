"""The remaining calls of a list, in the order in which to make them."""

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.service.call_actions import (
    CALL_BACKS_COUNT_FOR,
    ListedAppointments,
    RecordedAction,
    listed_appointments,
)
from dnapredict.worklist.calls.attempts import CallOutlook, NextStep
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.list_cache import ListCache


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

    def step_of(self, number: int) -> NextStep:
        """The next step of a line; `NOTHING` if it has no remaining call."""
        lines = chain(self.ready, self.with_colleagues, self.later, self.to_write)
        return next((line.step for line in lines if line.number == number), NextStep.NOTHING)

    def after(self, number: int) -> Sequence[WaitingLine]:
        """The lines to call now, starting after the line `number`, which comes last."""
        numbers = [line.number for line in self.ready]
        start = numbers.index(number) + 1 if number in numbers else 0
        return (*self.ready[start:], *self.ready[:start])


def call_queue(
    kept: KeptList,
    *,
    entries_of: Callable[[Iterable[str]], Mapping[str, Sequence[RecordedAction]]],
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
    opted_out
        Which of some appointments have a patient who opted out of calls.
    unanswered_action
        The beginning of the action of a line that is not called because nobody answered earlier calls.
    assigned, person
        The name of the colleague to whom each line was handed over, and the name of the person of the request.

    Raises
    ------
    StoreError
        If what was recorded cannot be read.
    """
    plan = _plan_of(kept, unanswered_action, most_attempts)
    entries = entries_of(plan.appointments)
    agreed = plan.not_planned(each for each, done in entries.items() if _has_call_back(done, now))
    calls = [*plan.calls, *agreed]
    to_come = [call for call in calls if call.starts_at is None or call.starts_at > now]
    refused = {*opted_out(plan.planned), *(opted_out([call.line.appointment_id for call in agreed]) if agreed else ())}
    lines = _lines(plan, to_come, entries=entries, refused=refused, now=now)
    if assigned:
        handed_over = ((line, assigned.get(line.number, "")) for line in lines)
        lines = [replace(line, assigned_to=colleague) if colleague else line for line, colleague in handed_over]
    by_step: dict[NextStep, list[WaitingLine]] = {step: [] for step in NextStep}
    for line in lines:
        by_step[line.step].append(line)
    now_due = _in_order(by_step, NextStep.CALL_BACK, NextStep.CALL, person=person)
    return CallQueue(
        ready=tuple(line for line in now_due if not line.assigned_to or _is_of(line, person)),
        with_colleagues=tuple(line for line in now_due if line.assigned_to and not _is_of(line, person)),
        later=tuple(_in_order(by_step, NextStep.CALL_BACK_LATER, NextStep.OTHER_TIME)),
        to_write=tuple(_in_order(by_step, NextStep.WRITE)),
        over=len(calls) - len(to_come),
    )


@dataclass(frozen=True)
class _PlannedCall:
    """A line to call about: its next step as long as nothing was recorded, and when the appointment starts."""

    line: WaitingLine
    starts_at: datetime.datetime | None


@dataclass(frozen=True)
class _CallPlan:
    """What a list says before anything is recorded about it; it is made once for a list, and not for each patient.

    Attributes
    ----------
    calls
        The lines that were selected, or to which somebody writes since nobody answered before.
    planned, appointments
        The appointments of these lines, and of all lines.
    places
        The line of each appointment. A row that repeats one is an error of the list, and no second call; the scored
        row stands before it.
    outlooks
        By appointment: the actions about a call, and what they say about further calls. That does not depend on the
        time, so it is found once for the same actions and not for each patient.
    """

    kept: KeptList
    unanswered_action: str
    most_attempts: int
    calls: Sequence[_PlannedCall]
    planned: ListedAppointments
    appointments: ListedAppointments
    places: Mapping[str, int]
    outlooks: dict[str, tuple[Sequence[RecordedAction], CallOutlook]] = field(default_factory=dict)

    def outlook(self, appointment_id: str, done: Sequence[RecordedAction]) -> CallOutlook:
        """What the actions about an appointment say about further calls."""
        known = self.outlooks.get(appointment_id)
        if known is None or known[0] is not done:
            heading = self.kept.heading
            found = CallOutlook.of(
                [action.entry for action in done],
                most_attempts=self.most_attempts,
                zone=heading.zone,
                exported_at=heading.created_at,
            )
            known = self.outlooks[appointment_id] = (done, found)
        return known[1]

    @classmethod
    def of(cls, kept: KeptList, unanswered_action: str, most_attempts: int) -> "_CallPlan":
        rows = kept.page_rows
        ids = rows["appointment_id"].to_pylist()
        places = {each: number for number, each in reversed([*enumerate(ids, start=1)]) if each is not None}
        is_selected = pc.fill_null(rows["selected"], False)
        is_unanswered = pc.fill_null(pc.starts_with(rows["action"], pattern=unanswered_action), False)
        steps = dict.fromkeys(_numbers(is_unanswered), NextStep.WRITE)
        steps |= dict.fromkeys(_numbers(is_selected), NextStep.CALL)
        chosen: dict[str, int] = {}
        for number in sorted(steps):
            if ids[number - 1] is not None:
                chosen.setdefault(ids[number - 1], number)
        calls = [_planned(kept, number, each, steps[number]) for each, number in chosen.items()]
        planned = ListedAppointments(chosen)
        return cls(kept, unanswered_action, most_attempts, calls, planned, listed_appointments(kept), places)

    def not_planned(self, appointments: Iterable[str]) -> list[_PlannedCall]:
        """The lines of those appointments that the list did not plan to call, to be called all the same."""
        return [
            _planned(self.kept, self.places[each], each, NextStep.CALL)
            for each in appointments
            if each not in self.planned
        ]


def _numbers(is_true: pa.ChunkedArray) -> list[int]:
    return [index + 1 for index in pc.indices_nonzero(is_true).to_pylist()]


def _planned(kept: KeptList, number: int, appointment_id: str, step: NextStep) -> _PlannedCall:
    starts_at = kept.page_rows["starts_at"][number - 1].as_py()
    # In UTC and without a zone, as everywhere in the contract.
    return _PlannedCall(WaitingLine(number, appointment_id, step), starts_at and starts_at.replace(tzinfo=datetime.UTC))


# By list, and then by the action of an unanswered call and the number of attempts: both change with the configuration.
_PLANS: Final = ListCache[dict[tuple[str, int], _CallPlan]](lambda _: {})


def _plan_of(kept: KeptList, unanswered_action: str, most_attempts: int) -> _CallPlan:
    """The plan of a list; those of the last few lists are cached."""
    plans = _PLANS.of(kept)
    key = (unanswered_action, most_attempts)
    if key not in plans:
        plans.clear()
        plans[key] = _CallPlan.of(kept, unanswered_action, most_attempts)
    return plans[key]


def _has_call_back(done: Sequence[RecordedAction], now: datetime.datetime) -> bool:
    """Whether somebody asked to be called back in the last month."""
    return any(each.details.call_back_at is not None and each.at >= now - CALL_BACKS_COUNT_FOR for each in done)


def _lines(
    plan: _CallPlan,
    calls: Iterable[_PlannedCall],
    *,
    entries: Mapping[str, Sequence[RecordedAction]],
    refused: Collection[str],
    now: datetime.datetime,
) -> list[WaitingLine]:
    """The lines of the calls that are still needed at `now`, with their next step."""
    local = now.astimezone(plan.kept.heading.zone)
    lines = []
    for call in calls:
        appointment_id = call.line.appointment_id
        if appointment_id in refused:
            continue
        done = entries.get(appointment_id)
        if done is None:
            lines.append(call.line)
            continue
        step = plan.outlook(appointment_id, done).step(now, local=local)
        if step is not NextStep.NOTHING:
            lines.append(_after(call, step, done))
    return lines


def _after(call: _PlannedCall, step: NextStep, done: Sequence[RecordedAction]) -> WaitingLine:
    """The line with the step that follows from what was recorded about it."""
    if call.line.step is NextStep.WRITE and step in (NextStep.CALL, NextStep.OTHER_TIME):
        step = NextStep.WRITE
    is_agreed = step in (NextStep.CALL_BACK, NextStep.CALL_BACK_LATER)
    back_at = done[-1].details.call_back_at if is_agreed else None
    return WaitingLine(call.line.number, call.line.appointment_id, step, back_at)


def _is_of(line: WaitingLine, person: str) -> bool:
    """Whether the line was handed over to the person; names are typed, so upper and lower case are equal."""
    return bool(person) and line.assigned_to.casefold() == person.casefold()


def _in_order(
    by_step: Mapping[NextStep, Sequence[WaitingLine]], *steps: NextStep, person: str = ""
) -> list[WaitingLine]:
    """The lines with one of the steps, in the order of the steps; the person's own first, call-backs by time."""
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)

    def place(line: WaitingLine) -> tuple[bool, datetime.datetime, int]:
        return not (line.assigned_to and _is_of(line, person)), line.call_back_at or latest, line.number

    return [line for step in steps for line in sorted(by_step[step], key=place)]
