"""The description of the API (OpenAPI 3.1), made from its routes: there is no second list that could forget one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypedDict

from collector.serve.api.errors import ErrorBody
from collector.serve.api.identity import ORGANIZATION_HEADER
from collector.serve.api.parameters import Parameter
from collector.serve.api.path import JSON_TYPE, Path
from collector.serve.api.selected import TRACE_SCHEMA, SelectionShown, zone_names
from collector.serve.api.shapes import Json, Schemas
from otel_cost import __version__

OPENAPI = "3.1.0"
_TEMPLATE = re.compile(r"\{(\w+)(:path)?\}")
_ERRORS = {
    HTTPStatus.BAD_REQUEST: "The request is wrong, and will be wrong again",
    HTTPStatus.UNAUTHORIZED: "Nobody known asks",
    HTTPStatus.FORBIDDEN: "Whoever asks may not",
    HTTPStatus.NOT_FOUND: "There is no such thing",
    HTTPStatus.CONFLICT: "Not possible as things are",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not now: no ledger can be read (`unavailable`), or it took too long (`timeout`)",
}
_OF_BODIES = (HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


class _Head(TypedDict):
    """What every view's answer has: which calls it is about, and up to when the ledger was read."""

    selection: SelectionShown
    as_of: str


def description(paths: Iterable[Path]) -> Json:
    """The whole document."""
    schemas = Schemas()
    error = schemas.of(ErrorBody)
    schemas.components["TimeZone"] = {"type": "string", "enum": list(zone_names()), "description": "An IANA name"}
    operations: dict[str, Json] = {}
    for path in paths:
        operations.setdefault(template(path), {})[path.method.lower()] = _operation(path, schemas)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "otel-cost",
            "version": __version__,
            "description": "What each AI call, agent and run cost. Money is a decimal string of US dollars; null is "
            "unknown, never nothing. Every error has one body.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}],
        "paths": operations,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {
                _word(status): {"description": text, "content": {JSON_TYPE: {"schema": error}}}
                for status, text in _ERRORS.items()
            },
            "parameters": {
                "Organization": {
                    "name": ORGANIZATION_HEADER,
                    "in": "header",
                    "description": "Whose figures: one that whoever asks may see",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
                }
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT or a token of the config"}
            },
        },
    }


def template(path: Path) -> str:
    """The path as OpenAPI writes it."""
    return _TEMPLATE.sub(r"{\1}", path.full)


def _operation(path: Path, schemas: Schemas) -> Json:
    returns = path.returns
    operation: Json = {
        "operationId": _operation_id(path),
        "summary": path.summary,
        "description": f"For {path.role.name.lower()}s.",
        "parameters": [
            *(_in_path(name) for name, _ in _TEMPLATE.findall(path.full)),
            {"$ref": "#/components/parameters/Organization"},
            *(_in_query(parameter) for parameter in path.parameters),
            *((_ATTRIBUTES,) if path.takes_attributes else ()),
        ],
        "responses": {str(status.value): _success(path, status, schemas) for status in returns.statuses},
    }
    for status in _ERRORS:
        if status not in _OF_BODIES or path.method != "GET":
            operation["responses"][str(status.value)] = {"$ref": f"#/components/responses/{_word(status)}"}
    if path.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": schemas.of(path.body)}}}
    return operation


def _success(path: Path, status: HTTPStatus, schemas: Schemas) -> Json:
    returns = path.returns
    if returns.shape is None:
        return {"description": path.summary, "content": {returns.media_type: {"schema": {"type": "string"}}}}
    schema = schemas.of(returns.shape)
    if returns.is_selection:
        schema = _with_head(schema, schemas)
    return {"description": f"{path.summary} ({status.phrase})", "content": {returns.media_type: {"schema": schema}}}


def _with_head(schema: Json, schemas: Schemas) -> Json:
    """The object with `selection` and `as_of` before its own fields."""
    head = schemas.components[schemas.of(_Head)["$ref"].rpartition("/")[2]]
    own = schemas.components[schema["$ref"].rpartition("/")[2]]
    if "selection" not in own["properties"]:
        own["properties"] = {**head["properties"], **own["properties"]}
        own["required"] = [*head["required"], *own["required"]]
    return schema


def _operation_id(path: Path) -> str:
    words = re.findall(r"[A-Za-z0-9]+", path.full.removeprefix("/api/v1"))
    return "_".join([path.method.lower(), *(word.lower() for word in words if word != "path")])


def _word(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "").replace("-", "")


def _in_path(name: str) -> Json:
    schema = dict(TRACE_SCHEMA) if name == "trace_id" else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(parameter: Parameter[Any]) -> Json:
    found: Json = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.summary,
        "schema": dict(parameter.schema),
    }
    return found | ({"required": True} if parameter.required else {})


_ATTRIBUTES: Json = {
    "name": "attributes",
    "in": "query",
    "description": "Only calls whose span has this attribute: attr.KEY=VALUE; an empty value: that have none",
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": r"^attr\.."},
        "additionalProperties": {"type": "string"},
        "maxProperties": 3,
    },
}
