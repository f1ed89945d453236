"""The pages and what they load, as Starlette routes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from dnapredict.service.champion import Champion
from dnapredict.service.failed_keys import FailedKeys
from dnapredict.service.keys import KeyRing
from dnapredict.service.pages.entering import Entering
from dnapredict.service.pages.list_pages import ListPages
from dnapredict.service.pages.model_pages import model_routes
from dnapredict.service.pages.plain_pages import plain_routes
from dnapredict.service.pages.sign_in import sign_in_routes
from dnapredict.service.papers import Papers

__all__ = ["STATIC_PATH", "page_routes"]

STATIC_PATH: Final = "/static"


def page_routes(
    lists: ListPages, champion: Champion, *, papers: Papers, ring: KeyRing, failed: FailedKeys
) -> Sequence[BaseRoute]:
    """Routes of every page."""
    return [
        *lists.routes(),
        *Entering(lists).routes(),
        *model_routes(champion, papers),
        *plain_routes(champion),
        *sign_in_routes(ring, failed),
        Mount(STATIC_PATH, StaticFiles(directory=Path(__file__).with_name("static"))),
    ]
