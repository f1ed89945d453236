"""Security headers: nothing is loaded from other hosts, cached or framed."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = "content-security-policy"
SECURITY_HEADERS: Final = {
    _POLICY: ("default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not "no-referrer": browsers would then send no origin with a form, and every form would seem to be foreign.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# A response can hold a patient's appointment, so neither a browser nor a proxy may cache it.
_NOT_KEPT: Final = "no-store"
_KEPT_AN_HOUR: Final = "max-age=3600"
# These headers would reveal which software runs here.
_REMOVED: Final = ("server", "x-bentoml-request-id")


@dataclass(frozen=True)
class SecurityHeaders:
    """Add the headers to every response, and remove those that describe the server."""

    app: ASGIApp
    static_path: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kept = _KEPT_AN_HOUR if scope["path"].startswith(self.static_path) else _NOT_KEPT

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in _REMOVED:
                    del headers[name]
                # A page with inline styles, such as a report, sets its own policy.
                policy = headers.get(_POLICY, SECURITY_HEADERS[_POLICY])
                headers.update({**SECURITY_HEADERS, "cache-control": kept, _POLICY: policy})
            await send(message)

        await self.app(scope, receive, send_with_headers)
