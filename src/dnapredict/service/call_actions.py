"""The actions that people record about the appointments of a list, as entries of the scoring log."""

import datetime
import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError
from dnapredict.service.call_outcomes import NO_DETAILS, CallDetails, Outcome
from dnapredict.service.log.action_feed import (
    VALUES_AT_ONCE,
    LastAction,
    LastActions,
    LogPosition,
    RecordedAppointments,
    in_parts,
)
from dnapredict.service.log.answer_entries import REQUESTED_BY, Hashes
from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.calls.attempts import CallEntry
from dnapredict.worklist.calls.calls_database import UnusableError
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.files.list_cache import ListCache
from dnapredict.worklist.plan.working_days import LOCAL_ZONE

_LOG: Final = logging.getLogger("dnapredict.service")
_DAYS_A_WEEK: Final = 7
_HASHES_KEPT: Final = 50_000
CALL_BACKS_COUNT_FOR: Final = datetime.timedelta(days=31)
# The same outcome by the same key within this time is a second click or a repeated request.
_RESENT_WITHIN: Final = datetime.timedelta(seconds=30)


@dataclass(frozen=True)
class RecordedAction:
    """A recorded outcome with its time (UTC), key, details and list, and the action that it replaced."""

    outcome: Outcome
    at: datetime.datetime
    requested_by: str
    details: CallDetails = NO_DETAILS
    list_id: str = field(default="", compare=False)
    replaced: "RecordedAction | None" = field(default=None, compare=False)

    @property
    def entry(self) -> CallEntry:
        """The action as an entry of the rules about attempts."""
        return CallEntry(self.at, self.outcome.effect, self.details.call_back_at)


class OutcomeChanged(Exception):  # noqa: N818 - turned into a response by the caller
    """Somebody else recorded an outcome in the meantime; nothing was recorded now."""

    def __init__(self, last: RecordedAction) -> None:
        """`last` is the outcome that counts now."""
        super().__init__(last.outcome)
        self.last = last


class _RecordedAlready(Exception):  # noqa: N818 - not an error
    def __init__(self, action: RecordedAction) -> None:
        super().__init__(action.outcome)
        self.action = action


@dataclass(frozen=True)
class ClinicCalls:
    """Counts for a clinic: appointments with a recorded outcome, and those whose patient was reached."""

    clinic: str
    worked_on: int
    reached: int
    site: str = ""


@dataclass(frozen=True)
class WeekEntry:
    """The last outcome of an appointment in a week: keyed hash, list, outcome, and barrier to attending.

    `barrier` is None if no barrier was recorded.
    """

    appointment: str
    list_id: str
    outcome: Outcome
    barrier: str | None

    @classmethod
    def of(cls, last: LastAction) -> "WeekEntry":
        """The entry of an action of the log."""
        return cls(last.appointment, last.list_id, Outcome(last.outcome), last.barrier)


