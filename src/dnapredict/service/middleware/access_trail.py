"""Log who saw which list or patient, before the response is sent.

The address says what was done; the page that answers fills in what the address does not (`access_entries.Seen`). If the
access cannot be logged, the response is 503 and contains nothing about a patient.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnapredict.errors import StoreError
from dnapredict.service.error_responses import json_error
from dnapredict.service.log.access_entries import Access, AccessLog, Seen, seen_by

_LOG: Final = logging.getLogger("dnapredict.service")
_NOT_LOGGED: Final = "Nothing is shown, because it cannot be logged who saw it. The service's log names the cause."
# A page with a complaint about a form, or about a colleague's outcome, shows the list or the patient as well.
_SHOWN: Final = frozenset({200, 400, 409})

AccessOf = Callable[[str, str], tuple[Access | None, str]]
"""Access and list id of a method and path; None and "" where they show no list."""


@dataclass(frozen=True)
class AccessTrail:
    """Log the accesses of the application.

    Parameters
    ----------
    access_of
        Says what a method and path show.
    """

    app: ASGIApp
    log: AccessLog
    access_of: AccessOf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = seen_by(Request(scope))
        is_refused = False

        async def send_logged(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                is_refused = not await self._is_logged(scope, seen, status=message["status"])
                if is_refused:
                    await json_error(503, _NOT_LOGGED)(scope, receive, send)
            if not is_refused:
                await send(message)

        await self.app(scope, receive, send_logged)

    async def _is_logged(self, scope: Scope, seen: Seen, *, status: int) -> bool:
        access, list_id = self._access(scope, seen, status=status)
        if access is None:
            return True
        seen.list_id = seen.list_id or list_id
        try:
            await run_in_threadpool(self.log.note, access, seen)
        except StoreError as error:
            _LOG.error("%s", error)
            return False
        return True

    def _access(self, scope: Scope, seen: Seen, *, status: int) -> tuple[Access | None, str]:
        if seen.access is not None:
            return seen.access, ""
        access, list_id = self.access_of(scope["method"], scope["path"])
        return (access if status in _SHOWN else None), list_id
