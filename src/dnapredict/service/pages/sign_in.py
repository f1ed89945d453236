"""Sign in with a key, and out again."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.service.keys import KeyRing, Scope
from dnapredict.service.middleware.access import SESSION_COOKIE, SIGN_IN
from dnapredict.service.pages.rendering import page

__all__ = ["SIGN_OUT", "sign_in_routes"]

SIGN_OUT: Final = "/sign-out"
_TEMPLATE: Final = "sign_in.html"
_WRONG: Final = "This is not a key that may see the list. Check that all of it was copied."


def sign_in_routes(ring: KeyRing) -> Sequence[BaseRoute]:
    """The routes, for the keys of `ring`."""

    async def sign_in(request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        return await run_in_threadpool(_sign_in, form.get("key", [""])[0], ring, request.url.scheme)

    return [
        Route(SIGN_IN, _ask, methods=["GET"]),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route(SIGN_OUT, _sign_out, methods=["POST"]),
    ]


def _ask(request: Request) -> Response:
    return page(_TEMPLATE, here="", complaint="", lost="lost" in request.query_params)


def _sign_in(token: str, ring: KeyRing, scheme: str) -> Response:
    key = ring.holder(token.strip())
    if key is None or not key.may(Scope.LIST):
        return page(_TEMPLATE, here="", status=403, complaint=_WRONG, lost=False)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        SESSION_COOKIE, ring.session(key), httponly=True, samesite="strict", secure=scheme == "https"
    )
    return response


def _sign_out(_: Request) -> Response:
    response = RedirectResponse(SIGN_IN, 303)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response
