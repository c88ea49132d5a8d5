"""The document: valid, bounded, closed, and complete."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from plaza.catalogue import ADMISSION, TABLES, document
from plaza.entry.openapi_answers import refusals
from plaza.entry.openapi_schemas import readable
from plaza.entry.rest import mounted
from plaza.entry.sockets import TABLE as SOCKETS

DOCUMENT = document()
OPERATIONS = [
    (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
SHOWN = ("examples", "example", "default")
"""Keys that hold values, not schemas."""


def complaints(node: Any, where: str = "#") -> Iterator[str]:
    """Where a schema below `node` lets somebody send or get without bounds."""
    if isinstance(node, list):
        for place, part in enumerate(node):
            yield from complaints(part, f"{where}/{place}")
    elif isinstance(node, dict):
        yield from (f"{where}: {complaint}" for complaint in unbounded(node))
        for name, part in node.items():
            if name not in SHOWN:
                yield from complaints(part, f"{where}/{name}")


def unbounded(schema: dict[str, Any]) -> Iterator[str]:
    """What a schema does not bound."""
    kind = schema.get("type")
    if kind == "string" and not {"maxLength", "enum", "const"} & schema.keys():
        yield "a string without maxLength"
    if kind == "array" and "maxItems" not in schema:
        yield "an array without maxItems"
    if kind == "object" and schema.get("additionalProperties") is not False and not is_bounded_map(schema):
        yield "an object that is open"


def is_bounded_map(schema: dict[str, Any]) -> bool:
    """Whether a map has so many entries at most, with names of so many characters."""
    names = schema.get("propertyNames", {})
    return "maxProperties" in schema and bool({"maxLength", "enum"} & names.keys())


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    found: Any = DOCUMENT
    for name in node["$ref"].removeprefix("#/").split("/") if "$ref" in node else ():
        found = found[name]
    return found if "$ref" in node else node


def references(node: Any) -> Iterator[dict[str, Any]]:
    """Every reference below `node`."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict) and "$ref" in node:
        yield node
    for part in parts:
        yield from references(part)


def test_it_is_openapi_3_1_and_every_schema_in_it_is_a_json_schema() -> None:
    OPENAPI_31_VALIDATOR.validate(DOCUMENT)
    schema: Any = schemathesis.openapi.from_dict(DOCUMENT)
    assert len([found.ok() for found in schema.get_all_operations()]) == len(OPERATIONS)
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    assert all(resolved(reference) for reference in references(DOCUMENT))


def test_every_string_and_array_is_bounded_and_every_object_closed() -> None:
    assert list(complaints(DOCUMENT)) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
        {"type": "object", "additionalProperties": False, "properties": {"type": {"anyOf": [{"type": "string"}]}}},
    ],
)
def test_the_lint_sees_what_has_no_bounds(schema: dict[str, Any]) -> None:
    assert list(complaints(schema)) != []


def test_every_route_is_documented_at_every_path_under_a_name_of_its_own() -> None:
    served = {
        (route.method.lower(), "/" + re.sub(r":(\w+)", r"{\1}", path)): (table, route)
        for table in TABLES
        for path, route in mounted([table])
    }
    assert {(method, path) for method, path, _ in OPERATIONS} == set(served)
    names = Counter(operation["operationId"] for _, _, operation in OPERATIONS)
    assert max(names.values()) == 1
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    for method, path, operation in OPERATIONS:
        table, route = served[method, path]
        assert operation["tags"] == [table.name]
        assert operation["summary"]
        assert "(contract" not in operation["summary"]
        assert str(route.status.value) in operation["responses"]
        assert ({"bearer": []} in operation["security"]) == (route.auth != "public")
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {table.name for table in TABLES if table.routes}


def test_what_is_staffs_alone_is_below_their_prefix_alone_and_refuses_customers() -> None:
    own = [(path, route) for path, route in mounted(TABLES) if route.auth == "staff"]
    assert own
    for path, route in own:
        name = "/" + re.sub(r":(\w+)", r"{\1}", path)
        assert name.startswith("/community/")
        assert route.method.lower() not in DOCUMENT["paths"].get(f"/client{name}", {})
        refused = resolved(DOCUMENT["paths"][name][route.method.lower()]["responses"]["403"])
        assert "auth.staff_only" in refused["description"]


