"""Error responses: `{"error": "a sentence"}`, without any content of the request."""

import logging
from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse

from dnapredict.errors import DnapredictError, ModelError, StoreError

_LOG: Final = logging.getLogger("dnapredict.service")
# Errors of the service and not of the request; the caller may try again.
_SERVICE_ERRORS: Final = (ModelError, StoreError)


def json_error(
    status: int, sentence: str, *, retry_after: int | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error for a program; `retry_after` is in seconds."""
    again = {} if retry_after is None else {"retry-after": str(retry_after)}
    return JSONResponse({"error": sentence}, status, headers={**(headers or {}), **again})


def status_of(error: DnapredictError) -> int:
    """503 where the service is at fault, 400 otherwise.

    An error about a file of the home is logged with its path, which the caller must not see.
    """
    if isinstance(error, StoreError):
        _LOG.error("%s", error)
    return 503 if isinstance(error, _SERVICE_ERRORS) else 400


def error_response(error: DnapredictError) -> JSONResponse:
    """The response for `error`, with its message, which holds no patient's value."""
    return json_error(status_of(error), str(error))
