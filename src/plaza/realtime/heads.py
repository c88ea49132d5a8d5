"""The heads of HTTP requests: what they ask for. Most clients of a page write the same one, but for its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from plaza.realtime import handshake

if TYPE_CHECKING:
    from plaza.realtime.handshake import Request
    from plaza.realtime.options import Options

REMEMBERED = 256
LONGEST_REMEMBERED = 1_024  # bytes
BARE_LINES = 2  # the request's own and the empty one at the end
_KEY = b"\r\nSec-WebSocket-Key: "  # as browsers and the official client write it
_KEY_BYTES = 24
# Whatever has one of these is one client's own, and none of our business for longer than it takes.
_PERSONAL = frozenset(("cookie", "authorization"))


class Head:
    """A request's target and headers as an HTTP parser finds them; the lines of one name are a list in their order."""

    __slots__ = ("_lines", "target")

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self.target = ""

    @property
    def headers(self) -> dict[str, str]:
        """The values by name, in lower case."""
        return {name: values[0] if len(values) == 1 else ", ".join(values) for name, values in self._lines.items()}

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line."""
        self._lines.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))


class Heads:
    """Reads the requests for WebSockets; remembers those that many may write."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._known: dict[bytes, Request] = {}

    def read(self, data: bytes) -> tuple[Request, bytes] | None:
        """A request for a WebSocket and its key, where the bytes are one, whole and without a body; else None."""
        start = data.find(_KEY) + len(_KEY)
        key, alike = data[start : start + _KEY_BYTES], data[:start] + data[start + _KEY_BYTES :]
        known = self._known.get(alike)
        if known is not None:
            return known, key
        if data.count(b"\n") > self._options.head_lines + BARE_LINES:
            return None
        head = _parsed(data)
        if head is None:
            return None
        target, headers = head
        path, _, query = target.partition("?")
        found = headers.pop("sec-websocket-key", "").encode("latin-1")
        request = handshake.request(self._options, "websocket", path, query.encode("latin-1"), headers)
        if found == key and len(alike) <= LONGEST_REMEMBERED and _common(request):
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[alike] = request
        return request, found


def _common(request: Request) -> bool:
    return "sid" not in request.query and not _PERSONAL & request.headers.keys()


def _parsed(data: bytes) -> tuple[str, dict[str, str]] | None:
    """The target and the headers of a request for a WebSocket."""
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
        return None
    except httptools.HttpParserUpgrade as upgrade:
        if upgrade.args[0] != len(data):
            return None
    except httptools.HttpParserError:
        return None
    headers = head.headers
    asked = headers.get
    if parser.get_method() != b"GET" or asked("upgrade", "").lower() != "websocket":
        return None
    if asked("sec-websocket-version") != "13" or asked("content-length", "0") != "0" or asked("transfer-encoding"):
        return None
    return head.target, headers
