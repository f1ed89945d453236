"""Turn a template into a page."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from dnapredict.service.pages.moments import day_words
from dnapredict.service.purpose import NEVER_FOR

__all__ = ["page", "trouble_page"]

_MENU: Final = (
    ("/", "The list"),
    ("/lists", "Recent lists"),
    ("/upload", "Score a list"),
    ("/model", "The model"),
    ("/about", "About this tool"),
)
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["day"] = lambda text: day_words(datetime.date.fromisoformat(text[:10]))


def page(
    template: str,
    *,
    here: str,
    status: int = 200,
    synthetic: bool = False,
    signed_in: bool = False,
    **shown: Any,
) -> Response:
    """The page that `template` makes of `shown`.

    Parameters
    ----------
    here
        The address of the page, to mark it in the menu.
    synthetic
        Whether what is shown comes from made-up patients, so that the page says so.
    signed_in
        Whether to offer to sign out.
    """
    shown |= {
        "here": here,
        "menu": _MENU,
        "never_for": NEVER_FOR,
        "synthetic": synthetic,
        "signed_in": signed_in,
    }
    return HTMLResponse(_TEMPLATES.get_template(template).render(shown), status)


def trouble_page(
    heading: str, sentence: str, *, status: int, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """A page that says what went wrong and leads back to the list."""
    shown = page("trouble.html", here="", status=status, heading=heading, sentence=sentence)
    shown.headers.update(headers)
    return shown
