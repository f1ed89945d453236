"""Attempts to reach a patient: the state that follows from recorded calls, and the next step for an appointment.

"Recorded by mistake" takes back the last valid event about the appointment; if there is none, it takes back the
patient's opt-outs. An opt-out is in force until the patient wishes to be called again, whatever is recorded in between.
For the other outcomes the last one about an appointment counts.

An unanswered call is repeated at another time of day, a call-back is due at the agreed time, and after a number of
attempts a letter replaces the call. Only recorded outcomes count; a planned call changes nothing.
"""

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from operator import attrgetter
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

Effect = Literal[
    "reached", "rebooked", "not reached", "wrong number", "call back", "opted out", "calls wished", "withdrawn"
]

REACHED: Final = frozenset[Effect]({"reached", "rebooked", "opted out"})
UNANSWERED: Final = frozenset[Effect]({"not reached", "wrong number"})
_OPTED_OUT: Final = frozenset[Effect]({"opted out"})
_CALLS_WISHED: Final = frozenset[Effect]({"calls wished"})
# A withdrawal that is left over is about the patient's opt-outs.
_NO_OPT_OUT: Final = frozenset[Effect]({"calls wished", "withdrawn"})
_NOON: Final = 12
_EVENING: Final = 17
_HOURS_BETWEEN: Final = datetime.timedelta(hours=2)
_OFFICE_HOURS: Final = frozenset({"morning", "afternoon"})


class CallEvent(NamedTuple):
    """A recorded outcome with its number in the order; appointment and patient are hashes, the day is in ISO format."""

    id: int
    appointment: str
    patient: str | None
    clinic: str | None
    day: str
    effect: Effect


class _HasEffect(Protocol):
    @property
    def effect(self) -> Effect: ...


_Event = TypeVar("_Event", bound=_HasEffect)


def valid_events(events: Iterable[_Event]) -> list[_Event]:
    """The events about one appointment that count, oldest first.

    A withdrawal stays if there was nothing to take back. An opt-out that is recorded again replaces the first one and
    what was recorded since, so that one withdrawal takes it back.
    """
    valid: list[_Event] = []
    for event in events:
        if event.effect == "withdrawn" and valid and valid[-1].effect != "withdrawn":
            valid.pop()
            continue
        if event.effect == "opted out":
            for first in events_since(_CALLS_WISHED, valid, effects=_OPTED_OUT)[:1]:
                del valid[valid.index(first) :]
        valid.append(event)
    return valid


def events_since(
    ended_by: Collection[Effect], events: Iterable[_Event], *, effects: Collection[Effect]
) -> list[_Event]:
    """The events with one of the `effects` after the last one with an effect of `ended_by`."""
    since: list[_Event] = []
    for event in events:
        if event.effect in ended_by:
            since = []
        if event.effect in effects:
            since.append(event)
    return since


class CallState(NamedTuple):
    """The state of a patient that follows from the events.

    Attributes
    ----------
    opted_out
        Whether an opt-out is in force.
    reached
        By appointment: the last outcome, if the patient was reached.
    attempts
        Calls that reached nobody since the patient was last reached.
    """

    opted_out: bool
    reached: Mapping[str, CallEvent]
    attempts: Sequence[CallEvent]

    def is_settled(self, appointment: str) -> bool:
        """Whether the patient was reached about the appointment. A rebooked one has a new time and does not count."""
        return appointment in self.reached and self.reached[appointment].effect != "rebooked"


NO_EVENTS: Final = CallState(False, {}, ())


def call_state(events: Iterable[CallEvent]) -> CallState:
    """The state that follows from all events about one patient, given oldest first."""
    about: dict[str, list[CallEvent]] = defaultdict(list)
    for event in events:
        about[event.appointment].append(event)
    valid = sorted(chain.from_iterable(map(valid_events, about.values())), key=attrgetter("id"))
    opt_outs = events_since(_NO_OPT_OUT, valid, effects=_OPTED_OUT)
    last = {each.appointment: each for each in valid if each.effect not in _NO_OPT_OUT}
    # A patient who opted out was spoken to, and may be called about the appointment after withdrawing the opt-out.
    reached = {
        appointment: each
        for appointment, each in last.items()
        if each.effect in REACHED and (each.effect != "opted out" or each in opt_outs)
    }
    return CallState(bool(opt_outs), reached, events_since(REACHED, valid, effects=UNANSWERED))


