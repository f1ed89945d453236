"""Call mode: one patient a page, a key for the next patient, and a lock while somebody is calling.

Opening a line locks it. This change by a GET is harmless: a lock expires after 15 minutes and refuses no outcome. A
search is sent as a form, because an address with a patient's name would stay in logs and browser histories.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.call_actions import OutcomeChanged
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.error_responses import status_of
from dnapredict.service.pages.calls.call_forms import CHOOSE, CallForm
from dnapredict.service.pages.calls.call_view import CALL, CallDesk, CallView
from dnapredict.service.pages.lists.list_pages import list_not_found, worked_on
from dnapredict.service.pages.lists.list_view import ONE_LIST
from dnapredict.service.pages.posted_forms import body_text, whole_number
from dnapredict.service.pages.rendering import error_page

SEARCH: Final = "/search"
_LINE: Final = "{line:int}"
_LONGEST_QUERY: Final = 100
_LOG: Final = logging.getLogger("dnapredict.service")
_NO_LINE: Final = "This list was deleted, or it has no such line. Open the list again."
_ADD_LATER: Final = " It could not be stored. Try again later; if that fails too, ask the person who runs this service."


@dataclass(frozen=True)
class CallMode:
    """The routes of call mode."""

    desk: CallDesk

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of call mode."""
        return [
            Route(ONE_LIST + CALL, self.next, methods=["GET"]),
            Route(f"{ONE_LIST}{CALL}/{_LINE}", self.line, methods=["GET"]),
            Route(f"{ONE_LIST}{CALL}/{_LINE}", self.record, methods=["POST"]),
            Route(ONE_LIST + SEARCH, self.search, methods=["POST"]),
        ]

    def next(self, request: Request) -> Response:
        """The next line to call, after the line `after` if the address names one."""
        return self._answer(request, self._next)

    def line(self, request: Request) -> Response:
        """One line, locked for the person who opens it."""
        return self._answer(request, self._line)

    async def record(self, request: Request) -> Response:
        """Record what happened about a line, and go on to the next one."""
        return await run_in_threadpool(self._answer, request, self._record, body=await body_text(request))

    async def search(self, request: Request) -> Response:
        """The lines whose appointment number or name contains the search words."""
        return await run_in_threadpool(self._answer, request, self._search, body=await body_text(request))

    def _answer(self, request: Request, view: Any, **sent: str) -> Response:
        try:
            kept = self.desk.pages.lists.shown(request.path_params["list_id"])
            if kept is None:
                return list_not_found()
            response: Response = view(CallView(self.desk, request, kept), **sent)
        except DnapredictError as error:
            return error_page("This was not done", str(error), status=status_of(error))
        return response

    def _next(self, call: CallView) -> Response:
        return call.go_on(after=whole_number(call.request.query_params.get("after", "")) or 0, said=0)

    def _line(self, call: CallView) -> Response:
        number = call.request.path_params["line"]
        return call.line_page(number) if call.kept.row_at(number) else error_page("No such line", _NO_LINE, status=404)

    def _record(self, call: CallView, *, body: str) -> Response:
        number = call.request.path_params["line"]
        if call.kept.row_at(number) is None:
            return error_page("This was not recorded", _NO_LINE, status=404)
        form = CallForm.of(body)
        self.desk.pages.lists.hold(call.kept)
        try:
            if form.is_note_only:
                call.keep_note(number, form.note)
                return RedirectResponse(call.address(number), 303)
            self._record_outcome(call, number, form)
        except DataError as error:
            return call.line_page(number, form=form, complaint=str(error))
        except OutcomeChanged as changed:
            return call.conflict_page(number, form, changed.last)
        return self._after(call, number, form)

    def _record_outcome(self, call: CallView, number: int, form: CallForm) -> None:
        """Record the outcome of a form.

        Raises
        ------
        DataError
            If no outcome was chosen, or the time to call back is not one.
        OutcomeChanged
            If somebody else recorded one in the meantime.
        """
        if form.outcome is None:
            raise DataError(CHOOSE)
        row = call.kept.row_at(number) or {}
        details = form.details(now=call.now, zone=call.kept.heading.zone)
        self.desk.pages.actions.record(call.list_id, row, form.outcome, seen=form.seen, details=details)

    def _after(self, call: CallView, number: int, form: CallForm) -> Response:
        """Keep the note of a recorded call, and go on to the next one."""
        try:
            call.keep_note(number, form.note)
        except DnapredictError as error:
            _LOG.error("A note was not kept: %s", error)
            why = f" {error}" if isinstance(error, DataError) else _ADD_LATER
            return call.line_page(number, form=form, complaint=f"The outcome was recorded, but not the note.{why}")
        if form.outcome is Outcome.WITHDRAWN:
            return RedirectResponse(call.address(number), 303)
        return worked_on(call.request, call.kept, call.go_on(after=number, said=number))

    def _search(self, call: CallView, *, body: str) -> Response:
        words = CallForm.of(body).fields.get("words", "").strip()[:_LONGEST_QUERY]
        return call.search_page(words)
