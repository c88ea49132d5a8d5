"""Decoding: bytes, query strings and socket payloads into the structs of use cases, strictly and within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from plaza.kernel.errors import Invalid, UnsupportedMedia
from plaza.kernel.wire import Body, Query, detail, holds_nul
from plaza.nesting import too_nested

B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
T = TypeVar("T")

_WRITTEN: Mapping[type, tuple[re.Pattern[str], str]] = {
    int: (re.compile("0|-?[1-9][0-9]{0,18}"), "must be a whole number, in digits"),
    bool: (re.compile("true|false|1|0"), "must be true or false"),
}
"""How a parameter of a query is spelled: `msgspec` alone would take `1e3` and `TRUE` too."""
_PARAMETERS: dict[object, Mapping[str, type]] = {}
_DECODERS: dict[type[Body], msgspec.json.Decoder[Any]] = {}


def body(shape: type[B] | None, raw: bytes, media: str | None) -> B | None:
    """The struct of a body; a route without one takes none, or an empty object."""
    if not raw.strip():
        return None if shape is None else _convert({}, shape)
    if (media or "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia
    if shape is None:
        if raw.strip() != b"{}":
            raise Invalid("This route takes no body.")
        return None
    _check_text(raw)
    decoder: msgspec.json.Decoder[B] = _DECODERS.get(shape) or _DECODERS.setdefault(shape, msgspec.json.Decoder(shape))
    return _read(lambda: decoder.decode(raw))


def payload(shape: type[B] | None, value: object) -> B | None:
    """The struct of a socket payload; nothing and null are an empty object."""
    if shape is None:
        return None
    if holds_nul(value):
        raise Invalid("Text must not contain NUL.")
    return _convert({} if value is None else value, shape)


def query(shape: type[Q] | None, given: dict[str, str]) -> Q | None:
    """The struct of a query string; an unknown parameter is refused."""
    if shape is None:
        for name in given:
            raise Invalid.field(name[:100], "is not a parameter of this route")
        return None
    if given:
        _check_query(shape, given)
    asked = _read(lambda: msgspec.convert(given, shape, strict=False))
    for field, name in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
        if name in given and getattr(asked, field) is None:
            raise Invalid.field(name, "is not a value; leave the parameter out instead")
    return asked


def parameters(shape: type[Query]) -> Mapping[str, type]:
    """The parameters of a query that are numbers or truths, by name."""
    if shape not in _PARAMETERS:
        described: Any = msgspec.inspect.type_info(shape)
        kinds = {field.encode_name: _kinds(field.type) for field in described.fields}
        _PARAMETERS[shape] = {name: of for name, kind in kinds.items() for of in _WRITTEN if of in kind}
    return _PARAMETERS[shape]


def _kinds(hint: Any) -> set[type]:
    named: Mapping[object, type] = {msgspec.inspect.IntType: int, msgspec.inspect.BoolType: bool}
    parts = [getattr(part, "type", part) for part in getattr(hint, "types", (hint,))]  # with or without a description
    return {named[type(part)] for part in parts if type(part) in named}


def _check_query(shape: type[Query], given: dict[str, str]) -> None:
    """Numbers and truths are written in one way, and a page begins in one place."""
    for name, of in parameters(shape).items():
        written, sentence = _WRITTEN[of]
        if name in given and not written.fullmatch(given[name]):
            raise Invalid.field(name, sentence)
    for one, other in shape.exclusive:
        if one in given and other in given:
            raise Invalid.field(other, f"cannot stand beside {one}")


def _check_text(raw: bytes) -> None:
    if too_nested(raw):
        raise Invalid("The body is nested too deeply.")
    if b"\\u0000" in raw and holds_nul(_generic(raw)):
        raise Invalid("Text must not contain NUL.")


def _generic(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("The body is not valid JSON.") from error


def _convert(value: object, shape: type[B]) -> B:
    return _read(lambda: msgspec.convert(value, shape))


def _read(decode: Callable[[], T]) -> T:
    try:
        return decode()
    except msgspec.ValidationError as error:
        raise Invalid.field(*detail(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("The body is not valid JSON.") from error
