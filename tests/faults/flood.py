"""A process that opens connections and breaks the bounds of what a server takes: heads, silence, half bodies."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

from tests.faults.child import Child, obey

LINES = b"a: b\r\n" * 300_000
MEGABYTE = b"x" * 1_000_000
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
POLL = b"/socket.io/?EIO=4&transport=polling"
HEADS = (
    b"GET " + POLL + b" HTTP/1.1\r\nHost: a\r\n" + LINES + b"\r\n",
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n" + UPGRADE + LINES + b"\r\n",
    b"GET /client/community/people/me?" + MEGABYTE + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET " + POLL + b" HTTP/1.1\r\nHost: a\r\nCookie: " + MEGABYTE + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nOrgId: " + MEGABYTE + b"\r\nAuthorization: Bearer " + MEGABYTE + b"\r\n\r\n",
    b"POST /profile/customer/signin HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + LINES + b"\r\n",
)
HALVES = {
    "silent": b"",
    "head": b"GET " + POLL + b" HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 8_000,
    "body": b"POST /profile/customer/signin HTTP/1.1\r\nHost: a\r\norgid: faults\r\n"
    b"Content-Type: application/json\r\nContent-Length: 262144\r\n\r\n" + b" " * 200_000,
}


class Line(asyncio.Protocol):
    """One connection, and what came on it."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


class Flood:
    """What it opened stays open until the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: list[Line] = []

    async def _open(self, address: str) -> Line:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(Line, "127.0.0.1", self._port, local_addr=(address, 0))
        return line

    async def heads(self, count: int) -> dict[str, int]:
        """Sends so many heads without end, four at a time; how often each status came back."""
        statuses: Counter[str] = Counter()
        left = iter(range(count))

        async def one_after_another() -> None:
            for number in left:
                line = await self._open("127.0.0.2")
                line.transport.write(HEADS[number % len(HEADS)])
                await line.closed
                statuses[line.received[9:12].decode() or "none"] += 1

        await asyncio.gather(*(one_after_another() for _ in range(4)))
        return statuses

    async def hold(self, kind: str, count: int, addresses: int) -> dict[str, int]:
        """Opens so many connections from so many addresses, sends half of something and then nothing more."""
        for number in range(count):
            with contextlib.suppress(OSError):
                line = await self._open(f"127.0.{1 + number % addresses // 250}.{1 + number % addresses % 250}")
                line.transport.write(HALVES[kind])
                self._lines.append(line)
        return await self.look()

    async def look(self) -> dict[str, int]:
        """How many are open, and what those that are not got for an answer."""
        await asyncio.sleep(0.2)
        ended = [line for line in self._lines if line.closed.done()]
        return {"open": len(self._lines) - len(ended)} | Counter(
            line.received[9:12].decode() or "none" for line in ended
        )

    async def drop(self) -> dict[str, int]:
        """Closes all of them."""
        for line in self._lines:
            line.transport.abort()
        await asyncio.gather(*(line.closed for line in self._lines))
        self._lines.clear()
        return {}


def flood(port: int) -> Child:
    """A flood in a process of its own."""
    return Child(__name__, port)


if __name__ == "__main__":
    obey(Flood)
