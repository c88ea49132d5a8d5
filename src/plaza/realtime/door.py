"""Where a connection comes in: a plain WebSocket handshake goes straight to the sessions, all else to uvicorn."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plaza.realtime.websocket import WebSocket

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine

# One whole request of one segment without a body, nothing in it that could be read in two ways. What is more unusual
# than that is for the HTTP parser, which hands an upgrade on to `WebSocket` as well.
_PLAIN = re.compile(rb"GET [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~\w]+:[\t -~\x80-\xff]*\r\n)+\r\n", re.ASCII)
_UPGRADE = re.compile(rb"\r\nupgrade:[\t ]*websocket\r\n", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:(?:[^\r]*,)?[\t ]*upgrade[\t ]*[,\r]", re.IGNORECASE)
_BODY = re.compile(rb"\r\n(?:content-length|transfer-encoding|expect):", re.IGNORECASE)


class Door(asyncio.Protocol):
    """A connection that has said nothing yet."""

    __slots__ = ("_engine", "_given", "_transport")

    _transport: asyncio.Transport

    def __init__(self, engine: Engine, **given: Any) -> None:
        self._engine = engine
        self._given = given
        """uvicorn's `config`, `server_state` and `app_state`, for whoever takes the connection over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for its first bytes."""
        self._transport = cast(asyncio.Transport, transport)
        self._given["server_state"].connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went without a word."""
        self._given["server_state"].connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """The first bytes say who takes it over."""
        self._given["server_state"].connections.discard(self)
        inner = WebSocket(self._engine, **self._given) if self._ours(data) else HttpToolsProtocol(**self._given)
        self._transport.set_protocol(inner)
        inner.connection_made(self._transport)
        inner.data_received(data)

    def shutdown(self) -> None:
        """uvicorn stops."""
        self._transport.close()

    def _ours(self, data: bytes) -> bool:
        return (
            data.startswith(self._engine.greeting)
            and _PLAIN.fullmatch(data) is not None
            and _UPGRADE.search(data) is not None
            and _CONNECTION.search(data) is not None
            and _BODY.search(data) is None
        )
