"""Attempts to reach a patient: what comes next after the calls that were recorded about an appointment.

A call that reached nobody is repeated at another time of day, a call-back comes when it was agreed, and after a number
of attempts somebody writes instead. Only outcomes that people recorded count; a planned call changes nothing.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dnapredict.worklist.calls.known_contacts import Effect

_NOON: Final = 12
_EVENING: Final = 17
_HOURS_BETWEEN: Final = datetime.timedelta(hours=2)
_UNREACHED: Final = ("not reached", "wrong number")
_SETTLED: Final = ("reached", "rebooked", "opted out")


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


def valid_entries(entries: Sequence[CallEntry]) -> list[CallEntry]:
    """The entries, oldest first, without those that were withdrawn and the withdrawals themselves."""
    valid: list[CallEntry] = []
    for entry in entries:
        if entry.effect != "withdrawn":
            valid.append(entry)
        elif valid:
            valid.pop()
    return valid


def attempts(entries: Sequence[CallEntry]) -> list[CallEntry]:
    """The calls that reached nobody since somebody was last reached, oldest first."""
    since: list[CallEntry] = []
    for entry in valid_entries(entries):
        if entry.effect in _SETTLED:
            since = []
        elif entry.effect in _UNREACHED:
            since.append(entry)
    return since


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
        Calls after which somebody writes instead.
    zone
        The time zone of the clinics, in which the times of day are.
    exported_at
        When the list was made. A wrong number or a new date that was recorded before is no longer on it.
    """
    valid = valid_entries(entries)
    if not valid or _is_outdated(valid[-1], exported_at):
        return _by_attempts(attempts(entries), now=now, most_attempts=most_attempts, zone=zone)
    last = valid[-1]
    if last.effect in _SETTLED:
        return NextStep.NOTHING
    if last.call_back_at is not None:
        return NextStep.CALL_BACK if last.call_back_at <= now else NextStep.CALL_BACK_LATER
    if last.effect == "wrong number":
        return NextStep.WRITE
    if last.effect == "call back":
        return NextStep.CALL if _is_other_time([last], now=now, zone=zone) else NextStep.OTHER_TIME
    return _by_attempts(attempts(entries), now=now, most_attempts=most_attempts, zone=zone)


def _is_outdated(last: CallEntry, exported_at: datetime.datetime | None) -> bool:
    return exported_at is not None and last.at < exported_at and last.effect in ("rebooked", "wrong number")


def _by_attempts(
    tried: Sequence[CallEntry], *, now: datetime.datetime, most_attempts: int, zone: datetime.tzinfo
) -> NextStep:
    if len(tried) >= most_attempts:
        return NextStep.WRITE
    return NextStep.CALL if not tried or _is_other_time(tried, now=now, zone=zone) else NextStep.OTHER_TIME


def _is_other_time(tried: Sequence[CallEntry], *, now: datetime.datetime, zone: datetime.tzinfo) -> bool:
    """Whether nobody has tried at this time of day, or on a later day once mornings and afternoons were tried."""
    if now - tried[-1].at < _HOURS_BETWEEN:
        return False
    local = now.astimezone(zone)
    parts = {_part_of_day(each.at.astimezone(zone)) for each in tried}
    if {"morning", "afternoon"} <= parts and local.date() > tried[-1].at.astimezone(zone).date():
        return True
    return _part_of_day(local) not in parts


def _part_of_day(local: datetime.datetime) -> str:
    if local.hour < _NOON:
        return "morning"
    return "afternoon" if local.hour < _EVENING else "evening"
