"""Engine.IO 4 without I/O, text only: packets, long-polling payloads and the opening packet."""

from collections.abc import Iterable

import msgspec

from plaza.realtime.errors import Violation
from plaza.realtime.rfc6455 import POLICY, PROTOCOL_ERROR, UNSUPPORTED, text_of

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
PROBE = "probe"

MOST_SENT = 16  # packets in one of our long-polling payloads: python-engineio's client reads no more
MOST_HEARD = 1024  # in one of a client's: the official one sends whatever it has, up to maxPayload bytes
SEPARATOR = b"\x1e"

_BARE = frozenset((CLOSE, PONG, UPGRADE))


def open_packet(
    sid: str, upgrades: Iterable[str], ping_interval: float, ping_timeout: float, max_payload: int
) -> bytes:
    """The packet that opens a session; intervals in seconds here, in milliseconds on the wire."""
    return OPEN.encode() + msgspec.json.encode(
        {
            "sid": sid,
            "upgrades": list(upgrades),
            "pingInterval": round(ping_interval * 1000),
            "pingTimeout": round(ping_timeout * 1000),
            "maxPayload": max_payload,
        }
    )


def decode_packet(text: str) -> tuple[str, str]:
    """A client's packet as (type, data); raises Violation for a type that a client does not send."""
    kind, data = text[:1], text[1:]
    if kind == MESSAGE or (kind in _BARE and not data) or (kind == PING and data == PROBE):
        return kind, data
    if kind == "b":
        raise Violation(UNSUPPORTED, "binary packet")
    raise Violation(PROTOCOL_ERROR, "unknown Engine.IO packet")


def decode_payload(body: bytes) -> list[tuple[str, str]]:
    """The packets of one long-polling request; raises Violation."""
    if body.count(SEPARATOR) >= MOST_HEARD:
        raise Violation(POLICY, f"more than {MOST_HEARD} packets")
    return [decode_packet(text_of(packet)) for packet in body.split(SEPARATOR)]


def encode_payload(packets: Iterable[bytes]) -> bytes:
    """Packets as one long-polling answer."""
    return SEPARATOR.join(packets)
