"""The service's routes: what each accepts, and its name in the metrics."""

import re
from typing import Final

from dnapredict.service.api.list_endpoints import LISTS
from dnapredict.service.auth.access_control import ABOUT, ACCESSIBILITY, SIGN_IN
from dnapredict.service.middleware.body_limits import BodyType
from dnapredict.service.pages.entry_forms import OUTCOMES, UPLOAD
from dnapredict.service.pages.list_view import LIST_PAGES
from dnapredict.service.pages.model_pages import MODEL, REPORT, REPORT_FILE, TABLES
from dnapredict.service.pages.page_routes import STATIC_PATH

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
        BodyType(re.compile(UPLOAD), _FILE, largest),
        BodyType(re.compile(LIST_PAGES + "/[^/]+" + OUTCOMES), _FORM, largest_form),
        BodyType(re.compile(SIGN_IN), _FORM, largest_form),
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
        UPLOAD,
        SIGN_IN,
        ABOUT,
        ACCESSIBILITY,
        "/livez",
        "/readyz",
        "/metrics",
        "/docs.json",
    }
)
_BENEATH_A_LIST: Final = ("/actions", OUTCOMES, "/file")


def route_of(path: str) -> str:
    """The route name of a path, for the metrics."""
    if path.startswith(STATIC_PATH + "/"):
        return STATIC_PATH
    for lists in (LISTS, LIST_PAGES):
        if path.startswith(lists + "/"):
            beneath = next((each for each in _BENEATH_A_LIST if path.endswith(each)), "")
            return lists + "/{list_id}" + beneath
    return path if path in _COUNTED else "other"
