"""Why a connection ended: the reason that `disconnected` gets, and the close code that a WebSocket client gets.

Long-polling has no place for a reason: its client gets Engine.IO's close packet, later requests a 400.
"""

from typing import NamedTuple

from plaza.realtime.errors import Violation
from plaza.realtime.rfc6455 import (
    GOING_AWAY,
    INVALID_TEXT,
    NORMAL,
    POLICY,
    PROTOCOL_ERROR,
    TOO_BIG,
    TRY_AGAIN,
    UNSUPPORTED,
)

CLIENT_LEFT = "client_left"
TRANSPORT_CLOSED = "transport_closed"
GOING = "going_away"
BROKEN = "protocol_error"
SLOW = "slow_consumer"
PING_TIMEOUT = "ping_timeout"
CONNECT_TIMEOUT = "connect_timeout"
REFUSED = "refused"
NOT_NOW = "not_now"
BINARY = "binary"
TOO_LONG = "too_big"

BY_CLIENT = frozenset((CLIENT_LEFT, TRANSPORT_CLOSED))
"""After these, what the client sent before is still heard; after the others it is not."""

APPLICATION = 4000
"""The code of `Socket.disconnect`; the frame's reason is the application's word."""


class Ending(NamedTuple):
    """A reason, the close code of it, and when that is."""

    reason: str
    code: int
    when: str


ENDINGS = (
    Ending(CLIENT_LEFT, NORMAL, "The client said so."),
    Ending(TRANSPORT_CLOSED, NORMAL, "Its connection was lost: nobody reads the code."),
    Ending(GOING, GOING_AWAY, "The server stops; another one may be there already."),
    Ending(BROKEN, PROTOCOL_ERROR, "The client broke a protocol; the frame's reason says which rule."),
    Ending(BROKEN, INVALID_TEXT, "It sent text that is not UTF-8."),
    Ending(BROKEN, POLICY, "It sent too many of something; the frame's reason says of what."),
    Ending(BINARY, UNSUPPORTED, "It sent binary data."),
    Ending(TOO_LONG, TOO_BIG, "It sent a message over the limit, its fragments joined."),
    Ending(
        NOT_NOW,
        TRY_AGAIN,
        "It could not be let in at present; the frame's reason may say why. Official clients try again by themselves.",
    ),
    Ending(SLOW, 4001, "It read too slowly; what it missed can be replayed."),
    Ending(PING_TIMEOUT, 4002, "It did not answer a ping."),
    Ending(CONNECT_TIMEOUT, 4003, "It stayed outside every namespace."),
)
_CODES = {ending.reason: ending.code for ending in reversed(ENDINGS)}
_REASONS = {ending.code: ending.reason for ending in ENDINGS}


def close_code(reason: str) -> int:
    """The WebSocket close code of a reason; a reason unknown here is the application's."""
    return _CODES.get(reason, APPLICATION)


def reason_of(violation: Violation) -> str:
    """The reason that the application hears of a client's violation."""
    return _REASONS[violation.code]
