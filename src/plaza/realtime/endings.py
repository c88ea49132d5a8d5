"""Why a connection ended: the reason that `disconnected` gets, and the close code that a WebSocket client gets.

| reason | code | when |
|---|---|---|
| `client_left` | 1000 | the client said so |
| `transport_closed` | – | its connection was lost |
| `going_away` | 1001 | the server drains |
| `protocol_error` | 1002, 1007, 1008 | the client broke a protocol; the frame's reason says which rule |
| `binary` | 1003 | it sent binary data |
| `too_big` | 1009 | it sent more than `max_payload` |
| the application's | 4000 | `Socket.disconnect`; the frame's reason is the application's word |
| `slow_consumer` | 4001 | it read too slowly |
| `ping_timeout` | 4002 | it did not answer a ping |
| `connect_timeout` | 4003 | it stayed outside every namespace |

Long-polling has no place for a reason: its client gets Engine.IO's close packet, later requests a 400.
"""

from plaza.realtime.errors import Violation
from plaza.realtime.rfc6455 import GOING_AWAY, NORMAL, PROTOCOL_ERROR, TOO_BIG, UNSUPPORTED

CLIENT_LEFT = "client_left"
TRANSPORT_CLOSED = "transport_closed"
GOING = "going_away"
BROKEN = "protocol_error"
SLOW = "slow_consumer"
PING_TIMEOUT = "ping_timeout"
CONNECT_TIMEOUT = "connect_timeout"
REFUSED = "refused"

BY_CLIENT = frozenset((CLIENT_LEFT, TRANSPORT_CLOSED))
"""After these, what the client sent before is still heard; after the others it is not."""

APPLICATION = 4000

_CODES = {
    CLIENT_LEFT: NORMAL,
    TRANSPORT_CLOSED: NORMAL,
    GOING: GOING_AWAY,
    BROKEN: PROTOCOL_ERROR,
    SLOW: 4001,
    PING_TIMEOUT: 4002,
    CONNECT_TIMEOUT: 4003,
}
_WORDS = {UNSUPPORTED: "binary", TOO_BIG: "too_big"}


def close_code(reason: str) -> int:
    """The WebSocket close code of a reason; a reason unknown here is the application's."""
    return _CODES.get(reason, APPLICATION)


def reason_of(violation: Violation) -> str:
    """The reason that the application hears of a client's violation."""
    return _WORDS.get(violation.code, BROKEN)