class NextStep(StrEnum):
    """What to do next about an appointment."""

    CALL_BACK = "call back now"
    CALL = "call"
    CALL_BACK_LATER = "call back later"
    OTHER_TIME = "call at another time of day"
    WRITE = "write"
    NOTHING = "nothing"


@dataclass(frozen=True)
class CallEntry:
    """A recorded call: its time, its effect, and when to call back; both times have a zone."""

    at: datetime.datetime
    effect: Effect
    call_back_at: datetime.datetime | None = None


def attempts(entries: Sequence[CallEntry]) -> list[CallEntry]:
    """The calls that reached nobody since somebody was last reached, oldest first."""
    return events_since(REACHED, valid_events(entries), effects=UNANSWERED)


@dataclass(frozen=True)
class CallOutlook:
    """What the entries about an appointment say about further calls; `step` then depends on the time only.

    Attributes
    ----------
    settled
        The next step, if it does not depend on the time.
    call_back_at
        When the patient asked to be called back.
    last_at
        Time of the last call that reached nobody; None if there was none.
    last_day, parts
        Local date of that call, and the parts of the day in which calls were tried.
    """

    settled: NextStep | None = None
    call_back_at: datetime.datetime | None = None
    last_at: datetime.datetime | None = None
    last_day: datetime.date | None = None
    parts: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        entries: Sequence[CallEntry],
        *,
        most_attempts: int,
        zone: datetime.tzinfo,
        exported_at: datetime.datetime | None = None,
    ) -> "CallOutlook":
        """The outlook after these entries; the parameters are those of `next_step`."""
        valid = valid_events(entries)
        last = valid[-1] if valid and not _is_outdated(valid[-1], exported_at) else None
        if last is not None and last.effect in REACHED:
            return cls(NextStep.NOTHING)
        if last is not None and last.call_back_at is not None:
            return cls(call_back_at=last.call_back_at)
        if last is not None and last.effect == "wrong number":
            return cls(NextStep.WRITE)
        if last is not None and last.effect == "call back":
            return cls._tried([last], zone)
        tried = attempts(entries)
        if len(tried) >= most_attempts:
            return cls(NextStep.WRITE)
        return cls._tried(tried, zone) if tried else cls(NextStep.CALL)

    @classmethod
    def _tried(cls, tried: Sequence[CallEntry], zone: datetime.tzinfo) -> "CallOutlook":
        local = [each.at.astimezone(zone) for each in tried]
        return cls(last_at=tried[-1].at, last_day=local[-1].date(), parts=frozenset(map(_part_of_day, local)))

    def step(self, now: datetime.datetime, *, local: datetime.datetime) -> NextStep:
        """The next step at `now`, which is `local` by the clock of the clinics."""
        if self.settled is not None:
            return self.settled
        if self.call_back_at is not None:
            return NextStep.CALL_BACK if self.call_back_at <= now else NextStep.CALL_BACK_LATER
        return NextStep.CALL if self._is_other_time(now, local) else NextStep.OTHER_TIME

    def _is_other_time(self, now: datetime.datetime, local: datetime.datetime) -> bool:
        """Whether no call was tried at this time of day; once all were tried, whether this is a later day."""
        if self.last_at is None or self.last_day is None:
            return True
        if now - self.last_at < _HOURS_BETWEEN:
            return False
        if self.parts >= _OFFICE_HOURS and local.date() > self.last_day:
            return True
        return _part_of_day(local) not in self.parts


def next_step(
    entries: Sequence[CallEntry],
    *,
    now: datetime.datetime,
    most_attempts: int,
    zone: datetime.tzinfo,
    exported_at: datetime.datetime | None = None,
) -> NextStep:
    """What to do next about an appointment.

    Parameters
    ----------
    entries
        Everything that was recorded about it, on any list, oldest first.
    most_attempts
        Number of calls after which a letter replaces the call.
    zone
        The time zone of the clinics, in which the times of day are.
    exported_at
        When the list was made. A wrong number or a date that was corrected before then is no longer on it.
    """
    outlook = CallOutlook.of(entries, most_attempts=most_attempts, zone=zone, exported_at=exported_at)
    return outlook.step(now, local=now.astimezone(zone))


def _is_outdated(last: CallEntry, exported_at: datetime.datetime | None) -> bool:
    return exported_at is not None and last.at < exported_at and last.effect in ("rebooked", "wrong number")


def _part_of_day(local: datetime.datetime) -> str:
    if local.hour < _NOON:
        return "morning"
    return "afternoon" if local.hour < _EVENING else "evening"
