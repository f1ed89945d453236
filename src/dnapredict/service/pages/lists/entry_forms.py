"""The form of a list page: the outcome of a call."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.auth.staff import SIGNED_IN
from dnapredict.service.call_actions import WORDS, Outcome, OutcomeChanged, RecordedAction
from dnapredict.service.error_responses import status_of
from dnapredict.service.log.answer_entries import REQUESTED_BY
from dnapredict.service.pages.lists.list_pages import ListPages, worked_on
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_view import LIST_PAGES, Who, outcome_shown
from dnapredict.service.pages.rendering import error_page, local_day, moment_words, page
from dnapredict.worklist.files.list_store import KeptList
from dnapredict.worklist.plan.working_days import local_today

OUTCOMES: Final = "/outcomes"
_MOST_FIELDS: Final = 5
_MOST_DIGITS: Final = 6
_GONE: Final = "This list was deleted, or it has no such line. Open the list again."


@dataclass(frozen=True)
class EntryForms:
    """The form for outcomes on the pages of a home's lists."""

    pages: ListPages

    def routes(self) -> Sequence[BaseRoute]:
        """The route of the form."""
        return [
            Route(LIST_PAGES + "/{list_id}" + OUTCOMES, self.record, methods=["POST"]),
        ]

    async def record(self, request: Request) -> Response:
        """Record the outcome for one line, and return to the same part of the list."""
        body = (await request.body()).decode("utf-8", "replace")
        return await run_in_threadpool(self._record, request, body)

    def _record(self, request: Request, body: str) -> Response:
        try:
            kept = self.pages.lists.shown(request.path_params["list_id"])
            sent = _Sent.of(body)
            line = None if kept is None else kept.row_at(sent.number)
            if kept is None or line is None:
                return error_page("This was not recorded", _GONE, status=404)
            if sent.outcome is None:
                return self.pages.show(kept, request, here=self.pages.here(kept, request), wrong=sent.number)
            self.pages.lists.hold(kept)
            try:
                self.pages.actions.record(kept.heading.list_id, line, sent.outcome, seen=sent.seen)
            except OutcomeChanged as changed:
                return self._conflict_page(request, kept, sent, changed.last)
        except DnapredictError as error:
            return error_page("This was not recorded", str(error), status=status_of(error))
        return worked_on(kept, RedirectResponse(f"{_back(request, kept, sent.number)}#said", 303))

    def _conflict_page(self, request: Request, kept: KeptList, sent: "_Sent", last: RecordedAction) -> Response:
        """Show the outcome that somebody else recorded in the meantime, and ask for confirmation."""
        return page(
            "outcome_changed.html",
            here=self.pages.here(kept, request),
            status=409,
            synthetic=kept.heading.synthetic,
            name=kept.heading.name,
            line=kept.row_at(sent.number),
            fields={"line": sent.number, "outcome": sent.outcome, "seen": last.at.isoformat()},
            words=WORDS[sent.outcome or Outcome.WITHDRAWN],
            last=outcome_shown(last, who=self.pages.who, zone=kept.heading.zone),
            whose=whose_entry(last, self.pages.who),
            at=_at(last.at, kept.heading.zone),
            action=f"{LIST_PAGES}/{kept.heading.list_id}{OUTCOMES}{ListQuery.of(request.query_params).query()}",
            back=f"{_back(request, kept, 0)}#line-{sent.number}",
            back_to="the list",
        )


@dataclass(frozen=True)
class _Sent:
    """The content of a form.

    Attributes
    ----------
    number
        The line; 0 if it is not a number.
    outcome
        None if it is not one of the outcomes.
    seen
        Time of the outcome that the form showed, "" for none; None if the form has no such field.
    """

    number: int
    outcome: Outcome | None
    seen: str | None

    @classmethod
    def of(cls, body: str) -> "_Sent":
        """Read it from a form.

        Raises
        ------
        DataError
            If the body is not such a form.
        """
        try:
            fields = parse_qs(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
            line, outcome = (fields.get(name, [""])[0] for name in ("line", "outcome"))
            seen = fields["seen"][0] if "seen" in fields else None
            if seen:
                datetime.datetime.fromisoformat(seen)
        except ValueError:
            raise DataError("The form could not be read. Go back and try again.") from None
        number = int(line) if line.isascii() and line.isdigit() and len(line) <= _MOST_DIGITS else 0
        return cls(number, Outcome(outcome) if outcome in {each.value for each in Outcome} else None, seen)


def _back(request: Request, kept: KeptList, number: int) -> str:
    """The address of the list page from which the form was sent."""
    return f"{LIST_PAGES}/{kept.heading.list_id}{ListQuery.of(request.query_params).query(said=number)}"


def whose_entry(last: RecordedAction, who: Who) -> str:
    """Who recorded it, as a sentence begins; a team may share a key."""
    if last.requested_by != REQUESTED_BY.get():
        return who(last.requested_by) or "Another colleague"
    person = SIGNED_IN.get()
    return "Somebody with your key" if person is None or person.is_shared else "You"


def _at(moment: datetime.datetime, zone: datetime.tzinfo) -> str:
    """The time, without the day if that is today."""
    day, _, time = moment_words(moment, zone).rpartition(", ")
    return f"at {time}" if local_day(moment, zone) == local_today(zone) else f"on {day} at {time}"
