"""The lists as pages: the newest, the recent ones, one with its filters, what happened, a file of it."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.config.worklist import WorklistConfig
from dnapredict.errors import DataError, DnapredictError
from dnapredict.lists.kept import Heading, KeptList
from dnapredict.service.actions import Actions
from dnapredict.service.list_routes import in_form, uploaded
from dnapredict.service.middleware.access import HOLDER
from dnapredict.service.outcomes import Outcome
from dnapredict.service.pages.asked import Asked
from dnapredict.service.pages.moments import day_words, moment_words, today
from dnapredict.service.pages.rendering import page, trouble_page
from dnapredict.service.pages.view import LIST_PAGES, OFFERED, view_of
from dnapredict.service.refusing import status_of
from dnapredict.service.uploads import KeptLists
from dnapredict.service.week import Progress, Week, of_calls, of_week

__all__ = ["OUTCOMES", "UPLOAD", "ListPages"]

UPLOAD: Final = "/upload"
OUTCOMES: Final = "/outcomes"
_FILE: Final = "/file"
# A clinic's specialty is looked for in lists so far back; older ones are worked through.
_DAYS_BACK: Final = 14
_MOST_FIELDS: Final = 5
_CHOOSE: Final = "Choose what happened, then record it."

View = Callable[["ListPages", Request], Response]


@dataclass(frozen=True)
class Recent:
    """A kept list in the table of recent ones."""

    heading: Heading
    address: str
    scored_at: str
    progress: Progress


def _in_words(view: View) -> View:
    """The view, with a page that says what is wrong in the place of an error of ours."""

    @wraps(view)
    def shown(pages: "ListPages", request: Request) -> Response:
        try:
            return view(pages, request)
        except DnapredictError as error:
            return trouble_page("The list cannot be shown", str(error), status=status_of(error))

    return shown


@dataclass(frozen=True)
class ListPages:
    """The pages of the lists of a home.

    `worklist` tells how many calls a week has; it is asked for at each page, so that a change is seen.
    """

    lists: KeptLists
    actions: Actions
    worklist: Callable[[], WorklistConfig]

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the pages."""
        one = LIST_PAGES + "/{list_id}"
        return [
            Route("/", self.newest),
            Route(LIST_PAGES, self.recent, methods=["GET"]),
            Route(one, self.one, methods=["GET"]),
            Route(one + _FILE, self.file, methods=["GET"]),
            Route(one + OUTCOMES, self.record, methods=["POST"]),
            Route(UPLOAD, self.form, methods=["GET"]),
            Route(UPLOAD, self.upload, methods=["POST"]),
        ]

    @_in_words
    def newest(self, request: Request) -> Response:
        """The list that was scored last."""
        found = self.lists.newest()
        if found is None:
            return page("no_list.html", here="/", signed_in=HOLDER in request.scope, complaint="")
        return self._shown(found, request, here="/")

    @_in_words
    def one(self, request: Request) -> Response:
        """The list whose id is in the address."""
        found = self.lists.shown(request.path_params["list_id"])
        return _no_list() if found is None else self._shown(found, request, here=self._here(found))

    @_in_words
    def recent(self, request: Request) -> Response:
        """Every list that is kept, newest first, and how far the week has come."""
        headings = self.lists.every()
        return page(
            "lists.html",
            here=LIST_PAGES,
            signed_in=HOLDER in request.scope,
            synthetic=any(heading.synthetic for heading in headings),
            retention=self.lists.retention,
            recent=[recent for heading in headings if (recent := self._recent(heading))],
            **self._of_week(),
        )

    @_in_words
    def file(self, request: Request) -> Response:
        """The list as a workbook or CSV, with what was recorded."""
        found = self.lists.shown(request.path_params["list_id"])
        if found is None:
            return _no_list()
        return in_form(found, request.query_params.get("form", "xlsx"), actions=self.actions)

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
            await run_in_threadpool(self.lists.score, content, name=name)
        except DnapredictError as error:
            signed_in = HOLDER in request.scope
            said, status = str(error), status_of(error)
            return page("upload_page.html", here=UPLOAD, status=status, signed_in=signed_in, complaint=said)
        return RedirectResponse("/", 303)

    def _record(self, request: Request, body: str) -> Response:
        try:
            found = self.lists.shown(request.path_params["list_id"])
            number, outcome = _sent(body)
            line = None if found is None else found.line_at(number)
            if found is None or line is None:
                return _no_list()
            if outcome is None:
                return self._shown(found, request, here=self._here(found), wrong=number)
            self.actions.record(found.heading.list_id, line, outcome)
        except DnapredictError as error:
            return trouble_page("This was not recorded", str(error), status=status_of(error))
        back = Asked.of(request.query_params).query(said=number)
        return RedirectResponse(f"{LIST_PAGES}/{found.heading.list_id}{back}#said", 303)

    def _shown(self, found: KeptList, request: Request, *, here: str, wrong: int = 0) -> Response:
        asked = Asked.of(request.query_params)
        return page(
            "list.html",
            here=here,
            status=400 if wrong else 200,
            signed_in=HOLDER in request.scope,
            synthetic=found.heading.synthetic,
            found=found.heading,
            newest=here == "/",
            view=view_of(found, asked, taken_of=self.actions.latest),
            offered=OFFERED,
            mistake=Outcome.WITHDRAWN,
            wrong=wrong,
            complaint=_CHOOSE,
            **self._of_week(),
        )

    def _here(self, found: KeptList) -> str:
        last = self.lists.newest()
        return "/" if last is not None and last.heading.list_id == found.heading.list_id else LIST_PAGES

    def _recent(self, heading: Heading) -> Recent | None:
        found = self.lists.shown(heading.list_id)
        if found is None:  # removed a moment ago
            return None
        calls = found.calls
        return Recent(
            heading,
            f"{LIST_PAGES}/{heading.list_id}",
            moment_words(heading.scored_at),
            of_calls(calls, self.actions.latest(calls)),
        )

    def _of_week(self) -> dict[str, Any]:
        day = today()
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=_DAYS_BACK)
        found = [self.lists.shown(each.list_id) for each in self.lists.every() if each.scored_at >= since]
        week = of_week(
            day,
            calls=self.actions.of_week(day),
            lists=[each for each in found if each is not None],
            config=self.worklist(),
        )
        return {"week": week, "week_words": _week_words(week)}


def _week_words(week: Week) -> str:
    sunday = week.monday + datetime.timedelta(days=6)
    return f"This week, {day_words(week.monday)} to {day_words(sunday)}"


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
    number = int(line) if line.isascii() and line.isdigit() and len(line) < 7 else 0
    return number, Outcome(outcome) if outcome in {each.value for each in Outcome} else None


def _no_list() -> Response:
    return trouble_page(
        "There is no such list",
        "It may have been kept long enough and removed, or another list has taken its place.",
        status=404,
    )
