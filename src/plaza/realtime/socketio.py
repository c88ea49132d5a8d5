"""Socket.IO 5 without I/O, text only: a client's packets in, the server's packets out."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from plaza.nesting import DEEPEST, too_nested
from plaza.realtime.errors import Violation
from plaza.realtime.rfc6455 import POLICY, PROTOCOL_ERROR, UNSUPPORTED

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = 0, 1, 2, 3, 4

MOST_ARGUMENTS = 64
NAMESPACES = 64
"""Those whose spelling on the wire is remembered."""

# The names that the official clients keep for themselves; a server that emits one breaks them. "error" was one of them
# before version 4: no client may send it, and a server may, as ours does.
RESERVED = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "error", "newListener", "removeListener")
)

# type, namespace up to a comma or the end, acknowledgement id (16 digits are what JavaScript counts exactly); then JSON
_HEAD = re.compile(r"([0-4])(?:(/[^,]{0,255})(?:,|\Z))?([0-9]{1,16})?")

_NAME = re.compile(r'\s*\[\s*("(?:[^"\\]|\\.){0,255}")\s*,')


class Unreadable:
    """Stands for a payload that nothing here can hold: with half of a surrogate pair, with 1e400, or nested too deeply.

    JavaScript's strings may hold a half, which its `JSON.stringify` writes as an escape and no UTF-8 can carry.
    """


UNREADABLE = Unreadable()


class Packet(msgspec.Struct, frozen=True):
    """A client's packet: auth (CONNECT), [name, *arguments] (EVENT) or arguments (ACK) in data, None for absent."""

    kind: int
    namespace: str
    id: int | None
    data: object


def decode(text: str) -> Packet:
    """A client's packet; raises Violation for whatever the protocol or this server does not allow."""
    match = _HEAD.match(text)
    if match is None:
        binary = text[:1] in ("5", "6")
        raise Violation(UNSUPPORTED if binary else PROTOCOL_ERROR, "binary packet" if binary else "unknown packet")
    kind, namespace, id_ = match.groups()
    body = text[match.end() :]
    if body.count("[") + body.count("{") > DEEPEST and too_nested(body.encode()):
        body = _shallow(int(kind), body)
    try:
        data = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        data = _unreadable(int(kind), body)
    packet = Packet(int(kind), namespace or "/", None if id_ is None else int(id_), data)
    _check(packet)
    return packet


def _shallow(kind: int, body: str) -> str:
    """In the place of a payload that is nested too deeply one that is unreadable, with the name of its event."""
    name = _NAME.match(body) if kind == EVENT else None
    if kind != CONNECT and name is None:
        raise Violation(PROTOCOL_ERROR, "payload is nested too deeply")
    return f"[{name[1]},1e400]" if name is not None else "1e400"


def _unreadable(kind: int, body: str) -> object:
    """`UNREADABLE` in the place of a payload that is JSON; raises Violation for what is none."""
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except ValueError:
        raise Violation(PROTOCOL_ERROR, "payload is not JSON") from None
    if kind == EVENT and isinstance(data, list) and data and isinstance(data[0], str):
        return [data[0].encode(errors="replace").decode(), UNREADABLE]
    return UNREADABLE if kind == CONNECT else data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check(packet: Packet) -> None:
    if packet.kind == EVENT:
        _check_event(packet.data)
    elif packet.kind == CONNECT and packet.id is None:
        return
    elif packet.kind == ACK:
        if packet.id is None or not isinstance(packet.data, list) or len(packet.data) > MOST_ARGUMENTS:
            raise Violation(PROTOCOL_ERROR, "acknowledgement")
    elif packet.kind == CONNECT_ERROR or packet.id is not None:
        raise Violation(PROTOCOL_ERROR, "packet of a server, or an id where none belongs")
    elif packet.kind == DISCONNECT and packet.data is not None:
        raise Violation(PROTOCOL_ERROR, "disconnect with a payload")


def _check_event(data: object) -> None:
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise Violation(PROTOCOL_ERROR, "event without a name")
    if data[0] in RESERVED:
        raise Violation(PROTOCOL_ERROR, "reserved event name")
    if len(data) > MOST_ARGUMENTS + 1:
        raise Violation(POLICY, f"more than {MOST_ARGUMENTS} arguments")


def event_body(event: str, arguments: Sequence[object]) -> bytes:
    """The JSON of an event, the same for every namespace; raises ValueError for a reserved name."""
    if event in RESERVED and event != "error":
        raise ValueError(f"{event!r} is a name of the protocol, not an event's")
    return msgspec.json.encode([event, *arguments])


def encode(kind: int, namespace: str, body: bytes = b"", id_: int | None = None) -> bytes:
    """A Socket.IO packet inside its Engine.IO message."""
    number = b"" if id_ is None else b"%d" % id_
    return b"4%d%b%b%b" % (kind, _place(namespace), number, body)


@lru_cache(NAMESPACES)
def _place(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","


def connected(namespace: str, sid: str) -> bytes:
    """The answer to a CONNECT that was let in; a session id has no character that JSON escapes."""
    return b'40%b{"sid":"%b"}' % (_place(namespace), sid.encode())


def refused(namespace: str, message: str, data: object = None) -> bytes:
    """The answer to a CONNECT that was not let in; data only where there is some."""
    reason = {"message": message} if data is None else {"message": message, "data": data}
    return encode(CONNECT_ERROR, namespace, msgspec.json.encode(reason))


def acknowledged(namespace: str, id_: int, arguments: Sequence[object]) -> bytes:
    """The answer to an event whose client asked for one."""
    return encode(ACK, namespace, msgspec.json.encode(list(arguments)), id_)
