"""The web application: all routes besides `POST /v1/score`, what each accepts, and its name in the metrics."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import ModelError
from dnapredict.monitoring.monitor_state import readable_state
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.model_documents import DocumentCache
from dnapredict.service.api.openapi import description
from dnapredict.service.api.response_models import NEVER_FOR, USE, ModelAnswer
from dnapredict.service.api.returned_outcomes import RETURNED, return_routes
from dnapredict.service.api.scoring_endpoints import LISTS, list_routes
from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.api.uploaded_lists import ListScoring
from dnapredict.service.auth.access_control import ABOUT, ACCESSIBILITY, SIGN_IN, FailedKeys
from dnapredict.service.auth.accounts import Accounts
from dnapredict.service.auth.after_sign_in import UNSENT
from dnapredict.service.auth.openid_sign_in import OPENID, RETURN
from dnapredict.service.auth.sign_in_links import LINK
from dnapredict.service.call_actions import Actions
from dnapredict.service.error_responses import error_response, json_error
from dnapredict.service.log.access_entries import Access
from dnapredict.service.middleware.body_limits import BodyType
from dnapredict.service.pages.calls.call_mode import SEARCH
from dnapredict.service.pages.calls.call_view import CALL
from dnapredict.service.pages.lists.call_sheet_page import SHEET
from dnapredict.service.pages.lists.entry_forms import OUTCOMES
from dnapredict.service.pages.lists.list_pages import ListPages
from dnapredict.service.pages.lists.list_view import LIST_PAGES
from dnapredict.service.pages.lists.returned_page import WORKBOOK
from dnapredict.service.pages.lists.row_forms import ASSIGN, DELETE, MEND
from dnapredict.service.pages.live import LIVE, LiveLists
from dnapredict.service.pages.model_pages import MODEL, MONITOR, REPORT, REPORT_FILE, TABLES
from dnapredict.service.pages.page_routes import STATIC_PATH, page_routes
from dnapredict.service.pages.rendering import error_page
from dnapredict.service.pages.upload_pages import UPLOAD, UPLOAD_COLUMNS
from dnapredict.service.pages.week_page import WEEK
from dnapredict.service.prometheus_metrics import CONTENT_TYPE, exposition
from dnapredict.worklist.plan.working_days import local_today

_JSON: Final = frozenset({"application/json"})
_FORM: Final = frozenset({"application/x-www-form-urlencoded"})
_FILE: Final = frozenset({"multipart/form-data"})


def body_types(*, largest: int, largest_form: int) -> tuple[BodyType, ...]:
    """The bodies that each path accepts; other paths accept none, and are limited to `largest_form`.

    Parameters
    ----------
    largest, largest_form
        Largest size in bytes of a list or scoring request, and of a form on a page.
    """
    return (
        BodyType(re.compile("/v1/score"), _JSON, largest),
        BodyType(re.compile(LISTS), _FILE, largest),
        BodyType(re.compile(LISTS + "/[^/]+/actions"), _JSON, largest_form),
        BodyType(re.compile(LISTS + "/[^/]+" + RETURNED), _FILE, largest),
        BodyType(re.compile(LIST_PAGES + "/[^/]+" + WORKBOOK), _FILE, largest),
        BodyType(re.compile(UPLOAD), _FILE, largest),
        BodyType(re.compile(UPLOAD_COLUMNS), _FORM, largest_form),
        BodyType(
            re.compile(f"{LIST_PAGES}/[^/]+(?:{OUTCOMES}|{MEND}|{ASSIGN}|{CALL}/[0-9]+|{SEARCH})"), _FORM, largest_form
        ),
        BodyType(re.compile(f"{SIGN_IN}|{UNSENT}|{LINK}[^/]+"), _FORM, largest_form),
    )


_COUNTED: Final = frozenset(
    {
        "/",
        "/v1/score",
        LISTS,
        "/v1/model",
        LIST_PAGES,
        MODEL,
        REPORT,
        REPORT_FILE,
        TABLES,
        MONITOR,
        UPLOAD,
        UPLOAD_COLUMNS,
        WEEK,
        SIGN_IN,
        UNSENT,
        OPENID,
        RETURN,
        ABOUT,
        ACCESSIBILITY,
        "/livez",
        "/readyz",
        "/metrics",
        "/docs.json",
    }
)
_BENEATH_A_LIST: Final = ("/actions", OUTCOMES, MEND, ASSIGN, DELETE, "/file", CALL, SEARCH, SHEET, WORKBOOK, LIVE)
_CALL_LINE: Final = re.compile(LIST_PAGES + "/[^/]+" + CALL + "/[0-9]+")


def route_of(path: str) -> str:
    """The route name of a path, for the metrics."""
    for whole in (STATIC_PATH + "/", LINK):  # a link's token must not become a name in the metrics
        if path.startswith(whole):
            return whole.rstrip("/")
    if _CALL_LINE.fullmatch(path):
        return LIST_PAGES + "/{list_id}" + CALL + "/{line}"
    for lists in (LISTS, LIST_PAGES):
        if path.startswith(lists + "/"):
            beneath = next((each for each in _BENEATH_A_LIST if path.endswith(each)), "")
            return lists + "/{list_id}" + beneath
    return path if path in _COUNTED else "other"


# What the pages and addresses of one list show; the others change it, which is logged where it happens.
_SHOWN_OF_A_LIST: Final = {
    "": Access.LIST_OPENED,
    OUTCOMES: Access.LIST_OPENED,
    MEND: Access.LIST_OPENED,
    ASSIGN: Access.LIST_OPENED,
    DELETE: Access.LIST_OPENED,
    WORKBOOK: Access.LIST_OPENED,
    CALL: Access.LIST_OPENED,
    CALL + "/{line}": Access.PATIENT_OPENED,
    SEARCH: Access.SEARCHED,
    SHEET: Access.PRINTED,
    "/file": Access.DOWNLOADED,
}


def access_of(method: str, path: str) -> tuple[Access | None, str]:
    """The access that a request for a list is, and the list's id; None and "" where it shows no list.

    A stream of events contains line numbers only, and a list is downloaded from the address for programs.
    """
    for lists in (LISTS, LIST_PAGES):
        if path.startswith(lists + "/") and method != "HEAD":
            list_id = path.removeprefix(lists + "/").partition("/")[0]
            beneath = route_of(path).removeprefix(lists + "/{list_id}")
            if lists == LISTS:
                return (None if beneath else Access.DOWNLOADED), list_id
            return _SHOWN_OF_A_LIST.get(beneath), list_id
    return None, ""


# These paths accept POST only; without these routes a GET would be answered 404 and not 405.
_BENEATH: Final = "/{list_id}"
_POSTED: Final = (
    "/v1/score",
    LISTS,
    LISTS + _BENEATH + "/actions",
    LISTS + _BENEATH + RETURNED,
    *(LIST_PAGES + _BENEATH + form for form in (OUTCOMES, MEND, ASSIGN, SEARCH)),
    UPLOAD_COLUMNS,
)


def web_app(
    champion: Champion,
    *,
    accounts: Accounts,
    failed: FailedKeys,
    lists: TeamLists,
    scoring: ListScoring,
    actions: Actions,
    documents: DocumentCache,
    worklist: Callable[[], WorklistConfig],
    live: LiveLists,
) -> Starlette:
    """The Starlette application that is mounted at the root of the service."""
    about_itself = description()
    pages = ListPages(
        lists,
        scoring,
        actions,
        worklist,
        who=accounts.name_of,
        last_number=live.last_number,
        colleagues=accounts.colleagues,
    )

    def docs(_: Request) -> Response:
        return JSONResponse(about_itself)

    return Starlette(
        routes=[
            *page_routes(pages, champion, documents=documents, accounts=accounts, failed=failed),
            *live.routes(),
            *list_routes(lists, scoring, actions, worklist),
            *return_routes(lists, actions),
            Route("/v1/model", _model_view(champion)),
            *(Route(path, _post_only) for path in _POSTED),
            Route("/docs.json", docs),
            Route("/metrics", _metrics_view(lists.home)),
            Route("/{path:path}", _not_found),
        ]
    )


def _model_view(champion: Champion) -> Callable[[Request], Response]:
    def model(_: Request) -> Response:
        try:
            scorer = champion.require()
        except ModelError as error:
            return error_response(error)
        answer = ModelAnswer(
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            use=USE,
            never_for=list(NEVER_FOR),
        )
        return JSONResponse(answer.model_dump())

    return model


def _metrics_view(home: Path) -> Callable[[Request], Response]:
    def metrics(_: Request) -> Response:
        # Without the gauges of a damaged record, the others are still there, and an alert on their absence works.
        content = exposition(readable_state(home), today=local_today())
        return Response(content, headers={"content-type": CONTENT_TYPE})

    return metrics


def _post_only(_: Request) -> Response:
    return json_error(405, "Send this with POST.", headers={"allow": "POST"})


def _not_found(request: Request) -> Response:
    """404 as a page for a person and as JSON for a program; it also hides BentoML's own pages."""
    if "text/html" in request.headers.get("accept", ""):
        return error_page("There is no such page", "The address may be mistyped.", status=404)
    return json_error(404, "There is nothing at this address.")
