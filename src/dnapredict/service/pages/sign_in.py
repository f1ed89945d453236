"""Signing in with a key, and signing out."""

import logging
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import StoreError
from dnapredict.service.auth.access_control import SESSION_COOKIE, SIGN_IN, FailedKeys
from dnapredict.service.auth.api_keys import KeyRing
from dnapredict.service.auth.permissions import first_page, may_reach
from dnapredict.service.client_address import ADDRESS
from dnapredict.service.pages.list_pages import WORKED_ON
from dnapredict.service.pages.rendering import error_page, page

SIGN_OUT: Final = "/sign-out"
_TEMPLATE: Final = "sign_in.html"
_MOST_FIELDS: Final = 5
_LOG: Final = logging.getLogger("dnapredict.service")
_UNREADABLE: Final = "Keys and sessions cannot be read or written now. The service's log names the cause."
_WRONG: Final = "This is not a key that may see the list. Check that all of it was copied."


def sign_in_routes(ring: KeyRing, failed: FailedKeys) -> Sequence[BaseRoute]:
    """The routes, with the keys in `ring`; wrong keys are counted in `failed`."""

    async def sign_in(request: Request) -> Response:
        token = _key_of(await request.body())
        try:
            key = await run_in_threadpool(ring.holder, token)
            if key is not None and may_reach(key.held, first_page(key.held)):
                session = await run_in_threadpool(ring.session, key)
                return _signed_in(session, secure=request.url.scheme == "https")
            key_id = ring.key_id(token)
        except StoreError as error:
            return _unavailable(error)
        wait = failed.failed(address=request.scope.get(ADDRESS, ""), key_id=key_id)
        return await run_in_threadpool(_refused, wait)

    def sign_out(request: Request) -> Response:
        try:
            ring.end_session(request.cookies.get(SESSION_COOKIE, ""))
        except StoreError as error:
            return _unavailable(error)
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        response.delete_cookie(WORKED_ON, httponly=True, samesite="strict")  # of the person who signs out
        return response

    return [
        Route(SIGN_IN, _ask, methods=["GET"]),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
    ]


def _ask(request: Request) -> Response:
    return page(_TEMPLATE, here="", complaint="", lost="lost" in request.query_params)


def _key_of(body: bytes) -> str:
    """The key in a form; "" if the body is not such a form."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return ""
    return fields.get("key", [""])[0].strip()


def _signed_in(session: str, *, secure: bool) -> Response:
    response = RedirectResponse("/", 303)
    response.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="strict", secure=secure)
    return response


def _refused(wait: int) -> Response:
    if not wait:
        return page(_TEMPLATE, here="", status=403, complaint=_WRONG, lost=False)
    complaint = f"Too many wrong keys were sent. Wait {wait} seconds before you try again."
    shown = page(_TEMPLATE, here="", status=429, complaint=complaint, lost=False)
    shown.headers["retry-after"] = str(wait)
    return shown


def _unavailable(error: StoreError) -> Response:
    _LOG.error("%s", error)
    return error_page("This was not done", _UNREADABLE, status=503)
