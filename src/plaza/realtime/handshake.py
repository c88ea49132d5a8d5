"""What both transports ask of a request before a session opens or goes on: version, sid, origin, room."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from plaza.realtime.options import Options

MOST_PARAMETERS = 16
NONE: Mapping[str, str] = {}  # one for all who sent nothing that is kept
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==", re.ASCII)


class Answer(NamedTuple):
    """A refusal: HTTP status, the code and message of Engine.IO's error body, seconds for `Retry-After`."""

    status: int
    code: int
    message: str
    retry_after: int | None = None

    @property
    def body(self) -> bytes:
        """As the official server writes it."""
        return msgspec.json.encode({"code": self.code, "message": self.message})


UNKNOWN_TRANSPORT = Answer(400, 0, "Transport unknown")
UNKNOWN_SID = Answer(400, 1, "Session ID unknown")
BAD_METHOD = Answer(400, 2, "Bad handshake method")
BAD_REQUEST = Answer(400, 3, "Bad request")
FORBIDDEN = Answer(403, 4, "Forbidden")
BAD_VERSION = Answer(400, 5, "Unsupported protocol version")
TOO_LARGE = Answer(413, 3, "Payload too large")
ENCODED = Answer(415, 3, "Content encodings are not supported")
NOT_FOUND = Answer(404, 3, "Not found")
UNAVAILABLE = Answer(503, 3, "Service unavailable")
TOO_MANY = Answer(429, 3, "Too many connections")


class Request(msgspec.Struct, frozen=True):
    """What a request asks for: why it cannot be served at all, if so, its query, its headers (names in lower case).

    `kept` are those of `Options.headers`.
    """

    refusal: Answer | None
    query: Mapping[str, str]
    headers: Mapping[str, str]
    kept: Mapping[str, str]


def request(options: Options, transport: str, path: str, query: bytes, headers: Mapping[str, str]) -> Request:
    """A request of one transport, and whether it can be served at all."""
    parameters = _parameters(query)
    if path.rstrip("/") != options.path.rstrip("/"):
        return Request(NOT_FOUND, NONE, headers, NONE)
    if parameters is None or "j" in parameters:  # JSONP was for browsers that nobody has any more
        return Request(BAD_REQUEST, NONE, headers, NONE)
    refusal = None
    if parameters.get("transport") != transport:
        refusal = UNKNOWN_TRANSPORT
    elif parameters.get("EIO") != "4":
        refusal = BAD_VERSION
    elif not origin_allowed(options, headers):
        refusal = FORBIDDEN
    kept = {name: headers[name] for name in options.headers if name in headers}
    return Request(refusal, parameters, headers, kept or NONE)


def _parameters(raw: bytes) -> Mapping[str, str] | None:
    """The query's parameters, the last of each name, as they stand: ours are never escaped; None for what is none."""
    parts = raw.decode("latin-1").split("&", MOST_PARAMETERS)
    if len(parts) > MOST_PARAMETERS or not raw.isascii():
        return None
    return {name: value for name, _, value in (part.partition("=") for part in parts)}


def origin_allowed(options: Options, headers: Mapping[str, str]) -> bool:
    """Whether a client may come from where it says it comes from."""
    if options.origins is None:
        return True
    origin = headers.get("origin")
    if origin is not None:
        return origin in options.origins or _own(origin, headers.get("host", ""))
    # A browser writes no Origin into a GET to the page's own server; it does write this, and no page can forge it.
    return options.originless or headers.get("sec-fetch-site") == "same-origin"


def _own(origin: str, host: str) -> bool:
    """Whether a page is the server's own: of the host that the browser asked for, by whichever scheme.

    A proxy may have ended TLS, and may write the scheme's own port.
    """
    scheme, _, authority = origin.partition("://")
    host = host.lower()
    return authority != "" and (authority == host or f"{authority}{DEFAULT_PORTS.get(scheme, ':')}" == host)


def address_of(options: Options, peer: str, headers: Mapping[str, str]) -> str:
    """The client's address: the peer's, or what the application reads from a proxy it trusts."""
    return peer if options.address is None else options.address(peer, headers)


def accept_key(key: bytes) -> bytes | None:
    """The answer to a client's WebSocket key; None for what is none."""
    if _KEY.fullmatch(key) is None:
        return None
    return binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)
