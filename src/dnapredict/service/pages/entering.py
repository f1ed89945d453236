"""What a clerk enters: a list to score, and what happened with an appointment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.list_routes import uploaded
from dnapredict.service.middleware.access import HOLDER
from dnapredict.service.outcomes import Outcome
from dnapredict.service.pages.asked import Asked
from dnapredict.service.pages.list_pages import ListPages, no_list
from dnapredict.service.pages.rendering import page, trouble_page
from dnapredict.service.pages.view import LIST_PAGES
from dnapredict.service.refusing import status_of

__all__ = ["OUTCOMES", "UPLOAD", "Entering"]

UPLOAD: Final = "/upload"
OUTCOMES: Final = "/outcomes"
_MOST_FIELDS: Final = 5
_MOST_DIGITS: Final = 6


@dataclass(frozen=True)
class Entering:
    """The forms of the pages of a home's lists."""

    pages: ListPages

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the forms."""
        return [
            Route(LIST_PAGES + "/{list_id}" + OUTCOMES, self.record, methods=["POST"]),
            Route(UPLOAD, self.form, methods=["GET"]),
            Route(UPLOAD, self.upload, methods=["POST"]),
        ]

    async def record(self, request: Request) -> Response:
        """Put down what happened with one line, and go back to where it stood."""
        body = (await request.body()).decode("utf-8", "replace")
        return await run_in_threadpool(self._record, request, body)

    def form(self, request: Request) -> Response:
        """The form to score a list."""
        return page("upload_page.html", here=UPLOAD, signed_in=HOLDER in request.scope, complaint="")

    async def upload(self, request: Request) -> Response:
        """Score the list that was sent, and show it."""
        try:
            name, content = await uploaded(request)
            scored = await run_in_threadpool(self.pages.lists.score, content, name=name)
        except DnapredictError as error:
            signed_in = HOLDER in request.scope
            said, status = str(error), status_of(error)
            return page("upload_page.html", here=UPLOAD, status=status, signed_in=signed_in, complaint=said)
        return RedirectResponse(f"{LIST_PAGES}/{scored.heading.list_id}", 303)

    def _record(self, request: Request, body: str) -> Response:
        try:
            found = self.pages.lists.shown(request.path_params["list_id"])
            number, outcome = _sent(body)
            line = None if found is None else found.line_at(number)
            if found is None or line is None:
                return no_list()
            if outcome is None:
                return self.pages.show(found, request, here=self.pages.here(found), wrong=number)
            self.pages.actions.record(found.heading.list_id, line, outcome)
        except DnapredictError as error:
            return trouble_page("This was not recorded", str(error), status=status_of(error))
        back = Asked.of(request.query_params).query(said=number)
        return RedirectResponse(f"{LIST_PAGES}/{found.heading.list_id}{back}#said", 303)


def _sent(body: str) -> tuple[int, Outcome | None]:
    """The line and the outcome of a form; 0 for a line that is none, None for an outcome that is none.

    Raises
    ------
    DataError
        If it is no such form.
    """
    try:
        fields = parse_qs(body, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise DataError("The form could not be read. Go back and try again.") from None
    line, outcome = (fields.get(name, [""])[0] for name in ("line", "outcome"))
    number = int(line) if line.isascii() and line.isdigit() and len(line) <= _MOST_DIGITS else 0
    return number, Outcome(outcome) if outcome in {each.value for each in Outcome} else None
