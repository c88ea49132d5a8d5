"""What both transports ask of a request before a session opens or goes on: version, sid, origin, room."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine

MOST_PARAMETERS = 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Request(NamedTuple):
    """A client's HTTP request: the path without the query, header names in lower case, the peer's address."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    peer: str


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
NOT_FOUND = Answer(404, 3, "Not found")


def query_of(raw: bytes) -> dict[str, str] | None:
    """The query's parameters, the last of each name, as they stand: ours are never escaped; None for what is none."""
    parts = raw.decode("latin-1").split("&", MOST_PARAMETERS)
    if len(parts) > MOST_PARAMETERS or not raw.isascii():
        return None
    return {name: value for name, _, value in (part.partition("=") for part in parts)}


def ours(engine: Engine, path: str) -> bool:
    """Whether a path is the server's, with or without its last slash."""
    return path.rstrip("/") == engine.options.path.rstrip("/")


def address_of(engine: Engine, request: Request) -> str:
    """The client's address: the peer's, or what the application reads from a proxy it trusts."""
    read = engine.options.address
    return request.peer if read is None else read(request.peer, request.headers)


def misfit(engine: Engine, query: Mapping[str, str], headers: Mapping[str, str], transport: str) -> Answer | None:
    """Why a request cannot be served at all, None if it can."""
    if query.get("transport") != transport:
        return UNKNOWN_TRANSPORT
    if query.get("EIO") != "4":
        return BAD_VERSION
    if "j" in query:  # JSONP was for browsers that nobody has any more
        return BAD_REQUEST
    if not origin_allowed(engine, headers):
        return FORBIDDEN
    return None


def origin_allowed(engine: Engine, headers: Mapping[str, str]) -> bool:
    """Whether a client may come from where it says it comes from."""
    options = engine.options
    if options.origins is None:
        return True
    origin = headers.get("origin")
    if origin is not None:
        return origin in options.origins
    # A browser writes no Origin into a GET to the page's own server; it does write this, and no page can forge it.
    return options.originless or headers.get("sec-fetch-site") == "same-origin"


def no_room(engine: Engine, address: str) -> Answer | None:
    """Why no new session may open now, None if one may."""
    options = engine.options
    if engine.refusing or engine.gate.full():
        return Answer(503, 3, "Service unavailable", options.retry_after)
    if engine.gate.crowded(address):
        return Answer(429, 3, "Too many connections", options.retry_after)
    wait = None if options.admit is None else options.admit(address)
    return None if wait is None else Answer(429, 3, "Too many connections", wait)


def parse_head(head: bytes, peer: str) -> Request | None:
    """A request's head as the HTTP parser before us wrote it anew; None for anything else."""
    try:
        line, *fields = head.decode("latin-1").split("\r\n\r\n", 1)[0].split("\r\n")
        method, target, _ = line.split(" ")
        pairs = [field.split(":", 1) for field in fields]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
    except ValueError:
        return None
    path, _, query = target.partition("?")
    return Request(method, path, query.encode("latin-1"), headers, peer)


def accept_key(headers: Mapping[str, str]) -> bytes | None:
    """The answer to a client's WebSocket key; None for a request that is no WebSocket handshake."""
    key = headers.get("sec-websocket-key", "").encode("latin-1")
    try:
        fits = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return None
    if not fits or headers.get("sec-websocket-version") != "13":
        return None
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
