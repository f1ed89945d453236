"""Calls as they were recorded, with what the patient said, and their summary before an appointment."""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from dnapredict.worklist.calls.attempts import REACHED, CallEvent, Effect, call_state, valid_events

_NO_CALL: Final = frozenset[Effect]({"calls wished", "withdrawn"})


class RecordedCall(NamedTuple):
    """An outcome that was recorded about an appointment; appointment and patient are keyed hashes.

    Attributes
    ----------
    number
        Its place in the order of recording.
    at
        When it was recorded, in UTC without a zone; the end of the local day where only the day is known.
    outcome, barrier, offered
        Codes; barrier and offer are None where nothing was recorded of them.
    """

    number: int
    appointment: str
    patient: str | None
    at: datetime.datetime
    outcome: str
    effect: Effect
    barrier: str | None = None
    offered: str | None = None


class ScoredAnswer(NamedTuple):
    """The answer to a request about a single appointment, which is on no list; `at` is in UTC without a zone."""

    appointment: str
    patient: str | None
    at: datetime.datetime
    model_version: str
    probability: float
    rank: int | None
    selected: bool | None


class CallRecords(Protocol):
    """The interface to the scoring log, which is in a higher layer."""

    def calls(self) -> Sequence[RecordedCall]:
        """Every recorded call that the log still holds, in the order of recording."""

    def answers(self) -> Iterable[ScoredAnswer]:
        """Every answer about a single appointment that the log still holds."""


class CallSummary(NamedTuple):
    """The calls about an appointment before it began; `last_at` is when the last was recorded."""

    attempts: int
    reached: bool
    outcome: str
    barrier: str | None
    offered: str | None
    last_at: datetime.datetime


def summary_of(calls: Iterable[RecordedCall], *, starts_at: datetime.datetime) -> CallSummary | None:
    """What was recorded about an appointment before `starts_at`; None where nothing was that still counts.

    What is recorded after the appointment began can follow from its outcome, and so says nothing about a call.
    A barrier or an offer of an earlier call counts if a later one has none.
    """
    before = [each for each in calls if each.at < starts_at]
    valid = [each for each in valid_events(before) if each.effect not in _NO_CALL]
    if not valid:
        return None
    return CallSummary(
        attempts=len(valid),
        reached=any(each.effect in REACHED for each in valid),
        outcome=valid[-1].outcome,
        barrier=next((each.barrier for each in reversed(valid) if each.barrier), None),
        offered=next((each.offered for each in reversed(valid) if each.offered), None),
        last_at=max(each.at for each in valid),
    )


class RecordedCalls:
    """The calls of a home, by appointment and by patient."""

    def __init__(self, calls: Iterable[RecordedCall]) -> None:
        """`calls` are in the order of recording."""
        self._about: dict[str, list[RecordedCall]] = defaultdict(list)
        for each in sorted(calls, key=attrgetter("number")):
            self._about[each.appointment].append(each)

    @property
    def appointments(self) -> list[str]:
        """The appointments about which something was recorded."""
        return list(self._about)

    def about(self, appointment: str, *, starts_at: datetime.datetime) -> CallSummary | None:
        """The summary of the calls about an appointment before it began."""
        return summary_of(self._about.get(appointment, ()), starts_at=starts_at)

    def opt_outs(self, patient_of: Mapping[str, str | None]) -> "CallOptOuts":
        """Who opted out of calls and when; `patient_of` says whose an appointment is where its calls do not."""
        of_patient: dict[str, list[RecordedCall]] = defaultdict(list)
        for appointment, calls in self._about.items():
            named = [each.patient for each in calls if each.patient is not None]
            of_patient[patient_of.get(appointment) or "".join(named[-1:]) or appointment] += calls
        ever = {
            patient: sorted(calls, key=attrgetter("number"))
            for patient, calls in of_patient.items()
            if any(each.effect == "opted out" for each in calls)
        }
        return CallOptOuts(ever)


class CallOptOuts:
    """The patients who ever opted out in a call, with all calls to them in order."""

    def __init__(self, calls: Mapping[str, Sequence[RecordedCall]]) -> None:
        """`calls` by patient."""
        self._calls = calls

    @property
    def patients(self) -> list[str]:
        """The patients who ever opted out."""
        return list(self._calls)

    def in_force(self, patient: str, *, at: datetime.datetime) -> bool:
        """Whether an opt-out of the patient was in force at that time."""
        events = [
            CallEvent(number, each.appointment, patient, None, "", each.effect)
            for number, each in enumerate(self._calls.get(patient, ()))
            if each.at < at
        ]
        return call_state(events).opted_out
