"""Decoding: bytes, query strings and socket payloads into the structs of use cases, strictly and within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from plaza.kernel.errors import Invalid, UnsupportedMedia
from plaza.kernel.wire import Body, Query, detail, holds_nul
from plaza.nesting import too_nested

B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
T = TypeVar("T")

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
    asked = _read(lambda: msgspec.convert(given, shape, strict=False))
    for field, name in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
        if name in given and getattr(asked, field) is None:
            raise Invalid.field(name, "is not a value; leave the parameter out instead")
    return asked


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
