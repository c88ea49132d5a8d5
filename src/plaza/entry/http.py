"""Requests and responses over ASGI: just what a JSON API needs, with its bounds."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from plaza.entry.proxies import HEADER, Proxies
from plaza.kernel.errors import Invalid, Missing, TooLarge, UnsupportedMedia

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LONGEST_PATH = 2_048
LONGEST_SEGMENT = 254
"""Characters of one segment, once decoded: no address and no id is longer, and the document says so."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Request:
    """One HTTP request; header names are lower case, a header sent twice is refused where it decides something."""

    __slots__ = ("_receive", "headers", "id", "method", "path", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        given = self.header("x-request-id")
        self.id = given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

    def address(self, proxies: Proxies) -> str:
        """The network address of the client: the peer's, or what trusted proxies say of it."""
        client = self.scope.get("client")
        peer = client[0] if client else ""
        return proxies.client(peer, {HEADER: self.joined(HEADER)}) if proxies else peer

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)

    def only(self, name: str) -> str | None:
        """The value of a header that decides who may do what; `Invalid` when it was sent more than once."""
        wanted = name.encode()
        values = [value for key, value in self.headers if key == wanted]
        if len(values) > 1:
            raise Invalid.field(name, "was sent more than once")
        return values[0].decode("latin-1") if values else None

    def joined(self, name: str) -> str:
        """All lines of a header that is a list, in their order, as the one line that means the same (RFC 9110, 5.3)."""
        wanted = name.encode()
        return ",".join(value.decode("latin-1") for key, value in self.headers if key == wanted)

    def segments(self) -> list[str]:
        """The decoded segments of the path; an undecodable path is nowhere."""
        if len(self.path) > LONGEST_PATH:
            raise Missing
        try:
            parts = [unquote(part, errors="strict") for part in self.path.decode("ascii").split("/")]
        except UnicodeDecodeError as error:
            raise Missing from error
        if any("\x00" in part or len(part) > LONGEST_SEGMENT for part in parts):
            raise Missing
        return parts[1:]

    def query(self) -> dict[str, str]:
        """The parameters of the query string; one given twice, undecodable or with a NUL is `Invalid`."""
        text: bytes = self.scope["query_string"]
        if not text:
            return {}
        try:
            pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
        except ValueError as error:
            raise Invalid("The query string is malformed.") from error
        found: dict[str, str] = {}
        for name, value in pairs:
            if name in found:
                raise Invalid.field(name[:100], "was given twice")
            if "\x00" in value or "\x00" in name:
                raise Invalid.field(name[:100].replace("\x00", ""), "must not contain NUL")
            found[name] = value
        return found

    async def body(self, most: int) -> bytes:
        """The whole body; `TooLarge` beyond so many bytes, before it is read where the client says so."""
        encoded = {self.joined("content-encoding").strip().lower(), self.joined("transfer-encoding").strip().lower()}
        if encoded - {"", "identity", "chunked"}:
            raise UnsupportedMedia("Send the body as it is: it is not read with a Content-Encoding.")
        announced = self.header("content-length")
        if announced is not None and announced.isdigit() and int(announced) > most:
            raise TooLarge
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise TooLarge
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


class ClientGone(Exception):  # noqa: N818 — nobody waits for an answer any more
    """The client closed the connection before its request was complete."""


async def respond(
    send: Send,
    request: Request,
    status: int,
    body: bytes,
    *,
    media: bytes = b"application/json",
    headers: Mapping[str, str] | None = None,
    policy: bytes | None = None,
) -> None:
    """Sends a whole response with the headers that every answer carries; `policy` replaces the content policy."""
    lines = [
        (b"content-type", media),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request.id.encode()),
        *((name, policy if policy and name == b"content-security-policy" else value) for name, value in SECURITY),
    ]
    lines += [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})
