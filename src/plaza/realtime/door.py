"""Where a connection comes in: a plain WebSocket handshake goes straight to the sessions, all else to uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from plaza.realtime.http import HttpConnection
from plaza.realtime.http_errors import HttpError
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
        self._transport = taken = cast("asyncio.Transport", transport)
        self.server_state.connections.add(self)
        peer = taken.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        network = self.engine.ingress.arrive(taken, self._peer)
        if network is None:
            self._closing = True
            taken.abort()
        else:
            self._network = network

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
        engine = self.engine
        asked = None
        if data.startswith(engine.greeting) and len(data) <= engine.options.head_bytes:
            asked = engine.heads.read(data)
        if asked is not None:
            engine.ingress.settle(transport, self._network or "")
            self._network = None
            self.greet(*asked)
            return
        http = HttpConnection(
            engine.ingress, self._network or "", self.config, self.server_state, self.app_state, self._loop
        )
        transport.set_protocol(http)
        http.connection_made(transport)
        http.data_received(data)

    def expire(self, error: HttpError) -> None:
        """Close it: it has sent nothing, so it waits for no answer; a WebSocket is closed as one."""
        if self.session is not None:
            WebSocket.expire(self, error)
            return
        self._closing = True
        self.engine.ingress.settle(self._transport, self._network or "")
        self.engine.ingress.count(error)
        self._transport.abort()

    def shutdown(self) -> None:
        """uvicorn stops."""
        self._transport.close()


def upgraded(engine: Engine, **_of_uvicorn: Any) -> WebSocket:
    """What uvicorn's HTTP parser hands a connection to."""
    return WebSocket(engine)