def test_every_refusal_of_a_route_stands_at_its_status() -> None:
    by_path = {(method, re.sub(r"{(\w+)}", r":\1", path)): operation for method, path, operation in OPERATIONS}
    for table in TABLES:
        for path, route in mounted([table]):
            operation = by_path[route.method.lower(), f"/{path}"]
            for refusal in refusals(route, ADMISSION):
                response = resolved(operation["responses"][str(refusal.status.value)])
                content = response["content"]["application/json"]
                assert refusal.reason in content["schema"]["allOf"][1]["properties"]["reason"]["enum"]
                assert resolved(content["examples"][refusal.reason])["value"]["reason"] == refusal.reason


def test_every_example_of_a_refusal_is_a_refusal() -> None:
    refusal = {**DOCUMENT, "$ref": "#/components/schemas/ErrorBody"}
    for example in DOCUMENT["components"]["examples"].values():
        jsonschema_rs.validate(refusal, example["value"])


def test_writes_of_people_take_an_idempotency_key_and_bodies_are_required_where_a_field_is() -> None:
    for method, _, operation in OPERATIONS:
        named = {resolved(part)["name"] for part in operation["parameters"]}
        assert "orgid" in named
        assert ("Idempotency-Key" in named) == (method != "get" and "409" in operation["responses"])
    send = DOCUMENT["paths"]["/client/community/messages"]["post"]
    assert send["requestBody"]["required"] is True
    assert DOCUMENT["paths"]["/client/community/people/me"]["put"]["requestBody"]["required"] is False
    assert "messages_delete" in send["responses"]["201"]["links"]
    assert "blocks_unblock" not in DOCUMENT["paths"]["/client/community/blocks"]["post"]["responses"]["201"].get(
        "links", {}
    )


def test_every_socket_event_is_documented_with_its_shapes() -> None:
    sockets = DOCUMENT["x-socket-events"]
    spoken = {event.name for table in TABLES for event in table.events} | {"sync", "authenticate"}
    pushed = {push.name for table in (*TABLES, SOCKETS) for push in table.pushes}
    assert {event["name"] for event in sockets["client"]} == spoken
    assert {event["name"] for event in sockets["server"]} == pushed
    by_name = {event["name"]: event for event in sockets["client"]}
    assert by_name["sendMessage"]["payload"] == {"$ref": "#/components/schemas/NewMessage"}
    assert set(resolved(by_name["sendMessage"]["acknowledgement"])["required"]) == {"success", "message"}
    assert set(by_name["markRead"]["acknowledgement"]["required"]) == {"success", "read"}
    assert by_name["getOnlineUsers"]["payload"] == {"type": "null"}
    assert by_name["getOnlineUsers"]["acknowledgement"]["type"] == "array"
    assert "message.blocked" in by_name["sendMessage"]["refusals"]
    temporary = {"socket.too_many", "rate.limited", "store.unavailable", "server.error", "auth.token_expired"}
    assert temporary == set(sockets["handshake"]["temporary"])
    final = {"request.invalid", "org.missing", "org.not_found", "org.suspended", "auth.missing", "auth.invalid_token"}
    assert final | temporary <= set(sockets["handshake"]["refusals"]) == set(sockets["handshake"]["meanings"])
    endings = {(ending["code"], ending["reason"]) for ending in sockets["endings"]}
    assert {(1001, "going_away"), (4001, "slow_consumer"), (4000, "token_expired"), (4000, "revoked")} <= endings


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Message", "Message"),
        ("Listing_Message_", "MessageListing"),
        ("plaza.domains.messages.schemas.Read", "MessagesRead"),
        ("Listing_plaza.domains.badges.schemas.Read_", "BadgesReadListing"),
    ],
)
def test_shapes_have_names_for_readers(given: str, shown: str) -> None:
    assert readable(given) == shown
