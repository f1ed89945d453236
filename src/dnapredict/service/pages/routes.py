"""The pages and what they load, as Starlette routes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dnapredict.errors import DnapredictError
from dnapredict.lists import latest
from dnapredict.service.keys import KeyRing
from dnapredict.service.middleware.access import HOLDER
from dnapredict.service.pages.rendering import page, trouble_page
from dnapredict.service.pages.sign_in import sign_in_routes
from dnapredict.service.pages.view import view_of

__all__ = ["STATIC_PATH", "page_routes"]

STATIC_PATH: Final = "/static"


def page_routes(home: Path, ring: KeyRing) -> Sequence[BaseRoute]:
    """Routes of every page, reading what they show from `home`."""

    def list_page(request: Request) -> Response:
        return _list_page(request, home)

    return [
        Route("/", list_page),
        Route("/about", _about_page),
        *sign_in_routes(ring),
        Mount(STATIC_PATH, StaticFiles(directory=Path(__file__).with_name("static"))),
    ]


def _list_page(request: Request, home: Path) -> Response:
    try:
        last = latest.read(home)
    except DnapredictError as error:
        return trouble_page("The list cannot be shown", str(error), status=503)
    signed_in = HOLDER in request.scope
    if last is None:
        return page("list.html", here="/", signed_in=signed_in, latest=None)
    view = view_of(last, show=request.query_params.get("show", ""), number=_page_number(request))
    return page("list.html", here="/", signed_in=signed_in, synthetic=last.synthetic, latest=last, view=view)


def _about_page(_: Request) -> Response:
    return page("about.html", here="/about")


def _page_number(request: Request) -> int:
    asked = request.query_params.get("page", "1")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
