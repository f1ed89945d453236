"""The page to show after signing in: the requested page, if it is a page of this service."""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlencode, urlsplit

from dnapredict.service.auth.permissions import Holds, first_page, may_reach

ASKED: Final = "next"
"""The name of the query parameter and of the form's field with the page that was asked for."""
UNSENT: Final = "/sign-in/unsent"
"""Path to which a browser repeats a form that was sent after its session ended."""
FORM_ADDRESS: Final = "form"
"""The name of the query parameter and of the form's field with the address that such a form was sent to."""

_LONGEST: Final = 500
# Visible ASCII without a backslash, which browsers read as a slash. The second character is no slash, or the address
# would name another host.
_OWN: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_OF_A_LIST: Final = re.compile(r"(/lists/[^/]+)/.+")
_OF_A_CALL: Final = re.compile(r"/lists/[^/]+/call/\d+")
_NO_PAGES: Final = ("/sign-in", "/sign-out", "/v1/", "/static/")
_START: Final = "/"


def is_own_page(address: str) -> bool:
    """Whether an address leads to a page of this service, and to no other host.

    >>> [is_own_page(address) for address in ("/lists?page=2", "//evil.example", "https://evil.example", "/sign-in")]
    [True, False, False, False]
    """
    if len(address) > _LONGEST or not _OWN.fullmatch(address):
        return False
    return not address.startswith(_NO_PAGES)


def sign_in_query(method: str, path: str, query: str) -> str:
    """The query of the sign-in page for a request without a session: the page to return to, and whether a form is lost.

    >>> sign_in_query("GET", "/lists", "page=2")
    '?next=%2Flists%3Fpage%3D2'
    >>> sign_in_query("POST", "/lists/0123456789abcdef/outcomes", "show=all")
    '?next=%2Flists%2F0123456789abcdef%3Fshow%3Dall&lost=1'
    """
    is_form = method not in ("GET", "HEAD")
    page = _OF_A_LIST.sub(r"\1", path) if is_form else path
    asked = page + (f"?{query}" if query else "")
    wanted = {ASKED: asked} if asked != _START and is_own_page(asked) else {}
    wanted |= {"lost": "1"} if is_form else {}
    return f"?{urlencode(wanted)}" if wanted else ""


def unsent_form_address(path: str, query: str) -> str:
    """Where a browser repeats a form that it sent without a session; "" for an address that takes no form.

    >>> unsent_form_address("/lists/0123456789abcdef/call/3", "")
    '/sign-in/unsent?form=%2Flists%2F0123456789abcdef%2Fcall%2F3'
    >>> unsent_form_address("/sign-out", "")
    ''
    """
    address = path + (f"?{query}" if query else "")
    return f"{UNSENT}?{urlencode({FORM_ADDRESS: address})}" if is_own_page(address) else ""


def page_of_form(address: str) -> str:
    """The page to return to instead of sending a form: that of the call or of the list.

    >>> [page_of_form(f"/lists/0123456789abcdef/{rest}") for rest in ("call/3", "outcomes?show=all")]
    ['/lists/0123456789abcdef/call/3', '/lists/0123456789abcdef?show=all']
    """
    parts = urlsplit(address)
    page = parts.path if _OF_A_CALL.fullmatch(parts.path) else _OF_A_LIST.sub(r"\1", parts.path)
    return page + (f"?{parts.query}" if parts.query else "")


def page_after_sign_in(asked: str, held: Collection[Holds]) -> str:
    """The requested page, if the person may open it; otherwise the first page of their role.

    Parameters
    ----------
    asked
        An address that came with the request, which anybody may have written.
    """
    if is_own_page(asked) and may_reach(held, urlsplit(asked).path):
        return asked
    return first_page(held)
