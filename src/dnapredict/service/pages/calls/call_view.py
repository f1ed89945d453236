"""The pages of call mode: one line, the end of the queue, a search, and a conflict."""

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import StoreError
from dnapredict.service.api.team_lists import own_name
from dnapredict.service.auth.access_control import CALLER
from dnapredict.service.call_actions import RecordedAction
from dnapredict.service.call_outcomes import BARRIER_WORDS, OFFER_WORDS, WORDS, Outcome
from dnapredict.service.log.access_entries import seen_by
from dnapredict.service.log.answer_entries import REQUESTED_BY
from dnapredict.service.pages.calls.call_card import call_card, long_moment
from dnapredict.service.pages.calls.call_forms import CALL_BACK_PROBLEMS, CallForm
from dnapredict.service.pages.calls.call_queue import CallQueue, WaitingLine, call_queue
from dnapredict.service.pages.lists.entry_forms import recorded_at, whose_entry
from dnapredict.service.pages.lists.list_pages import ListPages
from dnapredict.service.pages.lists.list_view import OFFERED, RecordedOutcome, list_address, outcome_shown
from dnapredict.service.pages.posted_forms import whole_number
from dnapredict.service.pages.rendering import local_day, page
from dnapredict.worklist.calls.attempts import NextStep
from dnapredict.worklist.calls.call_locks import CallLock, CallLocks
from dnapredict.worklist.files import contact_details
from dnapredict.worklist.files.contact_table import ContactDetails
from dnapredict.worklist.files.kept_list import KeptList

CALL: Final = "/call"
_MOST_FOUND: Final = 50
# "Wishes to be called again" is only for somebody who wished not to be called.
_WITHOUT_WISH: Final = tuple(
    (words, tuple(each for each in group if each[0] != Outcome.CALLS_WISHED)) for words, group in OFFERED
)
# Access keys of the outcomes that are recorded most.
_KEYS: Final = {Outcome.CONFIRMED: "c", Outcome.NO_ANSWER: "a", Outcome.MESSAGE_LEFT: "m", Outcome.CALL_BACK: "b"}
_MOST_IN_HISTORY: Final = 3
_LOG: Final = logging.getLogger("dnapredict.service")


@dataclass(frozen=True)
class CallDesk:
    """The resources of call mode: the pages of lists, their home, and its locks."""

    pages: ListPages

    @property
    def home(self) -> Path:
        """The home of the lists and their contact details."""
        return self.pages.lists.home

    @property
    def locks(self) -> CallLocks:
        """Who is calling."""
        return CallLocks(self.home)


@dataclass(frozen=True)
class FoundLine:
    """A line of the list in a table of call mode: its number, patient, time and next step."""

    number: int
    name: str
    appointment_id: str
    when: str
    words: str = ""


