"""Where a connection comes in: a plain WebSocket handshake goes straight to the sessions, all else to uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plaza.realtime.websocket import WebSocket

if TYPE_CHECKING:
    from uvicorn import Config

    from plaza.realtime.engine import Engine


class Door(WebSocket, kw_only=True):
    """A connection that has said nothing yet; its first bytes show whether it is a WebSocket."""

    # What uvicorn gives, for its own protocol.
    config: Config
    server_state: Any
    app_state: dict[str, Any]
    _loop: asyncio.AbstractEventLoop | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for its first bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self.server_state.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, perhaps without a word."""
        self.server_state.connections.discard(self)
        WebSocket.connection_lost(self, exc)

    def begin(self, data: bytes) -> None:
        """Take what comes before there is a session; the HTTP parser hands an upgrade on to a `WebSocket` as well."""
        transport = self._transport
        try:
            self.server_state.connections.remove(self)
        except KeyError:  # more bytes than one reading takes
            cast("asyncio.Protocol", transport.get_protocol()).data_received(data)
            return
        asked = self.engine.heads.read(data) if data.startswith(self.engine.greeting) else None
        if asked is not None:
            self.greet(*asked)
            return
        http = HttpToolsProtocol(self.config, self.server_state, self.app_state, self._loop)
        transport.set_protocol(http)
        http.connection_made(transport)
        http.data_received(data)

    def shutdown(self) -> None:
        """uvicorn stops."""
        self._transport.close()


def upgraded(engine: Engine, **_of_uvicorn: Any) -> WebSocket:
    """What uvicorn's HTTP parser hands a connection to."""
    return WebSocket(engine)
