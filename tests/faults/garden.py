"""A server of `plaza.realtime` alone, in a process of its own, that waters everybody in one room."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import uvicorn

from plaza.realtime import Server, Socket
from tests.faults.child import obey

PAUSE_SECONDS = 0.002


class Garden:
    """Everybody who comes is in the room; `water` sends many events to it at a steady rate."""

    def __init__(self) -> None:
        self._server = Server({"/": self})
        self._closed: list[tuple[str, float]] = []
        self._poured = 0
        self._began = 0.0

    async def connect(self, socket: Socket, auth: dict[str, Any] | None) -> None:
        """Everybody may come in."""
        socket.enter("garden")

    async def event(self, socket: Socket, event: str, args: list[Any]) -> None:
        """Nothing is asked here."""

    def disconnected(self, socket: Socket, reason: str) -> None:
        """Remembers why, and after how many events and seconds of watering."""
        self._closed.append((reason, time.monotonic() - self._began))

    async def open(self) -> dict[str, Any]:
        """Opens for clients; the port."""
        config = uvicorn.Config(
            self._server.polling, port=0, ws=self._server.websocket_protocol, lifespan="off", log_config=None
        )
        listener = config.bind_socket()
        http = uvicorn.Server(config)
        self._serving = asyncio.create_task(http.serve(sockets=self._server.listeners(listener)))
        while not http.started:
            await asyncio.sleep(0.005)
        await self._server.start()
        return {"port": listener.getsockname()[1]}

    async def water(self, events: int, size: int, each_second: float) -> dict[str, Any]:
        """Sends so many events of so many bytes, each with the moment when it was sent."""
        self._closed.clear()
        self._began = time.monotonic()
        filling, sent = "x" * size, 0
        while sent < events:
            due = int((time.monotonic() - self._began) * each_second) + 1
            for _ in range(min(due, events) - sent):
                self._server.emit("/", "garden", "water", time.monotonic(), filling)
            sent = max(sent, min(due, events))
            await asyncio.sleep(PAUSE_SECONDS)
        return {"seconds": time.monotonic() - self._began}

    async def look(self) -> dict[str, Any]:
        """Who was closed, why and when; who is still there, and whose connection has not ended."""
        return {"closed": self._closed, "here": self._server.count("/"), "parting": len(self._server.engine.partings)}


if __name__ == "__main__":
    obey(Garden)
