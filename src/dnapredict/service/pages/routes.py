"""The pages and what they load, as Starlette routes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dnapredict.errors import DnapredictError
from dnapredict.lists import latest
from dnapredict.service.pages.view import view_of
from dnapredict.service.purpose import NEVER_FOR

__all__ = ["STATIC_PATH", "page_routes", "trouble_page"]

STATIC_PATH: Final = "/static"

_HERE: Final = Path(__file__).parent
_MENU: Final = (("/", "The list"), ("/about", "About this tool"))
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page_routes(home: Path) -> Sequence[BaseRoute]:
    """Routes of every page, reading what they show from `home`."""

    def list_page(request: Request) -> Response:
        return _list_page(request, home)

    return [
        Route("/", list_page),
        Route("/about", _about_page),
        Mount(STATIC_PATH, StaticFiles(directory=_HERE / "static")),
    ]


def trouble_page(heading: str, sentence: str, *, status: int) -> Response:
    """A page that says what went wrong and leads back to the list."""
    return _page("trouble.html", here="", status=status, heading=heading, sentence=sentence)


def _list_page(request: Request, home: Path) -> Response:
    try:
        last = latest.read(home)
    except DnapredictError as error:
        return trouble_page("The list cannot be shown", str(error), status=503)
    if last is None:
        return _page("list.html", here="/", latest=None)
    view = view_of(last, show=request.query_params.get("show", ""), page=_page_number(request))
    return _page("list.html", here="/", synthetic=last.synthetic, latest=last, view=view)


def _about_page(_: Request) -> Response:
    return _page("about.html", here="/about")


def _page_number(request: Request) -> int:
    asked = request.query_params.get("page", "1")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1


def _page(template: str, *, here: str, status: int = 200, synthetic: bool = False, **shown: Any) -> Response:
    shown |= {"here": here, "menu": _MENU, "never_for": NEVER_FOR, "synthetic": synthetic}
    return HTMLResponse(_TEMPLATES.get_template(template).render(shown), status)
