"""The forms that change a list: correct a cell, hand lines over to a colleague, and delete the list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DnapredictError
from dnapredict.service.api.team_lists import may_delete_list
from dnapredict.service.error_responses import status_of
from dnapredict.service.log.access_entries import Access, seen_by
from dnapredict.service.pages.lists.list_pages import ListPages, list_not_found, worked_on
from dnapredict.service.pages.lists.list_query import ListQuery
from dnapredict.service.pages.lists.list_slice import slice_list
from dnapredict.service.pages.lists.list_view import LIST_PAGES, ONE_LIST, list_address
from dnapredict.service.pages.posted_forms import PostedForm, body_text
from dnapredict.service.pages.rendering import error_page, page
from dnapredict.worklist.files.kept_list import KeptList

MEND: Final = "/mend"
ASSIGN: Final = "/assign"
DELETE: Final = "/delete"
_NOT_YOURS: Final = "Only a lead of the list's team or an administrator may delete this list."
_MOST_FIELDS: Final = 10
_GONE: Final = "The list was deleted, or the row is scored already. Open the list again."


@dataclass(frozen=True)
class RowForms:
    """The forms that change the lists of a home."""

    pages: ListPages

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the forms."""
        return [
            Route(ONE_LIST + MEND, self.mend, methods=["POST"]),
            Route(ONE_LIST + ASSIGN, self.assign, methods=["POST"]),
            Route(ONE_LIST + DELETE, self.delete, methods=["GET", "POST"]),
        ]

    async def mend(self, request: Request) -> Response:
        """Score a row again with the corrected values, and return to the remaining rows."""
        return await run_in_threadpool(self._mend, request, await body_text(request))

    async def assign(self, request: Request) -> Response:
        """Hand the lines on the page over to a colleague, and return to the page."""
        return await run_in_threadpool(self._assign, request, await body_text(request))

    def _mend(self, request: Request, body: str) -> Response:
        try:
            form = PostedForm.of(body, most_fields=_MOST_FIELDS)
            list_id = request.path_params["list_id"]
            kept = self.pages.scoring.mend(list_id, form.line, self._cells(list_id, form.fields))
        except DnapredictError as error:
            return error_page("The row was not scored", str(error), status=status_of(error))
        if kept is None:
            return error_page("The row was not scored", _GONE, status=404)
        left = kept.heading.counts.not_scored
        query = ListQuery.of(request.query_params).query(show="not-scored" if left else "to-call", mended=form.line)
        return worked_on(request, kept, RedirectResponse(f"{list_address(list_id)}{query}#list", 303))

    def _cells(self, list_id: str, fields: Mapping[str, str]) -> dict[str, str]:
        """The new values by the column of the file."""
        unscored = self.pages.lists.unscored(list_id)
        columns = () if unscored is None else unscored.columns
        sent = {f"cell-{number}": name for number, name in enumerate(columns, start=1)}
        return {sent[key]: value.strip() for key, value in fields.items() if key in sent}

    def _assign(self, request: Request, body: str) -> Response:
        try:
            to = " ".join(PostedForm.of(body, most_fields=_MOST_FIELDS).text("colleague").split())
            kept = self.pages.lists.shown(request.path_params["list_id"])
            if kept is None:
                return error_page("Nothing was handed over", _GONE, status=404)
            self.pages.lists.hold(kept)
            list_query = ListQuery.of(request.query_params)
            self.pages.lists.assign(kept, self._lines(kept, list_query), to=to)
        except DnapredictError as error:
            return error_page("Nothing was handed over", str(error), status=status_of(error))
        query = list_query.without(("assigned",)).query()
        return RedirectResponse(f"{list_address(kept.heading.list_id)}{query}#list", 303)

    def delete(self, request: Request) -> Response:
        """Show what is deleted with a list and what is kept; delete the list when the form is sent."""
        try:
            kept = self.pages.lists.shown(request.path_params["list_id"])
            if kept is None:
                return list_not_found()
            if not may_delete_list(kept.heading):
                return error_page("This list was not deleted", _NOT_YOURS, status=403)
            if request.method != "POST":
                return self._deletion_page(kept, request)
            self.pages.lists.delete(kept)
            seen_by(request).access = Access.DELETED
            seen_by(request).list_id = kept.heading.list_id
        except DnapredictError as error:
            return error_page("This list was not deleted", str(error), status=status_of(error))
        return RedirectResponse(LIST_PAGES, 303)

    def _deletion_page(self, kept: KeptList, request: Request) -> Response:
        latest = self.pages.actions.latest(each for each in kept.page_rows["appointment_id"].to_pylist() if each)
        return page(
            "list_delete.html",
            here=self.pages.here(kept, request),
            synthetic=kept.heading.synthetic,
            kept=kept.heading,
            address=list_address(kept.heading.list_id),
            left=sum(each not in latest for each in kept.calls),
            call_backs=sum(action.details.call_back_at is not None for action in latest.values()),
        )

    def _lines(self, kept: KeptList, list_query: ListQuery) -> Sequence[int]:
        assigned = self.pages.lists.colleagues_by_line(kept)
        return slice_list(kept, list_query, latest_of=self.pages.actions.latest, assigned=assigned).numbers
