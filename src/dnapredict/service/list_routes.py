"""`POST /v1/lists` and `GET /v1/lists/{id}`, and the page's form to upload a list."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DataError, DnapredictError
from dnapredict.service.answers import FILE_TYPES, ListAnswer, Refusal, results
from dnapredict.service.pages.rendering import trouble_page
from dnapredict.service.refusing import refuse, status_of
from dnapredict.service.uploads import KeptLists, ScoredList, as_file

__all__ = ["LISTS", "UPLOAD", "list_routes"]

LISTS: Final = "/v1/lists"
UPLOAD: Final = "/upload"
_FILE: Final = "file"


def list_routes(lists: KeptLists) -> Sequence[BaseRoute]:
    """The routes, for the lists of a home."""
    return [
        Route(LISTS, _score_view(lists), methods=["POST"]),
        Route(LISTS + "/{list_id}", _list_view(lists), methods=["GET"]),
        Route(UPLOAD, _upload_view(lists), methods=["POST"]),
    ]


def _score_view(lists: KeptLists) -> Callable[[Request], Awaitable[Response]]:
    async def score(request: Request) -> Response:
        try:
            name, content = await _uploaded(request)
            return _json(await run_in_threadpool(lists.score, content, name=name))
        except DnapredictError as error:
            return refuse(error)

    return score


def _upload_view(lists: KeptLists) -> Callable[[Request], Awaitable[Response]]:
    async def upload(request: Request) -> Response:
        try:
            name, content = await _uploaded(request)
            await run_in_threadpool(lists.score, content, name=name)
        except DnapredictError as error:
            return trouble_page("This list could not be scored", str(error), status=status_of(error))
        return RedirectResponse("/", 303)

    return upload


def _list_view(lists: KeptLists) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        try:
            found = lists.find(request.path_params["list_id"])
            if found is None:
                return JSONResponse(Refusal(error="There is no such list, or no more.").model_dump(), 404)
            return _in_form(found, request.query_params.get("form", "json"))
        except DnapredictError as error:
            return refuse(error)

    return show


def _in_form(found: ScoredList, form: str) -> Response:
    if form == "json":
        return _json(found)
    if form not in FILE_TYPES:
        raise DataError("'form' is one of json, csv, xlsx.")
    named = {"content-disposition": f'attachment; filename="worklist-{found.scored_at:%Y-%m-%d}.{form}"'}
    return Response(as_file(found, form=form), media_type=FILE_TYPES[form], headers=named)


def _json(scored: ScoredList) -> Response:
    answer = ListAnswer(
        list_id=scored.list_id,
        model_version=scored.model_version,
        scored_at=scored.scored_at,
        results=results(scored.worklist),
    )
    return Response(answer.model_dump_json(), media_type="application/json")


async def _uploaded(request: Request) -> tuple[str, bytes]:
    """The one file of a form; its size was limited before it got here."""
    async with request.form(max_files=1, max_fields=1) as form:
        sent = form.get(_FILE)
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise DataError(f"Choose a file: a form with one file, named '{_FILE}', was expected.")
        return sent.filename, await sent.read()
