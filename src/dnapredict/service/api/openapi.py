"""The OpenAPI description at `/docs.json`, errors included.

BentoML's own description has error bodies that the service does not send.
"""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dnapredict import __version__
from dnapredict.service.api.request_models import ActionRequest, ScoreRequest
from dnapredict.service.api.response_models import (
    FILE_TYPES,
    ActionAnswer,
    Conflict,
    ListAnswer,
    ModelAnswer,
    Refusal,
    ReturnedAnswer,
    ScoreAnswer,
)

_REFERENCE: Final = "#/components/schemas/{model}"
_REFUSALS: Final = {
    400: "The request cannot be read: not JSON, an unknown key or column, or too many rows.",
    401: "No key, or a key that is not valid.",
    403: "The key lacks the scope for this.",
    404: "The list does not exist or was deleted, or the appointment is not on it.",
    409: "The outcome was changed by somebody else in the meantime; nothing was recorded.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The content type is not one that this address takes.",
    429: "The key sent too many requests; `Retry-After` is the number of seconds to wait.",
    500: "A fault of the service.",
    503: "No model is loaded yet, the answer cannot be recorded, or the service is too busy.",
    504: "It took too long.",
}

_CONFLICT: Final = 409
_COME_AGAIN: Final = frozenset({429, 503})

_UPLOAD: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "description": "CSV or XLSX."}},
    "additionalProperties": False,
}
_LIST_PARAMETERS: Final = [
    {"name": "list_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {"name": "form", "in": "query", "schema": {"type": "string", "enum": ["json", "csv", "xlsx"]}},
]


def description() -> dict[str, Any]:
    """The whole description, in OpenAPI 3.1."""
    requests: list[type[BaseModel]] = [ScoreRequest, ActionRequest]
    responses: list[type[BaseModel]] = [
        ScoreAnswer,
        ListAnswer,
        ActionAnswer,
        ReturnedAnswer,
        Conflict,
        ModelAnswer,
        Refusal,
    ]
    _, schemas = models_json_schema(
        [*((model, "validation") for model in requests), *((model, "serialization") for model in responses)],
        ref_template=_REFERENCE,
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "dnapredict", "version": __version__, "description": __doc__},
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _paths() -> dict[str, Any]:
    return {
        "/v1/score": {
            "post": {
                "operationId": "score",
                "summary": "Score appointments and put them in the order in which to call.",
                "requestBody": {"required": True, "content": _content(ScoreRequest)},
                "responses": _responses(ScoreAnswer, refusals=(400, 401, 403, 408, 413, 415, 429, 500, 503, 504)),
            }
        },
        "/v1/lists": {
            "post": {
                "operationId": "scoreList",
                "summary": "Score a weekly list that is sent as a file, and keep it.",
                "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD}}},
                "responses": _responses(ListAnswer, refusals=(400, 401, 403, 408, 413, 415, 429, 500, 503, 504)),
            }
        },
        "/v1/lists/{list_id}": {
            "get": {
                "operationId": "list",
                "summary": "A kept list in the requested format; files have a column `outcome`.",
                "parameters": _LIST_PARAMETERS,
                "responses": _list_responses(),
            }
        },
        "/v1/lists/{list_id}/actions": {
            "post": {
                "operationId": "recordAction",
                "summary": "Record the outcome of a call about an appointment on a list. The last one counts.",
                "parameters": _LIST_PARAMETERS[:1],
                "requestBody": {"required": True, "content": _content(ActionRequest)},
                "responses": _responses(
                    ActionAnswer,
                    status="201",
                    refusals=(400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504),
                ),
            }
        },
        "/v1/lists/{list_id}/outcomes": {
            "post": {
                "operationId": "returnOutcomes",
                "summary": "Record the outcomes of a filled worklist; the response has the result for each row.",
                "parameters": _LIST_PARAMETERS[:1],
                "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD}}},
                "responses": _responses(
                    ReturnedAnswer, refusals=(400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504)
                ),
            }
        },
        "/v1/model": {
            "get": {
                "operationId": "model",
                "summary": "The model that answers now.",
                "responses": _responses(ModelAnswer, refusals=(401, 403, 429, 500, 503, 504)),
            }
        },
        "/livez": {"get": _probe("Whether the process is alive.", refusals=(500,))},
        "/readyz": {
            "get": _probe("Whether a request can be answered: model, keys and log are there.", refusals=(500, 503))
        },
    }


def _list_responses() -> dict[str, Any]:
    responses = _responses(ListAnswer, refusals=(400, 401, 403, 404, 429, 500, 503, 504))
    file = {"schema": {"type": "string", "format": "binary"}}
    responses["200"]["content"] |= {FILE_TYPES["csv"]: file, FILE_TYPES["xlsx"]: file}
    return responses


def _responses(answer: type[BaseModel], *, refusals: tuple[int, ...], status: str = "200") -> dict[str, Any]:
    done = {status: {"description": "Done.", "content": _content(answer)}}
    return done | _refused(refusals)


def _probe(summary: str, *, refusals: tuple[int, ...]) -> dict[str, Any]:
    yes = {"200": {"description": "Yes.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    return {"summary": summary, "responses": yes | _refused(refusals)}


def _refused(statuses: tuple[int, ...]) -> dict[str, Any]:
    return {str(status): _refusal(status) for status in statuses}


def _refusal(status: int) -> dict[str, Any]:
    model = Conflict if status == _CONFLICT else Refusal
    response: dict[str, Any] = {"description": _REFUSALS[status], "content": _content(model)}
    if status in _COME_AGAIN:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": status == 429}}
    return response


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}
