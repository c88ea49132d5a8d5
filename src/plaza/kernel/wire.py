"""Shapes on the wire: strict what comes in, flat what goes out, every string and array bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta


class Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """What a request body or a socket payload is decoded to; an unknown field is refused."""

    rules: ClassVar[Mapping[str, object]] = {}
    """What the document says beside the fields: JSON Schema of what the use case asks of several of them."""


def at_least_one(*names: str) -> Mapping[str, object]:
    """Rules of a body that must have one of some fields, and not an empty one."""
    return {"anyOf": [_given(name) for name in names]}


def exactly_one(*names: str) -> Mapping[str, object]:
    """Rules of a body that must have one of some fields and no other of them."""
    return {"oneOf": [_given(name) for name in names]}


def _given(name: str) -> Mapping[str, object]:
    return {"required": [name], "properties": {name: {"type": ["string", "array"], "minLength": 1, "minItems": 1}}}


class Query(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """What a query string is decoded to; an unknown parameter is refused."""

    exclusive: ClassVar[Sequence[tuple[str, str]]] = ()
    """Pairs of parameters that say where a page begins: the second cannot stand beside the first."""


class Record(msgspec.Struct, rename="camel"):
    """What goes out: flat, in the documentation's names (contract, decision 5)."""


Id = Annotated[
    str, Meta(max_length=19, pattern="^[0-9]+$", description="A time-ordered id.", examples=["385142270169145344"])
]
IdText = Annotated[str, Meta(min_length=1, max_length=64)]
"""An id as a client sends it: anything short; what is no id names nothing."""
Instant = Annotated[
    str, Meta(max_length=24, description="ISO 8601, UTC, milliseconds, Z.", examples=["2026-11-20T09:30:00.000Z"])
]
Email = Annotated[str, Meta(max_length=254, examples=["bob@demo.test"])]
_BLANK = r"\s\x00-\x20\x7f-\x9f\ufeff"
_NOT = rf'@{_BLANK}"(),:;<>\[\]\\'
_MAILBOX = f"[^{_NOT}]{{1,64}}@[^{_NOT}]{{0,188}}[^{_NOT}.]"
# These two patterns are said, not checked here: `addresses` refuses with a sentence that people understand.
Address = Annotated[
    str, Meta(max_length=254, examples=["bob@demo.test"], extra_json_schema={"pattern": f"^{_MAILBOX}$"})
]
Person = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=254,
        description="An e-mail address or a person's id.",
        examples=["bob@demo.test"],
        extra_json_schema={"pattern": f"^([0-9]+|{_MAILBOX})$"},
    ),
]
Name = Annotated[str, Meta(max_length=100)]
Line = Annotated[str, Meta(max_length=200)]
Paragraph = Annotated[str, Meta(max_length=2_000)]
Url = Annotated[
    str,
    Meta(
        max_length=2_048,
        pattern=rf"^[hH][tT][tT][pP][sS]?://[^{_BLANK}]+$(?!\n)",
        examples=["https://demo.test/a.png"],
    ),
]
ClientId = Annotated[str, Meta(min_length=1, max_length=128, description="The client's own id of this write.")]
Count = Annotated[int, Meta(ge=0)]
LONGEST_FIELD, LONGEST_COMPLAINT = 200, 500
"""Characters of a bad field's name and of what is said about it: both quote what the client sent."""


class Ok(Record):
    """Done."""

    success: bool = True


def detail(error: msgspec.ValidationError) -> tuple[str, str]:
    """The field that a decoding error speaks of, as the client wrote it, and the sentence without its path."""
    text, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    if not field and "field `" in text:
        field = text.rsplit("`", 2)[-2]
    return (field or "body")[:LONGEST_FIELD], text[:LONGEST_COMPLAINT]


def holds_nul(value: Any) -> bool:
    """Whether a decoded JSON value has a NUL character in any string; PostgreSQL's text cannot hold one."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(holds_nul(part) for part in value)
