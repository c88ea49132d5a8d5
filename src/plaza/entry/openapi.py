"""The OpenAPI 3.1 document, made from the route tables and structs that the server itself runs on."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from plaza.entry import openapi_limits, openapi_sockets
from plaza.entry.answers import ErrorBody
from plaza.entry.openapi_answers import HEADERS, Answers
from plaza.entry.openapi_schemas import Schema, Schemas, public
from plaza.entry.rest import LONGEST_KEY, PREFIXES, mounted
from plaza.kernel.addresses import PersonRef
from plaza.kernel.errors import Refusal
from plaza.kernel.routes import Route, Table, snake
from plaza.kernel.wire import IdText, Person

SUMMARY = "The community of a business, under its own roof: people, messages, presence and notifications, live."
ABOUT = """Say which organisation in the header `orgid`, and who you are with a bearer token that your own server
signed for it. What is live comes over Socket.IO; its events stand under `x-socket-events` of this document."""
PARAMETERS: dict[str, Schema] = {
    "orgid": {
        "name": "orgid",
        "in": "header",
        "required": True,
        "description": "The organisation; a token must be of the same one.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9][a-z0-9_-]*$"},
    },
    "idempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A key of your own for this write: sent again with the same key, it has one effect, for good; "
        "the answer is the thing as you may see it by then, or the 404 of a thing that you may not.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    },
}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of the organisation's signer, naming the person and the organisation. A service that signs "
    "requests itself sends the person's token as `X-Client-Authorization`; that one decides who acts.",
}
_SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    "public": [],
    "session": [{}, {"bearer": []}],
    "optional": [{}, {"bearer": []}],
    "member": [{"bearer": []}],
    "account": [{"bearer": []}],
    "staff": [{"bearer": []}],
}


def document(tables: Sequence[Table], version: str, admission: Sequence[type[Refusal]] = ()) -> dict[str, Any]:
    """The whole document; `admission` are the refusals of those who verify tokens and find organisations."""
    schemas = _schemas(tables)
    answers = Answers(schemas, admission)
    paths = _paths(tables, schemas, answers)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Plaza", "version": version, "summary": SUMMARY, "description": ABOUT},
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [_tag(table) for table in tables if table.routes],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": answers.responses,
            "examples": answers.examples,
            "securitySchemes": {"bearer": BEARER},
        },
        "x-limits": openapi_limits.described(tables),
        "x-socket-events": openapi_sockets.described(tables, schemas, admission),
    }


def _schemas(tables: Sequence[Table]) -> Schemas:
    signatures = [route.signature for table in tables for route in table.routes]
    asked = [shape for each in signatures for shape in (each.body, each.query) if shape is not None]
    segments = [hint for table in tables for route in table.routes for hint in _segments(route).values()]
    return Schemas(
        [IdText, *asked, *segments, *openapi_sockets.asked(tables)],
        [*(each.returns for each in signatures), *openapi_sockets.answered(tables)],
        omits=(ErrorBody, openapi_sockets.EventRefusal),
    )


def _paths(tables: Sequence[Table], schemas: Schemas, answers: Answers) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for table in tables:
        for path, route in mounted([table]):
            found = {"operationId": _name(table, path, route, taken), **_operation(table, route, schemas, answers)}
            paths.setdefault("/" + re.sub(r":(\w+)", r"{\1}", path), {})[route.method.lower()] = found
    _link(paths, schemas.of(IdText))
    return paths


def _link(paths: Mapping[str, Mapping[str, Any]], id_text: Schema) -> None:
    """What a creation answers names the thing in the path of the thing itself.

    What lies further below asks for other things too, which may be missing.
    """
    for path, methods in paths.items():
        created = methods.get("post", {}).get("responses", {}).get("201")
        if created is None:
            continue
        below = re.compile(re.escape(path) + r"/\{(\w+)\}")
        for other, operations in paths.items():
            found = below.fullmatch(other)
            for operation in operations.values() if found is not None else ():
                named = {part["name"]: part["schema"] for part in operation["parameters"] if part.get("in") == "path"}
                if found is not None and named[found[1]] == id_text:
                    link = {"operationId": operation["operationId"], "parameters": {found[1]: "$response.body#/id"}}
                    created.setdefault("links", {})[operation["operationId"]] = link


def _name(table: Table, path: str, route: Route, taken: set[str]) -> str:
    """`messages_send`, and `staff_messages_send` below the prefix of staff; by its path where that is taken."""
    verb = route.call.__name__
    name = f"{table.name}_{'list' if verb == table.name else verb}"
    if path.startswith(PREFIXES[1] + "/"):
        name = "staff_" + name
    if name in taken:
        name += "_" + re.sub(r"\W+", "_", snake(path)).strip("_")
    taken.add(name)
    return name


def _operation(table: Table, route: Route, schemas: Schemas, answers: Answers) -> dict[str, Any]:
    found: dict[str, Any] = {"tags": [table.name], "summary": public(route.signature.summary)}
    said = public(inspect.getdoc(route.call) or "")
    if "\n\n" in said:
        found["description"] = said
    found["security"] = _SECURITY[route.auth]
    found["parameters"] = _parameters(route, schemas)
    if route.signature.body is not None:
        required = bool(schemas.component(route.signature.body)["required"] or route.signature.body.rules)
        content = {"application/json": {"schema": schemas.of(route.signature.body)}}
        found["requestBody"] = {"required": required, "content": content}
    found["responses"] = answers.of(route)
    found["x-limits"] = [limit.name for limit in route.limits]
    return found


def _parameters(route: Route, schemas: Schemas) -> list[Schema]:
    found: list[Schema] = [{"$ref": "#/components/parameters/orgid"}]
    if route.keyed:
        found.append({"$ref": "#/components/parameters/idempotencyKey"})
    names = re.findall(r":(\w+)", route.path)
    for name, hint in zip(names, _segments(route).values(), strict=True):
        found.append(_parameter(name, "path", schemas.of(hint), required=True))
    if route.signature.query is not None:
        query = schemas.component(route.signature.query)
        for name, schema in query["properties"].items():
            found.append(_parameter(name, "query", schema, required=name in query["required"]))
    return found


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    """A parameter; one that is left out is absent, never null."""
    kinds = [part for part in schema.get("anyOf", []) if part.get("type") != "null"]
    bare = {**schema, **kinds[0]} if len(kinds) == 1 else dict(schema)
    if len(kinds) == 1:
        del bare["anyOf"]
    said = {"description": bare.pop("description")} if "description" in bare else {}
    return {"name": name, "in": place, "required": required, **said, "schema": bare}


def _segments(route: Route) -> dict[str, Any]:
    """The shapes of a route's path parameters, in order; every one is bounded."""
    hints = typing.get_type_hints(route.call, include_extras=True)
    known: dict[Any, Any] = {PersonRef: Person, str: IdText}
    return {name: known.get(hints[name], hints[name]) for name in route.signature.path}


def _tag(table: Table) -> dict[str, str]:
    """The domain as its package describes itself: what stands before the colon is its title."""
    package = table.routes[0].call.__module__.rpartition(".")[0]
    said = (sys.modules[package].__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    title, _, rest = said.partition(": ")
    about = rest or said
    return {"name": table.name, "x-displayName": title, "description": about[:1].upper() + about[1:]}
