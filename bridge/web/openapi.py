"""The OpenAPI document, made from the table of routes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.web.answers import MEANINGS
from bridge.web.keys import COOKIE
from bridge.web.routes import ROUTES, Takes
from bridge.web.schemas import LARGEST_BODY, SCHEMAS
from bridge.web.shapes import many

if TYPE_CHECKING:
    from bridge.web.routes import Param, Route
    from bridge.web.shapes import Schema
    from memory_manager.model import Json

_RETRY_AFTER: Json = {
    "Retry-After": {
        "description": "Seconds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_EVENT: Json = {"$ref": "#/components/schemas/Event"}


def document(version: str) -> dict[str, Json]:
    """The whole document for this version of the bridge."""
    paths: dict[str, dict[str, Json]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opencode-graph-memory",
            "version": version,
            "description": "The memory of the OpenCode coding agent, over HTTP on this machine. "
            "Times are seconds since the epoch unless a name ends in `_s`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What the file `http-token` in the data folder holds.",
                },
                "page": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": f"{COOKIE}PORT",
                    "description": "Set by `POST /api/session`; PORT is the address's.",
                },
            },
            "responses": {
                str(status): _failure(status, meaning) for status, (_, meaning) in MEANINGS.items()
            },
        },
        "security": [{"token": []}, {"page": []}],
    }


def _failure(status: int, meaning: str) -> Json:
    response: dict[str, Json] = {
        "description": meaning,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in {429, 503}:
        response["headers"] = _RETRY_AFTER
    return response


def _operation(route: Route) -> Json:
    operation: dict[str, Json] = {
        "operationId": _identifier(route),
        "summary": route.about.partition(". ")[0].rstrip("."),
        "description": route.about,
        "responses": _responses(route),
    }
    placed = [param for param in route.params if _in_address(route, param)]
    if placed:
        operation["parameters"] = [_parameter(route, param) for param in placed]
    if route.takes is not Takes.QUERY:
        operation["requestBody"] = _body(route)
    if route.open:
        operation["security"] = []
    return operation


def _identifier(route: Route) -> str:
    name = route.method or route.path.strip("/").removeprefix("api/").removesuffix(".json")
    return name if (route.verb, name) != ("POST", "explain") else "explain_long"


def _in_address(route: Route, param: Param) -> bool:
    return param.name == route.resource or route.takes is not Takes.OBJECT


def _parameter(route: Route, param: Param) -> Json:
    in_path = param.name == route.resource
    told: dict[str, Json] = {
        "name": param.name,
        "in": "path" if in_path else "query",
        "required": param.required,
        "description": param.about,
        "schema": dict(schema_of(param)),
    }
    if param.kind == "strings":
        told |= {"style": "form", "explode": True}
    return told


def schema_of(param: Param) -> Schema:
    """What the parameter may be."""
    match param.kind:
        case "string":
            schema: Schema = {"type": "string", "maxLength": param.longest}
            if param.required:
                schema |= {"minLength": 1, "pattern": r"\S"}
            return schema | ({"enum": list(param.choices)} if param.choices else {})
        case "strings":
            return {
                "type": "array",
                "items": {"type": "string", "maxLength": param.longest},
            }
        case "integer" | "number":
            return {"type": param.kind, "minimum": param.least, "maximum": param.most}
        case "boolean":
            return {"type": "boolean"}
        case "any":
            return {}


def _in_body(param: Param) -> Schema:
    schema = schema_of(param)
    return schema if param.required or not schema else {"anyOf": [schema, {"type": "null"}]}


def _body(route: Route) -> Json:
    if route.takes is Takes.EVENTS:
        beside = {param.name: _in_body(param) for param in route.params}
        envelope: Schema = {
            "type": "object",
            "required": ["events"],
            "properties": {"events": many("Event"), **beside},
            "additionalProperties": False,
        }
        return {
            "required": True,
            "description": f"At most {LARGEST_BODY} bytes.",
            "content": {
                "application/json": {"schema": {"anyOf": [_EVENT, many("Event"), envelope]}},
                # As a list of what stands on each line: JSON Schema has no word for lines.
                "application/x-ndjson": {"schema": {**many("Event"), "minItems": 1}},
            },
        }
    inside = [param for param in route.params if not _in_address(route, param)]
    required: list[Json] = [param.name for param in inside if param.required]
    schema: Schema = {
        "type": "object",
        "properties": {param.name: _in_body(param) for param in inside},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _responses(route: Route) -> Json:
    found: dict[str, Json] = {"200": _success(route)}
    if route.path == "/readyz":
        found["503"] = _success(route)
        return found | _refs(400, 403, 429)
    statuses = [400, 403, 429, 500]
    if not route.open:
        statuses += [401]
    if route.path == "/api/session":
        statuses += [401]
    if route.takes is not Takes.QUERY:
        statuses += [408, 413, 415]
    if route.method:
        statuses += [501, 503, route.rejected]
    if route.path == "/api/stream":
        statuses += [503]
    if route.resource and route.method != "hook":
        statuses += [404]
    return found | _refs(*sorted(statuses))


def _refs(*statuses: int) -> dict[str, Json]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _success(route: Route) -> Json:
    if route.path == "/api/stream":
        return {
            "description": "The stream.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    response: dict[str, Json] = {
        "description": route.about,
        "content": {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{route.result}"}}
        },
    }
    if route.path == "/api/session":
        response["headers"] = {"Set-Cookie": {"required": True, "schema": {"type": "string"}}}
    return response
