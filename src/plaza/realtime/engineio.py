"""Engine.IO 4 without I/O, text only: packets, long-polling payloads and the opening packet."""

from collections.abc import Iterable, Sequence

import msgspec

from plaza.realtime.errors import Violation
from plaza.realtime.rfc6455 import POLICY, PROTOCOL_ERROR, UNSUPPORTED, text_of

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
PROBE = "probe"

MOST_SENT = 16  # packets in one of our long-polling payloads: python-engineio's client reads no more
MOST_HEARD = 1024  # in one of a client's: the official one sends whatever it has, up to maxPayload bytes
SEPARATOR = b"\x1e"

_BARE = frozenset((CLOSE, PONG, UPGRADE))


class Opening:
    """The packets that open sessions; intervals in seconds here, in milliseconds on the wire."""

    def __init__(self, upgrades: Sequence[str], ping_interval: float, ping_timeout: float, max_payload: int) -> None:
        same = {
            "upgrades": upgrades,
            "pingInterval": round(ping_interval * 1000),
            "pingTimeout": round(ping_timeout * 1000),
            "maxPayload": max_payload,
        }
        self._head = OPEN.encode() + b'{"sid":"'
        self._tail = b'",' + msgspec.json.encode(same)[1:]

    def packet(self, sid: str) -> bytes:
        """That of a session id, which has no character that JSON escapes."""
        return self._head + sid.encode() + self._tail


def decode_packet(payload: bytes) -> tuple[str, str]:
    """A client's packet as (type, data); raises Violation for what is no text, or of a type that no client sends."""
    text = text_of(payload)
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
    return [decode_packet(packet) for packet in body.split(SEPARATOR)]


def fitting(sizes: Sequence[int], most_bytes: int) -> int:
    """How many packets of these sizes one long-polling answer takes: `MOST_SENT` and so many bytes, one at least."""
    count, size = 1, sizes[0]
    while count < min(MOST_SENT, len(sizes)) and size + 1 + sizes[count] <= most_bytes:
        size += 1 + sizes[count]
        count += 1
    return count


def encode_payload(packets: Iterable[bytes]) -> bytes:
    """Packets as one long-polling answer."""
    return SEPARATOR.join(packets)
