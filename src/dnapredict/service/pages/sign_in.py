"""The pages for signing in with a key, a link or an account, and for signing out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dnapredict.errors import DataError, StoreError
from dnapredict.service.auth import sign_in_links
from dnapredict.service.auth.access_control import SIGN_IN, FailedKeys
from dnapredict.service.auth.accounts import Accounts
from dnapredict.service.auth.after_sign_in import (
    ASKED,
    FORM_ADDRESS,
    UNSENT,
    is_own_page,
    page_after_sign_in,
    page_of_form,
)
from dnapredict.service.auth.api_keys import Key, KeyRing
from dnapredict.service.auth.openid_sign_in import COOKIE, OPENID, RETURN, SECONDS, SignInRefused
from dnapredict.service.auth.permissions import first_page, may_reach
from dnapredict.service.auth.session_cookie import SESSION_COOKIE, cookie, delete_cookie, is_secure, set_cookie
from dnapredict.service.auth.sign_in_links import LINK
from dnapredict.service.call_outcomes import BARRIER_WORDS, OFFER_WORDS, WORDS
from dnapredict.service.client_address import ADDRESS
from dnapredict.service.log.access_entries import Access, seen_by
from dnapredict.service.pages.lists.list_pages import WORKED_ON
from dnapredict.service.pages.posted_forms import PostedForm, body_text
from dnapredict.service.pages.rendering import error_page, page

SIGN_OUT: Final = "/sign-out"
_TEMPLATE: Final = "sign_in.html"
_MOST_FIELDS: Final = 5
_LOG: Final = logging.getLogger("dnapredict.service")
_UNREADABLE: Final = "Keys and sessions cannot be read or written now. The service's log names the cause."
_WRONG: Final = "This is not a key that opens these pages. Check that all of it was copied."
_EMPTY: Final = "Enter your key."
_USED: Final = (
    "A sign-in link works once and for a short time. This one was used or has expired. Ask the person who runs "
    "dnapredict for another, which `dnapredict keys link` makes, or sign in with your key."
)
_NO_ISSUER: Final = "This service has no sign-in with accounts of the trust. Sign in with a key."
# Sent for a click in a terminal or a typed address. Other requests (from a page of another site, a mail program's
# preview, or a plain http address) first get a page with a button: a preview must not use the link, and nobody is to be
# signed in as somebody else without noticing.
_OWN_CLICKS: Final = frozenset({"none", "same-origin"})


# The name of a form's field with the body of a form that was sent without a session.
_BODY: Final = "sent"
# Encoded once more it must fit into the form of the sign-in page (`largest_form_kb`); a note has 500 characters.
_LONGEST_BODY: Final = 4_000
_MOST_UNSENT: Final = 100


@dataclass(frozen=True)
class UnsentForm:
    """A form that a browser sent after its session had ended, carried through the pages of signing in.

    The pages contain it as hidden fields, so that this machine never stores a note about a patient that was sent
    without a valid session.

    Attributes
    ----------
    address
        Where it was sent to.
    body
        The content of the form, in the encoding of a browser.
    """

    address: str
    body: str = field(repr=False)

    @classmethod
    def of(cls, address: str, body: str) -> "UnsentForm | None":
        """The form; None if there is none or its address is not that of a form of these pages."""
        form = cls(address, body)
        return form if body and len(body) <= _LONGEST_BODY and is_own_page(address) and form.fields else None

    @property
    def path(self) -> str:
        """Its address without the query."""
        return urlsplit(self.address).path

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Its fields with their values; none if the body is not such a form."""
        try:
            return parse_qsl(self.body, keep_blank_values=True, max_num_fields=_MOST_UNSENT)
        except ValueError:
            return []

    @property
    def words(self) -> list[tuple[str, str]]:
        """The fields of a call that a person chose or typed, in words."""
        given = dict(self.fields)
        outcomes = {outcome.value: words for outcome, words in WORDS.items()}
        barriers = {barrier.value: words for barrier, words in BARRIER_WORDS.items()}
        offers = {offer.value: words for offer, words in OFFER_WORDS.items()}
        shown = {
            "What happened": outcomes.get(given.get("outcome", ""), ""),
            "What makes it hard to come": barriers.get(given.get("barrier", ""), ""),
            "What you offered": offers.get(given.get("offered", ""), ""),
            "Call back at": given.get("call_back_at", "").replace("T", " "),
            "Note for the team": given.get("note", ""),
        }
        return [(name, value) for name, value in shown.items() if value]


