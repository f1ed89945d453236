"""The form of a list page: the outcome of a call."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DnapredictError
from dnapredict.service.auth.staff import SIGNED_IN
from dnapredict.service.call_actions import OutcomeChanged, RecordedAction
from dnapredict.service.call_outcomes import WORDS, Outcome
from dnapredict.service.error_responses import status_of
from dnapredict.service.log.answer_entries import REQUESTED_BY
from dnapredict.service.pages.lists.list_pages import ListPages, worked_on
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_view import ONE_LIST, Who, list_address, outcome_shown
from dnapredict.service.pages.posted_forms import PostedForm, body_text
from dnapredict.service.pages.rendering import error_page, local_day, moment_words, page
from dnapredict.worklist.files.kept_list import KeptList
from dnapredict.worklist.plan.working_days import local_today

OUTCOMES: Final = "/outcomes"
_MOST_FIELDS: Final = 5
_GONE: Final = "This list was deleted, or it has no such line. Open the list again."


@dataclass(frozen=True)
class EntryForms:
    """The form for outcomes on the pages of a home's lists."""

    pages: ListPages

    def routes(self) -> Sequence[BaseRoute]:
        """The route of the form."""
        return [
            Route(ONE_LIST + OUTCOMES, self.record, methods=["POST"]),
        ]

    async def record(self, request: Request) -> Response:
        """Record the outcome for one line, and return to the same part of the list."""
        return await run_in_threadpool(self._record, request, await body_text(request))

    def _record(self, request: Request, body: str) -> Response:
        try:
            kept = self.pages.lists.shown(request.path_params["list_id"])
            form = PostedForm.of(body, most_fields=_MOST_FIELDS)
            outcome, seen = form.choice("outcome", Outcome), form.seen
            line = None if kept is None else kept.row_at(form.line)
            if kept is None or line is None:
                return error_page("This was not recorded", _GONE, status=404)
            if outcome is None:
                return self.pages.show(kept, request, here=self.pages.here(kept, request), wrong=form.line)
            self.pages.lists.hold(kept)
            try:
                self.pages.actions.record(kept.heading.list_id, line, outcome, seen=seen)
            except OutcomeChanged as changed:
                return self._conflict_page(request, kept, form, changed.last)
        except DnapredictError as error:
            return error_page("This was not recorded", str(error), status=status_of(error))
        return worked_on(request, kept, RedirectResponse(f"{_back(request, kept, form.line)}#said", 303))

    def _conflict_page(self, request: Request, kept: KeptList, form: PostedForm, last: RecordedAction) -> Response:
        """Show the outcome that somebody else recorded in the meantime, and ask for confirmation."""
        outcome = form.choice("outcome", Outcome)
        return page(
            "outcome_changed.html",
            here=self.pages.here(kept, request),
            status=409,
            synthetic=kept.heading.synthetic,
            name=kept.heading.name,
            line=kept.row_at(form.line),
            fields={"line": form.line, "outcome": outcome, "seen": last.at.isoformat()},
            words=WORDS[outcome or Outcome.WITHDRAWN],
            last=outcome_shown(last, who=self.pages.who, zone=kept.heading.zone),
            whose=whose_entry(last, self.pages.who),
            at=recorded_at(last.at, kept.heading.zone, today=local_today(kept.heading.zone)),
            action=f"{list_address(kept.heading.list_id)}{OUTCOMES}{ListQuery.of(request.query_params).query()}",
            back=f"{_back(request, kept, 0)}#line-{form.line}",
            back_to="the list",
        )


def _back(request: Request, kept: KeptList, number: int) -> str:
    """The address of the list page from which the form was sent."""
    return f"{list_address(kept.heading.list_id)}{ListQuery.of(request.query_params).query(said=number)}"


def whose_entry(last: RecordedAction, who: Who) -> str:
    """Who recorded it, as a sentence begins; a team may share a key."""
    if last.requested_by != REQUESTED_BY.get():
        return who(last.requested_by) or "Another colleague"
    person = SIGNED_IN.get()
    return "Somebody with your key" if person is None or person.is_shared else "You"


def recorded_at(moment: datetime.datetime, zone: datetime.tzinfo, *, today: datetime.date) -> str:
    """When something was recorded, as a sentence ends; without the day if that is `today`."""
    day, _, time = moment_words(moment, zone).rpartition(", ")
    return f"at {time}" if local_day(moment, zone) == today else f"on {day} at {time}"
