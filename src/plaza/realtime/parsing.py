"""What uvicorn's HTTP protocol does with the bytes of requests, but for wishes for a protocol that we do not speak."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ParsedConnection(HttpToolsProtocol):
    """Reads a request that asks for another protocol than WebSocket as if it did not ask (RFC 9110, 7.8).

    The parser takes all that follows such a head for bytes of the other protocol, the body too: it would be lost, and
    what comes later would be read as further requests, which a proxy in front sent as a body.
    """

    def parse(self, piece: bytes) -> None:
        """Give the parser a piece."""
        self._unset_keepalive_if_required()
        try:
            while piece:
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    if self._should_upgrade():
                        self._upgrade()
                        return
                    self._read_head_again()
                    piece = piece[upgrade.args[0] :]
                else:
                    return
        except httptools.HttpParserError:
            self.send_400_response("")

    def answered(self) -> bool:
        """Whether all requests before the present one have been answered."""
        return self.cycle is None or self.cycle.response_complete

    def upgrade_ignored(self) -> bool:
        """Whether the present request has such a wish: then its head is read again."""
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def _upgrade(self) -> None:
        if self.answered():
            self.handle_websocket_upgrade()
        else:  # the answer would be written among the frames
            self.send_400_response("")

    def _read_head_again(self) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError("a tunnel")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))