@dataclass(frozen=True)
class SignInPages:
    """The pages of signing in and out.

    Parameters
    ----------
    accounts
        Everybody who can sign in.
    failed
        Counts wrong keys.
    """

    accounts: Accounts
    failed: FailedKeys

    @property
    def ring(self) -> KeyRing:
        """The keys."""
        return self.accounts.ring

    def routes(self) -> Sequence[BaseRoute]:
        """The routes of the pages."""
        return [
            Route(SIGN_IN, self.ask, methods=["GET"]),
            Route(SIGN_IN, self.sign_in, methods=["POST"]),
            Route(UNSENT, self.keep_form, methods=["POST"]),
            Route(OPENID, self.to_issuer, methods=["GET"]),
            Route(RETURN, self.from_issuer, methods=["GET"]),
            Route(LINK + "{token}", self.open_link, methods=["GET"]),
            Route(LINK + "{token}", self.use_link, methods=["POST"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
        ]

    def ask(self, request: Request) -> Response:
        """The form that asks for a key."""
        asked = request.query_params.get(ASKED, "")
        return self._form(asked, lost="lost" in request.query_params)

    async def keep_form(self, request: Request) -> Response:
        """The sign-in form as the response to a form that was sent after the session had ended."""
        address = request.query_params.get(FORM_ADDRESS, "")
        unsent = UnsentForm.of(address, await body_text(request))
        asked = page_of_form(address) if is_own_page(address) else ""
        return await run_in_threadpool(self._form, asked, lost=True, unsent=unsent)

    async def sign_in(self, request: Request) -> Response:
        """Sign in with the key in the form."""
        sent = _fields(await body_text(request))
        token, asked = sent.get("key", "").strip(), sent.get(ASKED, "")
        unsent = UnsentForm.of(sent.get(FORM_ADDRESS, ""), sent.get(_BODY, ""))
        try:
            key = await run_in_threadpool(self.ring.holder, token)
            if key is not None and may_reach(key.held, first_page(key.held)):
                return await run_in_threadpool(self._signed_in, request, key, asked, unsent)
            key_id = self.ring.key_id(token)
        except StoreError as error:
            return _unavailable(error)
        wait = self.failed.failed(address=request.scope.get(ADDRESS, ""), key_id=key_id) if token else 0
        return await run_in_threadpool(self._refused, asked, wait, unsent, is_empty=not token)

    def open_link(self, request: Request) -> Response:
        """Sign in with a link that was clicked, or show the person's name and a button."""
        is_own = request.headers.get("sec-fetch-site") in _OWN_CLICKS and "sec-purpose" not in request.headers
        if request.method == "GET" and is_own:
            return self.use_link(request)
        return self._with_link(request, is_used=False)

    def use_link(self, request: Request) -> Response:
        """Sign in with a link, which is then used."""
        return self._with_link(request, is_used=True)

    def _with_link(self, request: Request, *, is_used: bool) -> Response:
        find = sign_in_links.use if is_used else sign_in_links.find
        try:
            key_id = find(self.ring.home, request.path_params["token"])
            key = None if key_id is None else self.ring.valid_key(key_id)
            if key is None:
                return error_page("This link does not work any more", _USED, status=404)
            if is_used:
                return self._signed_in(request, key, "")
        except StoreError as error:
            return _unavailable(error)
        return page("sign_in_link.html", here="", name=key.person.words, address=request.url.path)

    def to_issuer(self, request: Request) -> Response:
        """Redirect a browser to the issuer, with a cookie that identifies this sign-in."""
        flow = self.accounts.flow
        if flow is None:
            return error_page("There is no such page", _NO_ISSUER, status=404)
        asked = request.query_params.get(ASKED, "")
        if request.headers.get("sec-fetch-site", "none") not in _OWN_CLICKS:
            return self._form(asked)  # the issuer may ask nothing, and a session would begin without anybody's action
        try:
            address, begun = flow.begin(asked if is_own_page(asked) else "")
        except StoreError as error:
            return _unavailable(error)
        response = RedirectResponse(address, 303)
        # Lax, since the browser comes back from another site.
        set_cookie(response, COOKIE, begun, max_age=SECONDS, lax=True, secure=flow.is_secure)
        return response

    def from_issuer(self, request: Request) -> Response:
        """Sign in a browser that comes back from the issuer."""
        flow = self.accounts.flow
        if flow is None:
            return error_page("There is no such page", _NO_ISSUER, status=404)
        try:
            done = flow.finish(_once(request), cookie(request.scope, COOKIE))
            self.accounts.end_session(cookie(request.scope, SESSION_COOKIE))
            address = page_after_sign_in(done.asked, done.holder.held)
            # A page with a refresh, not a redirect: browsers would treat a redirect as coming from the issuer's site
            # and not send the session.
            response = page("signed_in.html", here="", address=address)
            set_cookie(response, SESSION_COOKIE, done.session, secure=flow.is_secure)
            _note_signed_in(request, done.holder.key_id)
        except SignInRefused as refusal:
            response = self._form("", complaint=str(refusal), field="openid", status=403)
        except StoreError as error:
            response = _unavailable(error)
        delete_cookie(response, COOKIE, secure=flow.is_secure)
        return response

    def sign_out(self, request: Request) -> Response:
        """End the session, in every copy of its cookie."""
        try:
            self.accounts.end_session(cookie(request.scope, SESSION_COOKIE))
            seen_by(request).access = Access.SIGNED_OUT
        except StoreError as error:
            return _unavailable(error)
        response = RedirectResponse(SIGN_IN, 303)
        # Not the cookies too: browsers would delete those of every host of the trust's domain.
        response.headers["clear-site-data"] = '"cache", "storage"'
        secure = is_secure(request.scope)
        delete_cookie(response, SESSION_COOKIE, secure=secure)
        delete_cookie(response, WORKED_ON, secure=secure)  # of the person who signs out
        return response

    def _signed_in(self, request: Request, key: Key, asked: str, unsent: "UnsentForm | None" = None) -> Response:
        # A new session for each sign-in; the browser's earlier session, of any person, ends.
        self.accounts.end_session(cookie(request.scope, SESSION_COOKIE))
        _note_signed_in(request, key.key_id)
        session, address = self.ring.session(key), page_after_sign_in(asked, key.held)
        if unsent is None or not may_reach(key.held, unsent.path):
            return with_session(request, session, address)
        response = page("unsent_form.html", here="", signed_in_as=key.person.words, unsent=unsent, address=address)
        set_cookie(response, SESSION_COOKIE, session, secure=is_secure(request.scope))
        return response

    def _form(
        self,
        asked: str,
        *,
        complaint: str = "",
        field: str = "key",
        lost: bool = False,
        unsent: "UnsentForm | None" = None,
        status: int = 200,
    ) -> Response:
        """The sign-in page, with an error at its field for a key or at its button for an account."""
        return page(
            _TEMPLATE,
            here="",
            status=status,
            complaint=complaint,
            field=field,
            lost=lost,
            unsent=unsent,
            asked=asked if is_own_page(asked) else "",
            needless=self._is_needless(),
            button=self.accounts.flow.button if self.accounts.flow else "",
        )

    def _is_needless(self) -> bool:
        """Whether no key exists yet, so that nobody has to sign in."""
        try:
            return not self.accounts.required
        except StoreError:  # said when somebody tries to sign in
            return False

    def _refused(self, asked: str, wait: int, unsent: "UnsentForm | None", *, is_empty: bool) -> Response:
        if not wait:
            return self._form(asked, status=403, complaint=_EMPTY if is_empty else _WRONG, unsent=unsent)
        complaint = f"Too many wrong keys were sent. Wait {wait} seconds before you try again."
        shown = self._form(asked, status=429, complaint=complaint, unsent=unsent)
        shown.headers["retry-after"] = str(wait)
        return shown


def _note_signed_in(request: Request, key_id: str) -> None:
    seen = seen_by(request)
    seen.access, seen.key_id = Access.SIGNED_IN, key_id


def with_session(request: Request, session: str, address: str) -> Response:
    """A redirect to `address` with a new session; an earlier session of the browser is never continued."""
    response = RedirectResponse(address, 303)
    set_cookie(response, SESSION_COOKIE, session, secure=is_secure(request.scope))
    return response


def _once(request: Request) -> dict[str, str]:
    """The parameters of an address; a repeated one counts as missing, since programs differ in which they read."""
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    return {name: value for name, value in given if names.count(name) == 1}


def _fields(body: str) -> Mapping[str, str]:
    """The fields of a form; empty if the body is not such a form."""
    try:
        return PostedForm.of(body, most_fields=_MOST_FIELDS).fields
    except DataError:
        return {}


def _unavailable(error: StoreError) -> Response:
    _LOG.error("%s", error)
    return error_page("This was not done", _UNREADABLE, status=503)