class ListedAppointments:
    """The appointments of a list, with what call mode needs of each of them for every patient: hashes and actions.

    Hashes are computed once. Actions are read once, and then only what was added to the log: in the middle of a week
    thousands of calls of a list have actions, and reading all of them took longer than the rest of a page.
    """

    def __init__(self, appointment_ids: Iterable[str]) -> None:
        """Hash and read nothing yet."""
        self._ids = dict.fromkeys(appointment_ids)
        self._hashed: Mapping[str, str] | None = None
        self._entries: dict[str, tuple[RecordedAction, ...]] = {}
        self._read_up_to: LogPosition | None = None
        self._reading = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        """The appointments, in their order."""
        return iter(self._ids)

    def __contains__(self, appointment_id: object) -> bool:
        """Whether the appointment is one of them."""
        return appointment_id in self._ids

    def by_hash(self, hash_of: Callable[[str], str]) -> Mapping[str, str]:
        """The appointments by their hash."""
        if self._hashed is None:
            self._hashed = {hash_of(each): each for each in self._ids}
        return self._hashed

    def entries(
        self, actions: RecordedAppointments, hash_of: Callable[[str], str]
    ) -> dict[str, tuple[RecordedAction, ...]]:
        """All actions about each appointment, oldest first.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        by_hash = self.by_hash(hash_of)
        with self._reading:
            position, added = actions.added(self._read_up_to)
            if added is None:
                self._entries, added = {}, actions.about(by_hash.keys(), up_to=position)
            for row in added:
                if row.appointment in by_hash:
                    appointment = by_hash[row.appointment]
                    self._entries[appointment] = (*self._entries.get(appointment, ()), _taken(row))
            self._read_up_to = position
            return dict(self._entries)


def _listed(kept: KeptList) -> ListedAppointments:
    return ListedAppointments(dict.fromkeys(kept.page_rows["appointment_id"].drop_null().to_pylist()))


_LISTED: Final = ListCache(_listed)


def listed_appointments(kept: KeptList) -> ListedAppointments:
    """All appointments of a list; those of the last few lists are cached."""
    return _LISTED.of(kept)


class Actions:
    """The actions in the scoring log. Each is a new entry; recorded entries never change."""

    def __init__(self, log: ScoringLog, hashes: Hashes, ledger: Ledger | None = None) -> None:
        """Read and write `log`, and hash with `hashes`; `ledger` copies who was reached."""
        self._log = log
        self._ledger = ledger
        self._recorded = RecordedAppointments(log)
        self._last_actions = LastActions(log, self._recorded)
        # A page asks several times for the hashes of a whole list.
        self._hash_once = lru_cache(maxsize=_HASHES_KEPT)(partial(hashes.of, "appointment"))

    def record(
        self,
        list_id: str,
        line: Mapping[str, Any],
        outcome: Outcome,
        *,
        seen: str | None = None,
        details: CallDetails = NO_DETAILS,
    ) -> RecordedAction:
        """Record the outcome for one row of a kept list.

        The same outcome by the same key within half a minute is recorded once.

        Parameters
        ----------
        line
            The line's `appointment_id`, and its `clinic_code` and `site_code` where it has them.
        seen
            Time (ISO format) of the last outcome that the caller has seen, "" if none. If None, this outcome
            replaces any other.
        details
            What is recorded with the outcome.

        Raises
        ------
        OutcomeChanged
            If a newer outcome than `seen` exists: then nothing was recorded.
        StoreError
            If the log cannot be written: then nothing was recorded.
        """
        at = utc_now()
        appointment = self.hash_of(line["appointment_id"])
        action = RecordedAction(outcome, at, REQUESTED_BY.get(), details, list_id)
        replaced: RecordedAction | None = None

        def find_replaced(connection: Connection) -> None:
            nonlocal replaced
            replaced = _replaced(connection, action, appointment, seen=seen)

        entry = {
            "at": at.isoformat(),
            "asked_by": action.requested_by,
            "list": list_id,
            "appointment": appointment,
            "patient": self._patient_of(appointment),
            "clinic": line.get("clinic_code"),
            "site": line.get("site_code"),
            "outcome": outcome.value,
            **details.columns,
        }
        try:
            self._log.write_action(entry, first=find_replaced)
        except _RecordedAlready as already:
            action = already.action  # by a process that may have been killed before the rest
        self._update_ledger()
        if outcome is Outcome.CALLS_WISHED and self._ledger is not None and entry["patient"] is not None:
            self._ledger.stated.take_back(entry["patient"])
        return replace(action, replaced=replaced)

    def entries(self, appointment_ids: Iterable[str]) -> dict[str, tuple[RecordedAction, ...]]:
        """All actions about each appointment, on any list, oldest first.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        if isinstance(appointment_ids, ListedAppointments):
            return appointment_ids.entries(self._recorded, self.hash_of)
        by_hash = self._by_hash(appointment_ids)
        hashes = list(by_hash) if len(by_hash) <= VALUES_AT_ONCE else list(self._recorded.hashes() & by_hash.keys())
        by_appointment: dict[str, list[RecordedAction]] = {}
        for row in self._of(hashes):
            by_appointment.setdefault(by_hash[row.appointment], []).append(_taken(row))
        return {appointment: tuple(done) for appointment, done in by_appointment.items()}

    def latest(self, appointment_ids: Iterable[str]) -> dict[str, RecordedAction]:
        """The last action about each appointment, on any list; appointments without one are left out.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        last = {appointment: done[-1] for appointment, done in self.entries(appointment_ids).items()}
        return {key: action for key, action in last.items() if action.outcome is not Outcome.WITHDRAWN}

    def latest_of_list(self, kept: KeptList, appointment_ids: Iterable[str]) -> dict[str, RecordedAction]:
        """As `latest`, about appointments of one list, whose actions are read once.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        entries = self.entries(listed_appointments(kept))
        last = {each: entries[each][-1] for each in appointment_ids if each in entries}
        return {key: action for key, action in last.items() if action.outcome is not Outcome.WITHDRAWN}

    def opted_out(self, appointment_ids: Iterable[str]) -> frozenset[str]:
        """The appointments whose patient has opted out of calls, on whichever appointment.

        A list that was scored before the opt-out still says to call. If the calls database cannot be used, that
        is logged and the result is empty.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        if self._ledger is None:
            return frozenset()
        by_hash = self._by_hash(appointment_ids)
        try:
            opted_out_hashes = self._ledger.opted_out(by_hash, patients_of=partial(self._patients, by_hash))
        except UnusableError as error:
            _LOG.error("Who asked not to be called is not known on this list: %s", error)
            return frozenset()
        return frozenset(by_hash[each] for each in opted_out_hashes)

    def _patients(self, appointments: Mapping[str, str], out: Collection[str]) -> dict[str, str | None]:
        """The patient of each appointment, by hash, from the last answer about it; at least of those in `out`."""
        asked: Iterable[str] = appointments
        if len(out) < len(appointments):
            of_patients = (
                select(ANSWERS.c.appointment).where(ANSWERS.c.patient.in_(some)) for some in in_parts([*out])
            )
            asked = {row.appointment for query in of_patients for row in self._log.query(query)} & appointments.keys()
        about = select(ANSWERS.c.appointment, ANSWERS.c.patient).order_by(ANSWERS.c.number)
        queries = (about.where(ANSWERS.c.appointment.in_(hashes)) for hashes in in_parts([*asked]))
        return {row.appointment: row.patient for query in queries for row in self._log.query(query)}

    def _by_hash(self, appointment_ids: Iterable[str]) -> Mapping[str, str]:
        """Appointments by the hash under which they are recorded."""
        if isinstance(appointment_ids, ListedAppointments):
            return appointment_ids.by_hash(self.hash_of)
        return {self.hash_of(appointment): appointment for appointment in appointment_ids}

    def call_backs_due(self, now: datetime.datetime, *, besides: Iterable[str] = ()) -> Mapping[str, int]:
        """The number of call-backs that are due at `now`, by the list on which they were agreed.

        `besides` are appointments to leave out, because they are on the list that is open.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        agreed = {row.appointment: row for row in self._call_backs()}
        if not agreed:
            return {}
        left_out = self._by_hash(besides)
        last = {row.appointment: row for row in self._of(list(agreed))}
        due = [
            row.list
            for appointment, row in agreed.items()
            if appointment not in left_out
            and last[appointment].number == row.number
            and datetime.datetime.fromisoformat(row.call_back_at) <= now
        ]
        return Counter(due)

    def of_week(self, day: datetime.date, *, without: Collection[str] = ()) -> tuple[ClinicCalls, ...]:
        """Results of the calls in the week (Monday to Sunday, local time) of `day`, by clinic and site.

        An appointment counts once, with what was recorded last in that week. Appointments whose list
        names no clinic or site count under "". Calls on the lists `without` (their ids) are left out.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        counts: dict[tuple[str, str], Counter[Outcome]] = {}
        for last in self._last_of_week(day):
            if last.list_id not in without:
                counts.setdefault((last.clinic or "", last.site or ""), Counter())[Outcome(last.outcome)] += 1
        return tuple(_calls(*clinic_and_site, counts[clinic_and_site]) for clinic_and_site in sorted(counts))

    def _call_backs(self) -> Iterable[Row[Any]]:
        """Entries of the last month with a time to call back, oldest first."""
        since = (datetime.datetime.now(datetime.UTC) - CALL_BACKS_COUNT_FOR).isoformat()
        agreed = select(ACTIONS).where(ACTIONS.c.call_back_at.is_not(None), ACTIONS.c.at >= since)
        return self._log.query(agreed.order_by(ACTIONS.c.number))

    def entries_of_week(self, day: datetime.date) -> tuple[WeekEntry, ...]:
        """The last outcome of each appointment in the week of `day`, without outcomes that were taken back.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        entries = map(WeekEntry.of, self._last_of_week(day))
        return tuple(entry for entry in entries if entry.outcome is not Outcome.WITHDRAWN)

    def _last_of_week(self, day: datetime.date) -> Iterable[LastAction]:
        """The last action about each appointment in the week of `day`."""
        since, until = (moment.isoformat() for moment in moments_of_week(day))
        return self._last_actions.within(since, until).values()

    def _of(self, hashes: Sequence[str]) -> Iterable[Row[Any]]:
        """Entries about these appointments, oldest first within each appointment."""
        return self._recorded.of(hashes)

    def _patient_of(self, appointment: str) -> str | None:
        """The patient of an appointment, from the scored lists or else from the log.

        The log hashes the number as it was sent, before a mapping replaced it by a pseudonym.
        """
        listed = None if self._ledger is None else self._ledger.patient_of(appointment)
        if listed is not None:
            return listed
        scored = select(ANSWERS.c.patient).where(ANSWERS.c.appointment == appointment)
        rows = self._log.query(scored.order_by(ANSWERS.c.number.desc()).limit(1))
        return None if not rows or rows[0].patient is None else str(rows[0].patient)

    def _update_ledger(self) -> None:
        """Update the calls database, so that the next list knows this contact."""
        try:
            notices = () if self._ledger is None else self._ledger.catch_up()
        except (UnusableError, StoreError) as error:
            notices = (str(error),)
        for notice in notices:
            _LOG.error("The calls database was not brought up to date: %s", notice)

    def hash_of(self, appointment_id: str) -> str:
        """The keyed hash under which an appointment is recorded.

        Raises
        ------
        StoreError
            If the secret cannot be read.
        """
        return self._hash_once(appointment_id)


