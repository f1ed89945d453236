"""Rendering of pages: templates, and days and times as people in England write them."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from dnapredict.service.api.response_models import NEVER_FOR
from dnapredict.service.auth.permissions import Holds, may_reach
from dnapredict.service.auth.staff import SIGNED_IN, THIS_MACHINE, Person
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


_ABOUT: Final = "/about"
_MENU: Final = (
    ("/", "The list"),
    ("/lists", "Recent lists"),
    ("/upload", "Score a list"),
    ("/week", "The week"),
    ("/model", "The model"),
    (_ABOUT, "About this tool"),
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
    **shown: Any,
) -> Response:
    """The HTML page of `template` with the values `shown`; its header names the signed-in person.

    Parameters
    ----------
    here
        The address of the page, to mark it in the menu.
    synthetic
        Whether the patients are made up; the page then has a notice.
    """
    return HTMLResponse(page_text(template, here=here, synthetic=synthetic, **shown), status)


def page_text(template: str, *, here: str, synthetic: bool = False, **shown: Any) -> str:
    """The HTML of a page, as in `page`."""
    person = SIGNED_IN.get()
    shown |= {
        "here": here,
        "menu": menu_of(person),
        "never_for": NEVER_FOR,
        "synthetic": synthetic,
        # Nobody signs in, or can sign out, while no key exists.
        "person": None if person is THIS_MACHINE else person,
    }
    return _TEMPLATES.get_template(template).render(shown)


def block_text(template: str, block: str, **shown: Any) -> str:
    """The HTML of one block of a template, for a page that is sent in parts."""
    source = _TEMPLATES.get_template(template)
    return "".join(source.blocks[block](source.new_context(shown)))


def menu_of(person: Person | None) -> tuple[tuple[str, str], ...]:
    """The addresses and words of the menu: the pages that the person may open; all of them before signing in.

    >>> from dnapredict.service.auth.staff import StaffRole
    >>> [words for _, words in menu_of(Person("0123abcd", "Ada Okafor", "", StaffRole.REVIEWER))]
    ['The week', 'The model', 'About this tool']
    """
    return tuple((address, words) for address, words in _MENU if person is None or _opens(person, address))


def _opens(person: Person, address: str) -> bool:
    held: frozenset[Holds] = frozenset({person.role})
    return address == _ABOUT or may_reach(held, address)


def error_page(
    heading: str, sentence: str, *, status: int, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """A page with an error message and a link back to the list."""
    shown = page("error.html", here="", status=status, heading=heading, sentence=sentence)
    shown.headers.update(headers)
    return shown