class CallView:
    """The pages of call mode for one request about one list."""

    def __init__(self, desk: CallDesk, request: Request, kept: KeptList) -> None:
        """Read nothing yet."""
        self.desk, self.request, self.kept = desk, request, kept
        self.list_id = kept.heading.list_id
        self.now = datetime.datetime.now(datetime.UTC)
        self._caller = request.scope.get(CALLER, REQUESTED_BY.get())
        self._said_line = whole_number(request.query_params.get("said", "")) or 0

    @cached_property
    def queue(self) -> CallQueue:
        """The remaining calls of the list.

        Raises
        ------
        StoreError
            If what was recorded cannot be read.
        """
        actions = self.desk.pages.actions
        return call_queue(
            self.kept,
            entries_of=actions.entries,
            opted_out=actions.opted_out,
            most_attempts=self._worklist.attempts,
            unanswered_action=self._worklist.unanswered_action,
            now=self.now,
            assigned=self.desk.pages.lists.colleagues_by_line(self.kept),
            person=own_name(),
        )

    def address(self, number: int, *, said: int = 0) -> str:
        """The address of the page of a line, with a message about the outcome recorded for the line `said`."""
        query = f"?said={said}" if said else ""
        return f"{list_address(self.list_id)}{CALL}/{number}{query}#call"

    def go_on(self, *, after: int, said: int) -> Response:
        """A redirect to the next line that no colleague is calling; without one, the page of the end."""
        held = self.desk.locks.held()
        for line in self.queue.after(after):
            lock = held.get(self._hash(line.appointment_id))
            if lock is None or lock.caller == self._caller:
                # Locked here already, so that two clerks who press "next" at the same time get different lines. This
                # also ends the lock of the line before.
                taken = self._take(line.appointment_id)
                if taken is None or taken.caller == self._caller:
                    return RedirectResponse(self.address(line.number, said=said), 303)
        self.release()
        self._said_line = said
        return self.end_page()

    def line_page(self, number: int, *, form: CallForm | None = None, complaint: str = "") -> Response:
        """The page of one line; with `form`, it shows the sent values again with the `complaint`."""
        row = self.kept.row_at(number) or {}
        appointment_id = row["appointment_id"]
        seen_by(self.request).appointment_id = appointment_id
        done = self.desk.pages.actions.entries([appointment_id]).get(appointment_id, ())
        lock = self._take(appointment_id)
        is_colleagues = lock is not None and lock.caller != self._caller
        details, notes = self._near
        empty = {"barrier": "", "offered": "", "call_back_at": "", "note": notes.get(number, "")}
        is_out = bool(self.desk.pages.actions.opted_out([appointment_id]))
        return self._page(
            "call.html",
            status=400 if complaint else 200,
            card=call_card(
                row,
                details.get(number),
                worklist=self._worklist,
                zone=self.kept.heading.zone,
            ),
            number=number,
            row=row,
            action=self._worklist.opted_out_action if is_out else self._action(number, row),
            is_out=is_out,
            outcomes=OFFERED if is_out else _WITHOUT_WISH,
            step=self.queue.step_of(number),
            last=self._last(done),
            history=[self._shown(each) for each in _newest_valid(done)],
            seen=done[-1].at.isoformat() if done else "",
            colleague=self._name(lock) if lock is not None and is_colleagues else "",
            until=_clock(lock, self.kept.heading.zone),
            fields=empty | dict(form.fields if form else {}),
            keys=_KEYS,
            complaint=complaint,
            is_about_time=complaint in CALL_BACK_PROBLEMS,
            earliest=_local_minute(self.now, self.kept.heading.zone),
        )

    def end_page(self) -> Response:
        """The page when there is no call to make now: later calls, colleagues' calls, and patients to write to."""
        queue, held = self.queue, self.desk.locks.held()
        details = contact_details.read(self.desk.home, self.list_id)
        ids = self.kept.page_rows["appointment_id"].drop_null().to_pylist()
        elsewhere = self.desk.pages.actions.call_backs_due(self.now, besides=ids)
        locks = {line: held.get(self._hash(line.appointment_id)) for line in queue.ready}
        return self._page(
            "call_end.html",
            later=[self._found(line, details, self._when_again(line)) for line in queue.later],
            with_colleagues=[
                *(self._found(line, details, f"{self._name(lock)} is calling") for line, lock in locks.items() if lock),
                *(self._found(line, details, f"Handed over to {line.assigned_to}") for line in queue.with_colleagues),
            ],
            to_write=[self._found(line, details, "") for line in queue.to_write],
            unanswered_action=self._worklist.unanswered_action,
            over=queue.over,
            has_calls=bool(self.kept.calls),
            elsewhere=self._lists_with_call_backs(elsewhere),
        )

    def search_page(self, words: str) -> Response:
        """The lines whose number or name contains `words`, at most 50."""
        details = contact_details.read(self.desk.home, self.list_id)
        wanted = words.casefold()
        ids = self.kept.page_rows["appointment_id"].to_pylist()
        found = [
            number
            for number, appointment_id in enumerate(ids, start=1)
            if wanted and appointment_id and _matches(wanted, appointment_id, details.get(number))
        ]
        rows = ((number, self.kept.row_at(number)) for number in found[:_MOST_FOUND])
        shown = [self._as_found(number, row, details.get(number), "") for number, row in rows if row]
        return self._page("call_search.html", words=words, found=shown, total=len(found))

    def conflict_page(self, number: int, form: CallForm, last: RecordedAction) -> Response:
        """The page with an outcome that a colleague has recorded meanwhile; it asks whether to replace it."""
        zone = self.kept.heading.zone
        seen_by(self.request).appointment_id = (self.kept.row_at(number) or {}).get("appointment_id") or ""
        return self._page(
            "outcome_changed.html",
            status=409,
            name=self.kept.heading.name,
            line=self.kept.row_at(number),
            fields={**form.fields, "outcome": form.outcome, "seen": last.at.isoformat()},
            words=WORDS[form.outcome or Outcome.WITHDRAWN],
            last=self._shown(last),
            whose=whose_entry(last, self.desk.pages.who),
            at=recorded_at(last.at, zone, today=local_day(self.now, zone)),
            action=self.address(number).removesuffix("#call"),
            back=self.address(number),
            back_to="this patient",
        )

    def keep_note(self, number: int, text: str | None) -> None:
        """Keep the note with the contact details, if it changed."""
        if text is None or text.strip() == self._near[1].get(number, "").strip():
            return
        retention = self.desk.pages.lists.retention
        until = contact_details.last_day(self.kept, contact_days=retention.contact_days)
        today = self.now.astimezone(self.kept.heading.zone).date()
        until = until or today + datetime.timedelta(days=retention.contact_days)
        contact_details.set_note(self.desk.home, self.list_id, number, text, until=until)

    @cached_property
    def _worklist(self) -> WorklistConfig:
        """The configuration, read once for a page."""
        return self.desk.pages.worklist()

    @cached_property
    def _near(self) -> tuple[Mapping[int, ContactDetails], Mapping[int, str]]:
        """Contact details of the line of this page and of the one that was recorded before it, and notes."""
        lines = [self.request.path_params.get("line", 0), self._said_line]
        return contact_details.read_with_notes(self.desk.home, self.list_id, lines)

    def release(self) -> None:
        """Give up the lock of this caller."""
        try:
            self.desk.locks.release(self._caller)
        except StoreError as error:  # the lock expires
            _LOG.error("%s", error)

    def _take(self, appointment_id: str) -> CallLock | None:
        """Lock a line; None if locks cannot be written, since calls can be made without them."""
        try:
            return self.desk.locks.take(self._hash(appointment_id), caller=self._caller, key_id=REQUESTED_BY.get())
        except StoreError as error:
            _LOG.error("%s", error)
            return None

    def _page(self, template: str, *, status: int = 200, **shown: Any) -> Response:
        base = {
            "kept": self.kept.heading,
            "list_address": list_address(self.list_id),
            "left": self.queue.left,
            "said": self._said(),
            "barriers": BARRIER_WORDS,
            "offers": OFFER_WORDS,
            "mistake": Outcome.WITHDRAWN,
        }
        return page(
            template,
            here=self.desk.pages.here(self.kept, self.request),
            status=status,
            synthetic=self.kept.heading.synthetic,
            **{**base, **shown},
        )

    def _said(self) -> Mapping[str, Any] | None:
        """The outcome that was recorded just before this page, for the Undo button; None if there is none."""
        number = self._said_line
        row = self.kept.row_at(number)
        action = None if row is None else self.desk.pages.actions.latest([row["appointment_id"]]).values()
        if row is None or not action:
            return None
        last = next(iter(action))
        known = self._near[0].get(number)
        who = (known.name if known else None) or f"appointment {row['appointment_id']}"
        back = last.details.call_back_at
        words = WORDS[last.outcome] + (f" on {long_moment(back, self.kept.heading.zone)}" if back else "")
        return {"number": number, "who": who, "words": words, "seen": last.at.isoformat()}

    def _action(self, number: int, row: Mapping[str, Any]) -> str:
        if self.queue.step_of(number) is NextStep.WRITE:
            return self._worklist.unanswered_action
        return row["action"] or ""

    def _last(self, done: Sequence[RecordedAction]) -> RecordedOutcome | None:
        return self._shown(done[-1]) if done and done[-1].outcome is not Outcome.WITHDRAWN else None

    def _shown(self, action: RecordedAction) -> RecordedOutcome:
        return outcome_shown(action, who=self.desk.pages.who, zone=self.kept.heading.zone)

    def _found(self, line: WaitingLine, details: Mapping[int, ContactDetails], words: str) -> FoundLine:
        return self._as_found(line.number, self.kept.row_at(line.number) or {}, details.get(line.number), words)

    def _as_found(self, number: int, row: Mapping[str, Any], known: ContactDetails | None, words: str) -> FoundLine:
        when = long_moment(row["starts_at"], self.kept.heading.zone)
        return FoundLine(number, (known.name if known else None) or "", row["appointment_id"], when, words)

    def _when_again(self, line: WaitingLine) -> str:
        if line.call_back_at is None:
            return "At another time of day"
        return f"Call back on {long_moment(line.call_back_at, self.kept.heading.zone)}"

    def _lists_with_call_backs(self, due: Mapping[str, int]) -> list[tuple[str, str, int]]:
        """Address, name and number of call-backs of each other list that is still kept."""
        names = {heading.list_id: heading.name for heading in self.desk.pages.lists.headings()} if due else {}
        return [(f"{list_address(each)}{CALL}", names[each], count) for each, count in due.items() if each in names]

    def _name(self, lock: CallLock) -> str:
        if lock.key_id == REQUESTED_BY.get():
            return "Somebody with your key"
        return self.desk.pages.who(lock.key_id) or "A colleague"

    def _hash(self, appointment_id: str) -> str:
        return self.desk.pages.actions.hash_of(appointment_id)


def _newest_valid(done: Sequence[RecordedAction]) -> list[RecordedAction]:
    """The latest actions that were not taken back, the newest first; the list page shows all of them."""
    valid: list[RecordedAction] = []
    for action in done:
        if action.outcome is not Outcome.WITHDRAWN:
            valid.append(action)
        elif valid:
            valid.pop()
    return valid[: -_MOST_IN_HISTORY - 1 : -1]


def _matches(wanted: str, appointment_id: str, known: ContactDetails | None) -> bool:
    name = (known.name if known else None) or ""
    is_name = bool(name) and all(word in name.casefold() for word in wanted.split())
    return is_name or wanted in appointment_id.casefold()


def _clock(lock: CallLock | None, zone: datetime.tzinfo) -> str:
    return "" if lock is None else f"{datetime.datetime.fromtimestamp(lock.until, zone):%H:%M}"


def _local_minute(moment: datetime.datetime, zone: datetime.tzinfo) -> str:
    """A time in the format of the `min` attribute of a field for a time."""
    return f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}"
