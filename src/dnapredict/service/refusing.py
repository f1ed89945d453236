"""How an error of ours is answered over HTTP."""

from typing import Final

from starlette.responses import JSONResponse

from dnapredict.errors import DnapredictError, ModelError, StoreError
from dnapredict.service.answers import Refusal

__all__ = ["refuse", "status_of"]

# What is wrong with the service and not with the request; the caller may try again.
_OUR_FAULT: Final = (ModelError, StoreError)


def status_of(error: DnapredictError) -> int:
    """503 where the service is at fault, 400 otherwise."""
    return 503 if isinstance(error, _OUR_FAULT) else 400


def refuse(error: DnapredictError) -> JSONResponse:
    """The answer to a request that met `error`: its sentence, which names no value."""
    return JSONResponse(Refusal(error=str(error)).model_dump(), status_of(error))
