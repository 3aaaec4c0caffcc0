"""The API as OpenAPI 3.1: what the routers say, the doors for events, scopes and problem details in their places."""

import re
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from beforehand.api.operations import May, ProblemDetails
from beforehand.api.problems import MEDIA_TYPE

_PROBLEM = {
    "description": "Refused",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
}
_ACCEPTED = {
    "type": "object",
    "required": ["accepted", "duplicates"],
    "properties": {"accepted": {"type": "integer"}, "duplicates": {"type": "integer"}},
}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "description": "The same key with the same body gets the same answer for 24 hours, and does nothing again.",
}
_CLOUD_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "customer": {"type": "string", "description": "The customer's id in your system."},
        "data": {},
    },
}


def _door(operation: str, summary: str, description: str, content: dict[str, Any], *parameters: Any) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "description": description,
        "tags": ["intake"],
        "parameters": list(parameters),
        "requestBody": {"required": True, "content": content},
        "security": [{"token": ["events:write"]}],
        "responses": {
            "202": {"description": "Committed", "content": {"application/json": {"schema": _ACCEPTED}}},
            **{str(status): _PROBLEM for status in (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)},
        },
    }


_ANY_JSON: dict[str, Any] = {"application/json": {"schema": {}}}
DOORS = {
    "/api/v1/events": {
        "post": _door(
            "post_events",
            "Send events",
            "CloudEvents 1.0: structured, batched (an array), or binary (attributes in ce- headers, data in the body).",
            {
                "application/cloudevents+json": {"schema": _CLOUD_EVENT},
                "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _CLOUD_EVENT}},
            },
        )
    },
    "/api/v1/intake/alertmanager": {
        "post": _door(
            "post_alertmanager",
            "Alertmanager's webhook",
            "What Alertmanager's webhook receiver posts, verbatim.",
            _ANY_JSON,
        )
    },
    "/api/v1/intake/prometheus/api/v2/alerts": {
        "post": _door(
            "post_prometheus",
            "Prometheus' alerts",
            "What Prometheus posts to its Alertmanager; the same door as /api/v2/alerts.",
            _ANY_JSON,
        )
    },
    "/api/v1/intake/{source}": {
        "post": _door(
            "post_mapped",
            "Any JSON",
            "Made into events by the mapping of this name: one that ships, or one of the company's own.",
            _ANY_JSON,
            {"in": "path", "name": "source", "required": True, "schema": {"type": "string"}},
        )
    },
}
"""The plain views, which no router knows."""


class DocumentedAPI(NinjaAPI):
    """The API with a schema that names scopes, and describes its refusals as what they are."""

    def get_openapi_schema(self, *, path_prefix: str | None = None, path_params: Any = None) -> OpenAPISchema:
        schema = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        schema["components"]["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
        for router in self._get_bound_routers():
            for path, view in router.path_operations.items():
                for operation in view.operations:
                    for callback in operation.auth_callbacks:
                        for documented in _documented(schema, router.prefix, path, operation.methods):
                            _describe(documented, callback, is_creating=hasattr(operation, "_run_decorators"))
        schema["paths"] |= DOORS
        schema["components"]["securitySchemes"] = {"token": schema["components"]["securitySchemes"]["May"]}
        return schema

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name of the function, which is one of its own."""
        return operation.view_func.__name__

    def refuse_unknown_parameters(self) -> None:
        """From now on a parameter in an address that the operation does not know is refused, as in bodies."""
        for router in self._get_bound_routers():
            for view in router.path_operations.values():
                for operation in view.operations:
                    queries = [model for model in operation.models if model.__ninja_param_source__ == "query"]
                    known = frozenset(name for model in queries for name in model.__ninja_flatten_map__)
                    for callback in operation.auth_callbacks:
                        if isinstance(callback, May):  # each operation has its own
                            callback.parameters = known


def _documented(schema: Any, prefix: str, path: str, methods: list[str]) -> list[dict[str, Any]]:
    full = re.sub(r"{[^}:]+:", "{", f"/api/v1/{prefix.strip('/')}{path}".rstrip("/"))
    return [schema["paths"][full][method.lower()] for method in methods]


def _describe(operation: dict[str, Any], callback: Any, *, is_creating: bool) -> None:
    if isinstance(callback, May):
        operation["security"] = [{"token": [callback.scope]}]
    if is_creating and _IDEMPOTENCY_KEY not in operation["parameters"]:
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    for status, answer in operation["responses"].items():
        if int(status) >= 400:
            answer.pop("content", None)
            answer["content"] = _PROBLEM["content"]
