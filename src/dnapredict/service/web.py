"""The web application: all routes besides `POST /v1/score`."""

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.errors import ModelError
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.list_endpoints import LISTS, list_routes
from dnapredict.service.api.model_documents import DocumentCache
from dnapredict.service.api.openapi import description
from dnapredict.service.api.response_models import ModelAnswer
from dnapredict.service.api.uploaded_lists import ListService
from dnapredict.service.auth.api_keys import KeyRing
from dnapredict.service.auth.failed_keys import FailedKeys
from dnapredict.service.call_actions import Actions
from dnapredict.service.error_responses import error_response, json_error
from dnapredict.service.pages.entry_forms import OUTCOMES
from dnapredict.service.pages.list_pages import ListPages
from dnapredict.service.pages.list_view import LIST_PAGES
from dnapredict.service.pages.page_routes import page_routes
from dnapredict.service.pages.rendering import error_page
from dnapredict.service.prometheus_metrics import CONTENT_TYPE, exposition
from dnapredict.service.purpose import NEVER_FOR, USE

# These paths accept POST only; without these routes a GET would be answered 404 and not 405.
_POSTED: Final = ("/v1/score", LISTS, LISTS + "/{list_id}/actions", LIST_PAGES + "/{list_id}" + OUTCOMES)


def web_app(
    champion: Champion,
    *,
    ring: KeyRing,
    failed: FailedKeys,
    lists: ListService,
    actions: Actions,
    documents: DocumentCache,
    worklist: Callable[[], WorklistConfig],
) -> Starlette:
    """The Starlette application that is mounted at the root of the service."""
    about_itself, pages = description(), ListPages(lists, actions, worklist, who=ring.name_of)

    def docs(_: Request) -> Response:
        return JSONResponse(about_itself)

    return Starlette(
        routes=[
            *page_routes(pages, champion, documents=documents, ring=ring, failed=failed),
            *list_routes(lists, actions, worklist),
            Route("/v1/model", _model_view(champion)),
            *(Route(path, _post_only) for path in _POSTED),
            Route("/docs.json", docs),
            Route("/metrics", _metrics),
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


def _metrics(_: Request) -> Response:
    return Response(exposition(), headers={"content-type": CONTENT_TYPE})


def _post_only(_: Request) -> Response:
    return json_error(405, "Send this with POST.", headers={"allow": "POST"})


def _not_found(request: Request) -> Response:
    """404 as a page for a person and as JSON for a program; it also hides BentoML's own pages."""
    if "text/html" in request.headers.get("accept", ""):
        return error_page("There is no such page", "The address may be mistyped.", status=404)
    return json_error(404, "There is nothing at this address.")