def moments_of_week(day: datetime.date) -> tuple[datetime.datetime, datetime.datetime]:
    """The moments (UTC) at which the week of `day` begins and ends in England.

    >>> [str(moment) for moment in moments_of_week(datetime.date(2026, 7, 1))]
    ['2026-06-28 23:00:00+00:00', '2026-07-05 23:00:00+00:00']
    """
    monday = day - datetime.timedelta(days=day.weekday())
    ends = (monday, monday + datetime.timedelta(days=_DAYS_A_WEEK))
    start, end = (datetime.datetime.combine(each, datetime.time(), LOCAL_ZONE) for each in ends)
    return start.astimezone(datetime.UTC), end.astimezone(datetime.UTC)


def _replaced(
    connection: Connection, action: RecordedAction, appointment: str, *, seen: str | None
) -> RecordedAction | None:
    """The action that `action` replaces; None where none counts.

    Raises
    ------
    OutcomeChanged, _RecordedAlready
        If it must not be recorded.
    """
    last = select(ACTIONS).where(ACTIONS.c.appointment == appointment).order_by(ACTIONS.c.number.desc())
    row = connection.execute(last.limit(1)).first()
    if row is None:
        return None
    before = _taken(row)
    is_seen = seen is None or (seen != "" and before.at == datetime.datetime.fromisoformat(seen))
    same = _without_time(before) == _without_time(action)
    if same and (seen is None or not is_seen) and action.at - before.at < _RESENT_WITHIN:
        raise _RecordedAlready(before)
    if before.outcome is Outcome.WITHDRAWN:
        if action.outcome is Outcome.WITHDRAWN:  # it was withdrawn already
            raise _RecordedAlready(before)
        return None
    if not is_seen:
        raise OutcomeChanged(before)
    return before


def _without_time(action: RecordedAction) -> tuple[object, ...]:
    return action.outcome, action.requested_by, action.details, action.list_id


def _taken(row: Row[Any]) -> RecordedAction:
    at = datetime.datetime.fromisoformat(row.at)
    return RecordedAction(Outcome(row.outcome), at, row.asked_by, CallDetails.of_entry(row), row.list)


def _calls(clinic: str, site: str, outcomes: Counter[Outcome]) -> ClinicCalls:
    reached = sum(count for outcome, count in outcomes.items() if outcome.reached)
    return ClinicCalls(clinic, outcomes.total() - outcomes[Outcome.WITHDRAWN], reached, site)
