"""The socket events of the document, under `x-socket-events`: what clients emit, and what the server emits."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from plaza.entry.auth import OrganisationMissing, Unverified
from plaza.entry.concurrency import TooManyAtOnce
from plaza.entry.gateway import NAMESPACE
from plaza.entry.openapi_schemas import Schema, Schemas
from plaza.entry.rest import Failure
from plaza.entry.socket_refusals import ENDINGS, TooManySockets
from plaza.entry.sockets import FreshToken, Handshake, Replayed, Since
from plaza.kernel.errors import Detail, Invalid, Refusal, StoreFull, TooMany, Unauthenticated, Unavailable
from plaza.kernel.limits import EVENTS, Limit
from plaza.kernel.routes import Event, Table, succeeded
from plaza.kernel.wire import Body, Ok
from plaza.realtime import endings


class EventRefusal(msgspec.Struct):
    """The acknowledgement of an event that was refused: `error` for people, `code` for programs."""

    success: bool
    error: Annotated[str, Meta(max_length=1_000)]
    code: Annotated[str, Meta(max_length=64)]
    details: Annotated[Sequence[Detail], Meta(max_length=50)] = ()


class Spoken(NamedTuple):
    """An event that clients emit, as the document shows it."""

    name: str
    tag: str
    summary: str
    payload: type[Body] | None
    answer: Any
    merged: bool
    """Whether the acknowledgement is the answer's fields beside `success`."""
    errors: tuple[type[Refusal], ...] = ()
    limits: tuple[Limit, ...] = (EVENTS,)


OWN = (
    Spoken(
        "sync",
        "sockets",
        "Replay what you missed since a cursor, as the events themselves; the acknowledgement comes after them.",
        Since,
        Replayed,
        merged=False,
    ),
    Spoken(
        "authenticate",
        "sockets",
        "Go on with a fresh token of the same person; the socket stays open.",
        FreshToken,
        Ok,
        merged=False,
    ),
)
"""What the gateway itself answers."""


def spoken(tables: Iterable[Table]) -> list[Spoken]:
    """Every event that clients emit."""
    return [*(_spoken(table, event) for table in tables for event in table.events), *OWN]


def _spoken(table: Table, event: Event) -> Spoken:
    shape = event.signature
    merged = event.reply is succeeded
    answer = shape.returns if merged else typing.get_type_hints(event.reply).get("return", shape.returns)
    errors = (*event.errors, StoreFull) if event.writes else event.errors
    return Spoken(event.name, table.name, shape.summary, shape.body, answer, merged, errors, event.limits)


def asked(tables: Iterable[Table]) -> list[Any]:
    """The shapes that clients send."""
    return [Handshake, *(event.payload for event in spoken(tables) if event.payload is not None)]


def answered(tables: Sequence[Table]) -> list[Any]:
    """The shapes that the server sends."""
    return [*(event.answer for event in spoken(tables)), *(push.payload for table in tables for push in table.pushes)]


def described(tables: Sequence[Table], schemas: Schemas, admission: Iterable[type[Refusal]]) -> dict[str, Any]:
    """The value of `x-socket-events`."""
    always: tuple[type[Refusal], ...] = (Invalid, Unauthenticated, TooMany, TooManyAtOnce, Unavailable, *admission)
    own = (Invalid, OrganisationMissing, Unauthenticated, Unverified, TooManySockets, TooMany, Unavailable, Failure)
    connecting: tuple[type[Refusal], ...] = tuple(dict.fromkeys((*own, *admission)))
    return {
        "namespace": NAMESPACE,
        "path": "/socket.io/",
        "protocol": "Socket.IO 5 over Engine.IO 4",
        "handshake": {
            "auth": schemas.of(Handshake),
            "refused": "For good: the client sees `connect_error`; its `data` is `{code, message}`. For the moment: "
            "the connection is closed with 1013, and the official client tries again by itself.",
            "refusals": [refusal.reason for refusal in connecting],
            "temporary": [refusal.reason for refusal in connecting if refusal.temporary],
            "meanings": {refusal.reason: refusal.message for refusal in connecting},
        },
        "refusal": schemas.of(EventRefusal),
        "client": [_client(event, schemas, always) for event in spoken(tables)],
        "server": [
            {
                "name": push.name,
                "tag": table.name,
                "summary": schemas.component(push.payload).get("description", ""),
                "audience": push.audience,
                "payload": schemas.of(push.payload),
            }
            for table in tables
            for push in table.pushes
        ],
        "endings": [
            {"code": ending.code, "reason": ending.reason, "when": ending.when}
            for ending in sorted((*endings.ENDINGS, *ENDINGS), key=lambda ending: ending.code)
            if ending.reason not in endings.BY_CLIENT
        ],
    }


def _client(event: Spoken, schemas: Schemas, always: Iterable[type[Refusal]]) -> dict[str, Any]:
    reasons = dict.fromkeys(refusal.reason for refusal in (*event.errors, *always))
    return {
        "name": event.name,
        "tag": event.tag,
        "summary": event.summary,
        "payload": {"type": "null"} if event.payload is None else schemas.of(event.payload),
        "acknowledgement": _merged(event.answer, schemas) if event.merged else schemas.of(event.answer),
        "refusals": list(reasons),
        "limits": [limit.name for limit in event.limits],
    }


def _merged(answer: Any, schemas: Schemas) -> Schema:
    """The fields of a record beside `success`."""
    record = schemas.component(answer)
    if "success" in record["properties"]:
        return schemas.of(answer)
    properties = {"success": {"const": True}, **record["properties"]}
    return {**record, "properties": properties, "required": list(properties)}
