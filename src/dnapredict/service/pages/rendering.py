"""Rendering of pages: templates, and days and times as people in England write them."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from dnapredict.service.api.response_models import NEVER_FOR
from dnapredict.worklist.plan.working_days import LOCAL_ZONE


def moment_words(moment: datetime.datetime | None, zone: datetime.tzinfo = LOCAL_ZONE) -> str:
    """A time in words, by the clock of `zone`; a time without a zone is UTC, as in the contract.

    The last second of a day is how the contract stores a date without a clock time: only the date is shown.

    >>> moment_words(datetime.datetime(2026, 7, 1, 8, 5))
    'Wed 1 Jul 2026, 09:05'
    """
    if moment is None:
        return ""
    local = _local(moment, zone)
    day = day_words(local.date())
    return day if (local.hour, local.minute, local.second) == (23, 59, 59) else f"{day}, {local:%H:%M}"


def day_words(day: datetime.date) -> str:
    """A date in words.

    >>> day_words(datetime.date(2026, 7, 1))
    'Wed 1 Jul 2026'
    """
    return f"{day:%a} {day.day} {day:%b %Y}"


def local_day(moment: datetime.datetime, zone: datetime.tzinfo = LOCAL_ZONE) -> datetime.date:
    """The date of a time, by the clock of `zone`."""
    return _local(moment, zone).date()


def _local(moment: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(zone)


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
    """The HTML page of `template` with the values `shown`.

    Parameters
    ----------
    here
        The address of the page, to mark it in the menu.
    synthetic
        Whether the patients are made up; the page then says so.
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


def error_page(
    heading: str, sentence: str, *, status: int, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """A page with an error message and a link back to the list."""
    shown = page("error.html", here="", status=status, heading=heading, sentence=sentence)
    shown.headers.update(headers)
    return shown
