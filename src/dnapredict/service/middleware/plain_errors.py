"""Give every refusal of the service one shape: `{"error": "a sentence"}`, or a page for a person.

BentoML answers an error as a list, an object or plain text, by its origin. A caller should
need one way to read it, and a sentence that repeats nothing of what was sent. At the addresses
of the pages a browser is shown the same sentence as a page.

What escapes from anything below is answered here as well: BentoML would wait for an answer until its own
time-out, for a minute and a half, and say nothing.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.service.pages.rendering import trouble_page

_LOG: Final = logging.getLogger("dnapredict.service")
_SENTENCES: Final = {
    400: "The request cannot be read.",
    401: "Send an API key: Authorization: Bearer KEY.",
    403: "This key may not do that.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    500: "Something went wrong here; the request was not carried out. The service's log names the cause.",
    503: "The service is not ready. Try again in a moment.",
    504: "This took too long and was given up. Send fewer appointments at a time.",
}
_HEADING: Final = "This was not done"
_HEADINGS: Final = {
    403: "You may not do that",
    404: "There is no such page",
    413: "The file is too large",
    429: "Please wait a moment",
    500: "Something went wrong",
    503: "Please try again in a moment",
    504: "This took too long",
}
_OF_PROGRAMS: Final = "/v1/"
# A model is loaded, a database comes back: not at once, and not in hours.
_SECONDS_TO_COME_AGAIN: Final = "5"
# A conflict is answered by us alone, and with more than a sentence: what counts by now.
_WITH_MORE: Final = frozenset({409})
_OURS: Final = frozenset({"error"})
_KEPT: Final = ("allow", "connection", "retry-after", "www-authenticate")


@dataclass(frozen=True)
class PlainRefusals:
    """Rewrite answers of status 400 and above, unless they are pages for people."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started: Message | None = None
        parts: list[bytes] = []
        is_answered = False

        async def send_plainly(message: Message) -> None:
            nonlocal started, is_answered
            if message["type"] == "http.response.start" and _needs_rewriting(message):
                started = message
                return
            if started is None:
                is_answered = True
                await send(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                is_answered = True
                await _plain(started, b"".join(parts), to_person=_is_of_person(scope))(scope, receive, send)

        try:
            await self.app(scope, receive, send_plainly)
        except Exception:
            if is_answered:
                raise
            _LOG.exception("A request was not answered.")
            await _plain({"status": 500}, b"", to_person=_is_of_person(scope))(scope, receive, send)


def _needs_rewriting(message: Message) -> bool:
    is_page = Headers(raw=message.get("headers", [])).get("content-type", "").startswith("text/html")
    return message["status"] >= 400 and not is_page and message["status"] not in _WITH_MORE


def _is_of_person(scope: Scope) -> bool:
    """Whether a browser asks for a page; programs use other addresses, and some of them take HTML as well."""
    wanted = Headers(scope=scope).get("accept", "")
    return "text/html" in wanted and not scope["path"].startswith(_OF_PROGRAMS)


def _plain(started: Message, body: bytes, *, to_person: bool) -> Response:
    status: int = started["status"]
    received = Headers(raw=started.get("headers", []))
    kept = {name: received[name] for name in _KEPT if name in received}
    if status == 503:
        kept.setdefault("retry-after", _SECONDS_TO_COME_AGAIN)
    sentence = _sentence(status, body)
    if to_person:
        return trouble_page(_HEADINGS.get(status, _HEADING), sentence, status=status, headers=kept)
    return JSONResponse({"error": sentence}, status, headers=kept)


def _sentence(status: int, body: bytes) -> str:
    try:
        content: Any = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict) and set(content) == _OURS and status != 500:
        return str(content["error"])
    problems = content.get("detail") if isinstance(content, dict) else None
    if status == 400 and isinstance(problems, list) and problems:
        return _of_validation(problems[0])
    return _SENTENCES.get(status, "The request was refused.")


def _of_validation(problem: dict[str, Any]) -> str:
    """The first problem that pydantic found, as a sentence. Its input was left out at the source."""
    if problem.get("type") == "json_invalid":
        return "The request is not valid JSON."
    if problem.get("type") == "extra_forbidden":
        return "The request holds an unknown key."  # which is the caller's, and may be a value put in its place
    message = str(problem.get("msg", "")).removeprefix("Value error, ")
    if problem.get("type") == "value_error":
        return message[:1].upper() + message[1:] + ("" if message.endswith((".", "?")) else ".")
    where = ".".join(str(part) for part in problem.get("loc", ()))
    return f"'{where}': {message}."
