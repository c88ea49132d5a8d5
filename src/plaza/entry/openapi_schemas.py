"""The JSON Schemas of the document: every struct a component with a readable name, every object closed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]
REF = "#/components/schemas/"
_NESTED = ("items", "additionalProperties", "propertyNames")
_SOURCE = re.compile(r" \((?:contract|guarantees|design)\b[^)]*\)")
_GENERIC = re.compile(r"([A-Za-z]+)_(.+)_")


class Schemas:
    """The schemas of what is asked for and of what is answered.

    An answer carries every field of its struct; of what is asked for, and of what `omits` lists, fields may be absent.
    """

    def __init__(self, asked: Iterable[Any], answered: Iterable[Any], omits: Iterable[Any] = ()) -> None:
        loose = list(dict.fromkeys([*asked, *omits]))
        shapes = list(dict.fromkeys([*loose, *answered]))
        found, components = msgspec.json.schema_components(shapes, ref_template=REF + "{name}")
        self._found: dict[Any, Schema] = dict(zip(shapes, map(_closed, found), strict=True))
        self.components = dict(sorted((readable(name), _closed(schema)) for name, schema in components.items()))
        for shape in loose:
            if getattr(shape, "rules", None):
                self.component(shape).update(shape.rules)
        self._complete({name for shape in loose for name in self._reached(self._found[shape])})

    def of(self, shape: Any) -> Schema:
        """The schema of a shape: a reference where it is a struct."""
        return self._found[shape]

    def component(self, shape: Any) -> Schema:
        """The component that the schema of a struct refers to."""
        return self.components[self.of(shape)["$ref"].removeprefix(REF)]

    def _complete(self, loose: set[str]) -> None:
        for name, schema in self.components.items():
            if name not in loose and "properties" in schema:
                schema["required"] = list(schema["properties"])
                for part in schema["properties"].values():
                    part.pop("default", None)

    def _reached(self, schema: Schema) -> set[str]:
        reached: set[str] = set()
        left = references(schema)
        while left:
            name = left.pop()
            if name not in reached:
                reached.add(name)
                left |= references(self.components[name])
        return reached


def references(schema: Any) -> set[str]:
    """The names of the components that a schema refers to itself."""
    if isinstance(schema, list):
        return {name for part in schema for name in references(part)}
    if not isinstance(schema, dict):
        return set()
    found = {name for part in schema.values() for name in references(part)}
    return found | {schema["$ref"].removeprefix(REF)} if "$ref" in schema else found


def readable(name: str) -> str:
    """`Listing_Message_` as `MessageListing`, `plaza.domains.messages.schemas.Read` as `MessagesRead`."""
    generic = _GENERIC.fullmatch(name)
    if generic is not None:
        return readable(generic[2]) + generic[1]
    parts = name.split(".")
    return parts[-1] if len(parts) < 3 else parts[2].capitalize() + parts[-1]


def public(text: str) -> str:
    """What a docstring says to everybody: without where in our own papers it comes from."""
    return _SOURCE.sub("", text)


def _closed(schema: Mapping[str, Any]) -> Schema:
    """A schema with readable references, in which an object has the properties that it names and no others."""
    closed = dict(schema)
    if "description" in closed:
        closed["description"] = public(closed["description"])
    if "$ref" in closed:
        closed["$ref"] = REF + readable(closed["$ref"].removeprefix(REF))
    if "properties" in closed:
        closed["properties"] = {name: _property(part) for name, part in closed["properties"].items()}
        closed.setdefault("additionalProperties", False)
    for name in _NESTED:
        if isinstance(closed.get(name), dict):
            closed[name] = _closed(closed[name])
    if "anyOf" in closed:
        closed["anyOf"] = [_closed(part) for part in closed["anyOf"]]
    if "enum" in closed and all(isinstance(value, str) for value in closed["enum"]):
        closed["type"] = "string"
    return closed


def _property(schema: Mapping[str, Any]) -> Schema:
    """The schema of a property: what is said of its only kind of value is said of the property itself."""
    closed = _closed(schema)
    if closed.get("default", False) is None:
        del closed["default"]
    kinds = [part for part in closed.get("anyOf", []) if part.get("type") != "null"]
    if len(kinds) == 1:
        for word in ("description", "examples"):
            if word in kinds[0] and word not in closed:
                closed[word] = kinds[0].pop(word)
    return closed
