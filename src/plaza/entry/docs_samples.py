"""What the docs page shows of schemas: their kinds in words, and samples of their values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from plaza.entry.openapi_schemas import REF, Schema

Components = Mapping[str, Schema]
NAMED: Mapping[str, object] = {
    "firstName": "Bob",
    "lastName": "Baker",
    "company": "Baker & Daughters",
    "jobTitle": "Owner",
    "content": "Hello Bob!",
    "summary": "Bob Baker wrote to you.",
    "clientId": "c-1f0a",
    "from": "alice@demo.test",
    "messageId": "385142270169145344",
    "messageIds": "385142270169145344",
    "ids": "385142270169145344",
    "since": "385142270169145344",
    "cursor": "NDI",
    "nextCursor": "NDI",
    "type": "image/png",
    "name": "a.png",
    "password": "correct horse 9",
    "newPassword": "correct horse 10",
    "phone": "+49 30 123456",
    "size": 20480,
    "total": 1,
    "hasNext": False,
    "limit": 20,
    "pageNum": 1,
    "success": True,
}
"""What stands in samples, by the name of the field."""
LIKELY = ("text", "message", "read", "customer", "me")
"""What stands in samples, among the values of an enumeration."""
_SHORT_PATTERN = 40
_COUNTABLE = 1 << 53


def kind(schema: Schema) -> Markup:
    """The kind of a value in a few words; a struct is a link to its shape."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        return Markup('<a href="#shape-{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(", or ").join(kind(part) for part in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return _chosen([schema["const"]] if "const" in schema else schema["enum"])
    if "items" in schema:
        return Markup("list of ") + kind(schema["items"]) + escape(_range(None, schema.get("maxItems")))
    return _map(schema) if isinstance(schema.get("additionalProperties"), dict) else escape(_plain(schema))


def _chosen(values: Sequence[object]) -> Markup:
    words = (value if isinstance(value, str) else json.dumps(value) for value in values)
    listed = Markup(", ").join(Markup("<code>{}</code>").format(word) for word in words)
    return Markup("one of ") + listed if len(values) > 1 else listed


def _map(schema: Schema) -> Markup:
    return Markup("map of ") + kind(schema["additionalProperties"])


def _plain(schema: Schema) -> str:
    if schema["type"] == "string":
        pattern = schema.get("pattern", "")
        like = f", like {pattern}" if 0 < len(pattern) <= _SHORT_PATTERN else ""
        return "text" + _range(schema.get("minLength"), schema.get("maxLength")) + like
    word = "whole number" if schema["type"] == "integer" else str(schema["type"])
    return word + _range(schema.get("minimum"), schema.get("maximum"))


def _range(least: int | None, most: int | None) -> str:
    if most is None or most > _COUNTABLE:
        return "" if least is None else f", {least:,} or more"
    return f", {least:,} to {most:,}" if least else f", at most {most:,}"


def sample(schema: Schema, components: Components, name: str = "", *, asked: bool = False) -> Any:
    """A value of a schema; what is asked for has only the fields that say something."""
    if "$ref" in schema:
        return sample(components[schema["$ref"].removeprefix(REF)], components, asked=asked)
    if "properties" in schema:
        return _sample_object(schema, components, asked=asked)
    if "anyOf" in schema:
        return sample({**schema["anyOf"][0], **_examples(schema)}, components, name, asked=asked)
    if "items" in schema:
        return [sample(schema["items"], components, name, asked=asked)]
    return _sample_scalar(schema, name)


def _sample_object(schema: Schema, components: Components, *, asked: bool) -> dict[str, Any]:
    choice = [*schema.get("anyOf", ()), *schema.get("oneOf", ())][:1]
    required = [name for part in (schema, *choice) for name in part.get("required", ())]
    return {
        name: sample(part, components, name, asked=asked)
        for name, part in schema.get("properties", {}).items()
        if not asked or name in required or not required or (name in NAMED and not name.endswith("Id"))
    }


def _sample_scalar(schema: Schema, name: str) -> Any:
    options = schema.get("enum", ())
    named = NAMED.get(name)
    if re.search(schema.get("pattern", ""), str(named)) is None:
        named = None
    likely = [value for value in LIKELY if value in options] or options or [named]
    said = [schema.get("const"), schema.get("default"), *likely, *schema.get("examples", ())]
    plain: Mapping[str, Any] = {"string": "…", "integer": schema.get("minimum", 1) or 1, "boolean": True, "object": {}}
    return next((value for value in said if value not in (None, "", 0)), plain.get(schema.get("type", "")))


def _examples(schema: Schema) -> Schema:
    return {"examples": schema["examples"]} if "examples" in schema else {}
