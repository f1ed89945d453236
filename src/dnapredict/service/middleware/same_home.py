"""Refuse requests while the folder of the home is not the one with which the service began.

A disk that is unmounted, or a home that is moved away, leaves an empty or another folder under the same path. No key is
known in it, so that this machine would need none, and what is recorded there would be hidden once the home is back.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from dnapredict.service.error_responses import json_error
from dnapredict.service.readiness import identity_of

_LOG: Final = logging.getLogger("dnapredict.service")
_ALIVE: Final = frozenset({"/livez", "/healthz"})
_REFUSED: Final = "The home of this service was removed or replaced while it is in use. The service's log names it."


@dataclass
class SameHome:
    """Answer 503 while the home is another folder; the process is alive meanwhile.

    Parameters
    ----------
    identity
        Of the folder with which the service began; that of the first request where there was none.
    """

    app: ASGIApp
    home: Path
    identity: str
    _is_refused: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in _ALIVE or self._is_same():
            await self.app(scope, receive, send)
        else:
            await json_error(503, _REFUSED)(scope, receive, send)

    def _is_same(self) -> bool:
        found = identity_of(self.home)
        self.identity = self.identity or found
        is_refused = found != self.identity
        if is_refused and not self._is_refused:
            _LOG.error(
                "%s: was removed, replaced or unmounted while it is in use, and nothing is answered. Put it back; if "
                "another home is to be served there, such as a restored one, restart the service.",
                self.home,
            )
        elif self._is_refused and not is_refused:
            _LOG.info("%s is back.", self.home)
        self._is_refused = is_refused
        return not is_refused
