"""Cookies of sign-in: their names and flags, and the renewal of a session that is in use.

Over https a name begins with `__Host-`: browsers take such a cookie only from the host itself, over https, for all its
paths, so that another host of the trust's domain cannot plant one. Over http, on this machine, browsers refuse it.
"""

from http.cookies import SimpleCookie
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from dnapredict.service.auth.accounts import Accounts

SESSION_COOKIE: Final = "dnapredict_session"
_BOUND: Final = "__Host-"
# Browsers name what a request is for. A page that a person opens or a form that they send is use; what a script fetches
# by itself (an open list) is not, or a list that was left open would keep its session until its last hour.
_BY_A_PERSON: Final = ("document", "")


def is_secure(scope: Scope) -> bool:
    """Whether the browser reaches the service by https."""
    return scope.get("scheme") == "https"


def cookie_name(name: str, *, secure: bool) -> str:
    """The name of a cookie as a browser keeps it."""
    return _BOUND + name if secure else name


def cookie(scope: Scope, name: str) -> str:
    """The value of a cookie, "" where there is none; over https only one that is bound to this host."""
    sent = HTTPConnection(scope).cookies
    bound = sent.get(_BOUND + name, "")
    return bound if bound or is_secure(scope) else sent.get(name, "")


def set_cookie(
    response: Response, name: str, value: str, *, secure: bool, max_age: int | None = None, lax: bool = False
) -> None:
    """Send a cookie that scripts and other sites cannot use.

    Parameters
    ----------
    max_age
        Seconds; None until the browser is closed.
    lax
        Whether browsers also send it with a redirect from another site.
    """
    response.set_cookie(
        cookie_name(name, secure=secure),
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="lax" if lax else "strict",
        secure=secure,
    )


def delete_cookie(response: Response, name: str, *, secure: bool) -> None:
    """Delete a cookie in the browser."""
    set_cookie(response, name, "", secure=secure, max_age=0)


def renewing(scope: Scope, send: Send, accounts: Accounts) -> Send:
    """`send` that prolongs the idle time of the session of this request, unless its response sets the cookie itself."""
    if Headers(scope=scope).get("sec-fetch-dest", "") not in _BY_A_PERSON:
        return send
    renewed = accounts.renewed_session(cookie(scope, SESSION_COOKIE))
    if renewed is None:
        return send
    # Under the name that it came with: the issuer's sign-in knows by its settings that browsers come by https.
    secure = is_secure(scope) or cookie_name(SESSION_COOKIE, secure=True) in HTTPConnection(scope).cookies
    name = cookie_name(SESSION_COOKIE, secure=secure)

    async def send_renewed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if not any(name in SimpleCookie(sent) for sent in headers.getlist("set-cookie")):
                prolonged = Response()
                set_cookie(prolonged, SESSION_COOKIE, renewed, secure=secure)
                headers.append("set-cookie", prolonged.headers["set-cookie"])
        await send(message)

    return send_renewed
