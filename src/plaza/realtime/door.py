"""Where a connection comes in: a plain WebSocket handshake goes straight to the sessions, all else to uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plaza.realtime.websocket import WebSocket

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine


class Door(asyncio.Protocol):
    """A connection that has said nothing yet."""

    __slots__ = ("_engine", "_given", "_transport")

    _transport: asyncio.Transport

    def __init__(self, engine: Engine, **given: Any) -> None:
        self._engine = engine
        self._given = given
        """uvicorn's `config`, `server_state` and `app_state`, for itself."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for its first bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self._given["server_state"].connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went without a word."""
        self._given["server_state"].connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """It speaks."""
        self._engine.inbox.put(self, data)

    def hear(self, data: bytes) -> None:
        """The first bytes say who takes it over; the HTTP parser hands an upgrade on to `WebSocket` as well."""
        transport = self._transport
        successor = transport.get_protocol()
        if successor is not self:  # more bytes than one reading takes
            cast("asyncio.Protocol", successor).data_received(data)
            return
        self._given["server_state"].connections.discard(self)
        asked = self._engine.heads.read(data) if data.startswith(self._engine.greeting) else None
        if asked is None:
            http = HttpToolsProtocol(**self._given)
            transport.set_protocol(http)
            http.connection_made(transport)
            http.data_received(data)
        else:
            socket = WebSocket(self._engine)
            transport.set_protocol(socket)
            socket.connection_made(transport)
            socket.greet(*asked)

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def shutdown(self) -> None:
        """uvicorn stops."""
        self._transport.close()
